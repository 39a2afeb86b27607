/** What lies within IPPools and is not theirs: a pod with such an address would be taken for somebody else. Pure. */
import { covers, type IpPrefix, parseAddress, parsePrefix, widthOf } from '../kernel/ip.ts'
import type { Address } from '../kernel/kernel.ts'
import type { ClusterNodeRow, IpPoolRow, OperatorTables, ServiceAddressesRow, ServiceRangeRow } from './rows.ts'

export interface Foreign {
  readonly prefix: IpPrefix
  readonly kind: 'node' | 'service'
  /** Such as `192.0.2.1, an address of Node a`. */
  readonly text: string
}

export interface Others {
  readonly nodes: Iterable<ClusterNodeRow>
  readonly services: Iterable<ServiceAddressesRow>
  readonly serviceRanges: Iterable<ServiceRangeRow>
}

/** By the name of the pool; pools with nothing of others are left out. */
export function foreignIn(
  pools: Iterable<IpPoolRow>,
  { nodes, services, serviceRanges }: Others,
): ReadonlyMap<string, readonly Foreign[]> {
  const ranges = [...pools].map(({ name, ranges: own }) => ({ name, own: own.map(({ cidr }) => parsePrefix(cidr)) }))
  if (ranges.length === 0) return new Map()
  const found = new Map<string, Foreign[]>()
  const see = (prefix: IpPrefix, kind: Foreign['kind'], text: () => string): void => {
    for (const { name, own } of ranges)
      if (own.some(range => covers(range, prefix) || covers(prefix, range)))
        found.set(name, [...(found.get(name) ?? []), { prefix, kind, text: text() }])
  }
  for (const { name, cidrs } of serviceRanges)
    for (const cidr of cidrs) see(parsePrefix(cidr), 'service', () => `${cidr}, the range of ServiceCIDR ${name}`)
  for (const { name, addresses } of nodes)
    for (const address of addresses) see(whole(address), 'node', () => `${address}, an address of Node ${name}`)
  for (const { namespace, name, addresses } of services)
    for (const address of addresses)
      see(whole(address), 'service', () => `${address}, the address of Service ${namespace}/${name}`)
  return found
}

function whole(address: Address): IpPrefix {
  const { family, value } = parseAddress(address)
  return { family, value, length: widthOf(family) }
}

type ForeignTables = Pick<OperatorTables, 'pools' | 'nodes' | 'services' | 'serviceRanges'>

/** The same for tables, thought through again only when one of them has changed: of large clusters it takes a while. */
export class ForeignOf {
  readonly #tables: ForeignTables
  #revisions = ''
  #last: ReadonlyMap<string, readonly Foreign[]> = new Map()

  constructor(tables: ForeignTables) {
    this.#tables = tables
  }

  get(): ReadonlyMap<string, readonly Foreign[]> {
    const { pools, nodes, services, serviceRanges } = this.#tables
    const revisions = [pools, nodes, services, serviceRanges].map(table => table.revision).join(' ')
    if (revisions !== this.#revisions) this.#last = foreignIn(pools, this.#tables)
    this.#revisions = revisions
    return this.#last
  }
}
