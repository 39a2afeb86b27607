/** Security groups that node classes choose, by id or tags; found out by sweeps, and at once when a call needs them first. */
import type { SecurityGroup } from '@aws-sdk/client-ec2'
import { CloudFailure } from '../cloud-core/provider.ts'
import { APIS } from './provider-apis.ts'
import { keyOf } from './provider-clients.ts'
import { type Asking, type Ec2, filter } from './provider-ec2.ts'
import { must } from './provider-inventory.ts'
import { type NodeClass, textOf } from './provider-sweep.ts'

interface Group {
  readonly id: string
  readonly vpc: string
}

export class Groups {
  readonly #ec2: Ec2
  /** By account and class, as the last look has shown them. */
  readonly #known = new Map<string, readonly Group[]>()

  constructor(ec2: Ec2) {
    this.#ec2 = ec2
  }

  /** Looks them up anew; what is not there, for people. */
  async look(of: NodeClass, asking: Asking): Promise<readonly string[]> {
    const { ids, tags } = of.securityGroups
    const [byId, byTags] = [await this.#byId(ids, asking), await this.#byTags(tags, asking)]
    this.#known.set(keyFor(of, asking), [...byId, ...byTags])
    const where = of.name === '' ? '' : ` of ${of.name}`
    const lacking = ids
      .filter(id => !byId.some(group => group.id === id))
      .map(id => `security group ${id}${where} does not exist`)
    const none = Object.keys(tags).length > 0 && byTags.length === 0
    return none ? [...lacking, `no security group${where} has tags ${textOf(tags)}`] : lacking
  }

  /** Ids of those in a network; throws CloudFailure when none is. */
  async in(vpc: string, of: NodeClass, asking: Asking): Promise<string[]> {
    if (!this.#known.has(keyFor(of, asking))) await this.look(of, asking)
    const found = (this.#known.get(keyFor(of, asking)) ?? []).filter(group => vpc === '' || group.vpc === vpc)
    if (found.length > 0) return [...new Set(found.map(({ id }) => id))]
    const { ids, tags } = of.securityGroups
    const wanted = [...ids, textOf(tags)].filter(text => text !== '').join(', ')
    throw new CloudFailure('invalid', `${asking.about}: none of the security groups ${wanted} is in ${vpc}`)
  }

  async #byId(ids: readonly string[], asking: Asking): Promise<Group[]> {
    return ids.length === 0 ? [] : await this.#describe([filter('group-id', ...ids)], asking)
  }
  async #byTags(tags: Readonly<Record<string, string>>, asking: Asking): Promise<Group[]> {
    const filters = Object.entries(tags).map(([key, value]) => filter(`tag:${key}`, value))
    return filters.length === 0 ? [] : await this.#describe(filters, asking)
  }

  async #describe(filters: ReturnType<typeof filter>[], asking: Asking): Promise<Group[]> {
    const about = { ...asking, about: `security groups for ${asking.about}` }
    return await this.#ec2.pages(APIS.describeGroups, about, { Filters: filters }, ({ SecurityGroups }) =>
      must<SecurityGroup[] | undefined>(SecurityGroups, 'securityGroupInfo')?.map(({ GroupId, VpcId = '' }) => {
        return { id: must(GroupId, 'groupId'), vpc: VpcId }
      }),
    )
  }
}

function keyFor({ name }: NodeClass, { account }: Asking): string {
  return `${keyOf(account)} ${name}`
}
