/**
 * A look at everything in one account and region: interfaces of the cluster's machines and those that it made and that are
 * attached to nothing; subnets, with what is reserved in them; security groups by their tags.
 */
import type { Filter } from '@aws-sdk/client-ec2'
import type { SeenSubnet, SubnetId } from '../cloud-core/model.ts'
import type { Machine } from '../cloud-core/provider.ts'
import { eachAtMost } from '../cloud-core/each-at-most.ts'
import { APIS } from './provider-apis.ts'
import type { Account } from './provider-clients.ts'
import { type Asking, type Ec2, FILTER_VALUES, filter } from './provider-ec2.ts'
import { type Eni, must, subnetOf } from './provider-inventory.ts'
import type { Reservations } from './provider-reservations.ts'
import { TAGS } from './provider-tags.ts'

/** By id or by all of its tags; neither means that there is no choice. */
export interface Selector {
  readonly ids: readonly string[]
  readonly tags: Readonly<Record<string, string>>
}

/** Nodes with an account, subnets and security groups of their own. */
export interface NodeClass {
  readonly name: string
  /** Empty for the operator's own account. */
  readonly roleArn: string
  readonly externalId: string
  /** Of new interfaces; without a choice they are where the first one of their machine is. */
  readonly subnets: Selector
  /** Of new interfaces; without a choice those of the first one of their machine. */
  readonly securityGroups: Selector
}

export interface AccountSweep {
  readonly enis: readonly Eni[]
  readonly subnets: readonly SeenSubnet[]
  /** By name of class. */
  readonly choices: ReadonlyMap<string, ReadonlySet<SubnetId>>
  readonly missing: readonly string[]
}

/** So many pages are asked for at once: a sweep is paid for as one call, and must leave the others room. */
const AT_ONCE = 4

export async function sweepAccount(
  { ec2, reservations }: { readonly ec2: Ec2; readonly reservations: Reservations },
  cluster: string,
  account: Account,
  of: { readonly machines: readonly Machine[]; readonly classes: readonly NodeClass[] },
  signal: AbortSignal,
): Promise<AccountSweep> {
  const enis = await allEnis(ec2, cluster, account, of.machines, signal)
  const own = new Set(of.machines.map(({ id }) => id))
  const firsts = enis.filter(({ nic }) => nic.index === 0 && own.has(nic.machine))
  const vpcs = [...new Set(firsts.map(({ vpc }) => vpc))].filter(vpc => vpc !== '')
  const asking = { account, signal, about: 'subnets' }
  const tagged = await Promise.all(of.classes.map(one => taggedSubnets(ec2, asking, one.subnets, vpcs)))
  const choices = new Map<string, Set<SubnetId>>()
  const inUse = new Set(enis.map(({ nic }) => nic.subnet))
  for (const [n, { name, subnets }] of of.classes.entries()) {
    const chosen = [...subnets.ids, ...(tagged[n] ?? [])]
    choices.set(name, new Set(hasChoice(subnets) ? chosen : firsts.map(({ nic }) => nic.subnet)))
  }
  const chosen = new Set([...choices.values()].flatMap(ids => [...ids]))
  const subnets = await describeSubnets(ec2, asking, new Set([...inUse, ...chosen]), chosen)
  const reserved = await reservations.of(
    subnets.map(({ id }) => id),
    { account, signal, about: 'what is reserved in subnets' },
  )
  return {
    enis,
    subnets: subnets.map(subnet => ({ ...subnet, reserved: reserved.get(subnet.id) ?? [] })),
    choices,
    missing: missing(of.classes, tagged, new Set(subnets.map(({ id }) => id))),
  }
}

export function hasChoice({ ids, tags }: Selector): boolean {
  return ids.length > 0 || Object.keys(tags).length > 0
}

async function allEnis(
  ec2: Ec2,
  cluster: string,
  account: Account,
  machines: readonly Machine[],
  signal: AbortSignal,
): Promise<Eni[]> {
  const about = `those of ${machines.length} machines and of cluster ${cluster}`
  const lists: Filter[][] = [[filter(`tag:${TAGS.cluster}`, cluster), filter('status', 'available')]]
  for (let from = 0; from < machines.length; from += FILTER_VALUES) {
    const ids = machines.slice(from, from + FILTER_VALUES).map(({ id }) => id)
    lists.push([filter('attachment.instance-id', ...ids)])
  }
  const found = await eachAtMost(AT_ONCE, lists, filters => ec2.enis(filters, { account, signal, about }))
  // One that is attached between two of the looks is in both.
  return [...new Map(found.flat().map(eni => [eni.nic.id, eni])).values()]
}

/** By tags, in the networks that machines are in. */
async function taggedSubnets(ec2: Ec2, asking: Asking, { tags }: Selector, vpcs: readonly string[]) {
  const filters = Object.entries(tags).map(([key, value]) => filter(`tag:${key}`, value))
  if (filters.length === 0) return undefined
  if (vpcs.length > 0) filters.push(filter('vpc-id', ...vpcs))
  return await ec2.pages(APIS.describeSubnets, asking, { Filters: filters }, ({ Subnets }) =>
    must(Subnets, 'subnetSet').flatMap(({ SubnetId: id }) => id ?? []),
  )
}

/** By a filter: one that is not there keeps nothing of the others from being shown. */
async function describeSubnets(
  ec2: Ec2,
  asking: Asking,
  ids: ReadonlySet<SubnetId>,
  chosen: ReadonlySet<SubnetId>,
): Promise<SeenSubnet[]> {
  const all = [...ids].sort()
  const parts: string[][] = []
  for (let from = 0; from < all.length; from += FILTER_VALUES) parts.push(all.slice(from, from + FILTER_VALUES))
  const found = await eachAtMost(AT_ONCE, parts, part =>
    ec2.pages(APIS.describeSubnets, asking, { Filters: [filter('subnet-id', ...part)] }, ({ Subnets }) =>
      must(Subnets, 'subnetSet').map(subnet => subnetOf(subnet, chosen.has(subnet.SubnetId ?? ''))),
    ),
  )
  return found.flat()
}

function missing(
  classes: readonly NodeClass[],
  tagged: readonly (readonly SubnetId[] | undefined)[],
  seen: ReadonlySet<SubnetId>,
): string[] {
  return classes.flatMap(({ name, subnets }, n) => {
    const of = name === '' ? '' : ` of ${name}`
    const lacking = subnets.ids.filter(id => !seen.has(id)).map(id => `subnet ${id}${of} does not exist`)
    return tagged[n]?.length === 0 ? [...lacking, `no subnet${of} has tags ${textOf(subnets.tags)}`] : lacking
  })
}

export function textOf(tags: Readonly<Record<string, string>>): string {
  return Object.entries(tags)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ')
}
