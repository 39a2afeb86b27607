/**
 * By which neighbour and device the node's own routes lead to other nodes, asked once for each address until routes change:
 * a cluster has thousands of nodes, and a plan is made whenever one of them changes.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Address, Net } from '../kernel/kernel.ts'
import type { Clock } from '../state/clock.ts'
import { isOwnDevice } from './own-device.ts'

/** A route by it needs no other route to be accepted. */
export interface Gateway {
  /** The node itself where it is reached without a router. */
  readonly via: Address
  readonly link: string
  readonly onlink?: true
}

/** Looks before other work gets its turn: each is two questions to the kernel, some 30 µs. */
const LOOKS_A_TURN = 100
/** A look at all addresses is followed by a rest of so many times what it took. */
const REST_SHARE = 20

export class Gateways {
  readonly #net: Pick<Net, 'routeTo' | 'link'>
  readonly #clock: Pick<Clock, 'now' | 'turn'>
  #known = new Map<Address, Gateway | undefined>()
  /** Of the plan before the last `begin`. */
  #former = new Map<Address, Gateway | undefined>()
  #revision = 0
  #restedAt = -Infinity

  constructor(net: Pick<Net, 'routeTo' | 'link'>, clock: Pick<Clock, 'now' | 'turn'>) {
    this.#net = net
    this.#clock = clock
  }

  /** Another one each time an answer is another than before. */
  get revision(): number {
    return this.#revision
  }

  /** Some plan has asked for one. */
  get any(): boolean {
    return this.#known.size > 0
  }

  /** How long to wait before the next look, so that looks take little of the time however many nodes there are. */
  get restMs(): number {
    return Math.max(0, this.#restedAt - this.#clock.now())
  }

  /** Begins a plan: what it does not ask for is forgotten. */
  begin(): void {
    this.#former = this.#known
    this.#known = new Map()
  }

  readonly to = (address: Address): Gateway | undefined => {
    if (!this.#known.has(address)) {
      const asked = this.#former.has(address)
      this.#known.set(address, asked ? this.#former.get(address) : this.#find(address))
    }
    return this.#known.get(address)
  }

  /** Asks the kernel anew for all that the last plan asked for, in turns. */
  async look(): Promise<void> {
    const began = this.#clock.now()
    let looks = 0
    for (const address of this.#known.keys()) {
      if (++looks % LOOKS_A_TURN === 0) await this.#clock.turn()
      // A plan may have begun meanwhile, which asks for others.
      if (!this.#known.has(address)) continue
      const now = this.#find(address)
      if (isDeepStrictEqual(now, this.#known.get(address))) continue
      this.#known.set(address, now)
      this.#revision++
    }
    const ended = this.#clock.now()
    this.#restedAt = ended + REST_SHARE * (ended - began)
  }

  /** Pods' own routes and those of the overlay lead to pods, not to nodes. */
  #find(address: Address): Gateway | undefined {
    const route = this.#net.routeTo(address)
    const link = route === undefined ? undefined : this.#net.link(route.link)
    if (route === undefined || link === undefined || link.loopback || isOwnDevice(link.name)) return undefined
    return { via: route.via ?? address, link: link.name, ...(route.onlink === true && { onlink: true }) }
  }
}
