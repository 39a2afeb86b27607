/** What of subnets is reserved (GetSubnetCidrReservations): asked for seldom, for it changes by hand. */
import type { SubnetCidrReservation } from '@aws-sdk/client-ec2'
import type { SeenSubnet, SubnetId } from '../cloud-core/model.ts'
import { APIS } from './provider-apis.ts'
import type { Asking, Ec2 } from './provider-ec2.ts'
import { reservedOf } from './provider-inventory.ts'

type Reserved = SeenSubnet['reserved']

const KEPT_MS = 600_000

export class Reservations {
  readonly #ec2: Ec2
  readonly #known = new Map<SubnetId, { readonly atMs: number; readonly reserved: Reserved }>()

  constructor(ec2: Ec2) {
    this.#ec2 = ec2
  }

  /** One after another: the call has a budget of its own, which a sweep must not use up. */
  async of(subnets: readonly SubnetId[], asking: Asking): Promise<ReadonlyMap<SubnetId, Reserved>> {
    const nowMs = performance.now()
    const found = new Map<SubnetId, Reserved>()
    for (const id of subnets) {
      const known = this.#known.get(id)
      const fresh = known !== undefined && nowMs - known.atMs < KEPT_MS
      const reserved = fresh ? known.reserved : await this.#ask(id, asking)
      if (!fresh) this.#known.set(id, { atMs: nowMs, reserved })
      found.set(id, reserved)
    }
    return found
  }

  async #ask(id: SubnetId, asking: Asking): Promise<Reserved> {
    const about = { ...asking, about: `what is reserved in subnet ${id}` }
    const found = await this.#ec2.pages(APIS.subnetReservations, about, { SubnetId: id }, output => {
      const { SubnetIpv4CidrReservations: four = [], SubnetIpv6CidrReservations: six = [] } = output
      return [...four, ...six] satisfies SubnetCidrReservation[]
    })
    return reservedOf(found)
  }
}
