/** What lies within IPPools and is not theirs: a pod with such an address would be taken for somebody else. Pure. */
import { covers, formatAddress, type IpPrefix, parseAddress, parsePrefix, widthOf } from '../kernel/ip.ts'
import type { Address } from '../kernel/kernel.ts'
import type {
  CloudSubnetRow,
  ClusterNodeRow,
  IpPoolRow,
  OperatorTables,
  ServiceAddressesRow,
  ServiceRangeRow,
} from './rows.ts'

export interface Foreign {
  readonly prefix: IpPrefix
  readonly kind: 'node' | 'service' | 'cloud'
  /** Such as `192.0.2.1, an address of Node a`. */
  readonly text: string
}

export interface Others {
  readonly nodes: Iterable<ClusterNodeRow>
  readonly services: Iterable<ServiceAddressesRow>
  readonly serviceRanges: Iterable<ServiceRangeRow>
  readonly cloudSubnets: Iterable<CloudSubnetRow>
}

/** What was read of rows, which never change. */
type Parsed = WeakMap<object, readonly IpPrefix[]>

/** By the name of the pool; pools with nothing of others are left out. */
export function foreignIn(
  pools: Iterable<IpPoolRow>,
  { nodes, services, serviceRanges, cloudSubnets }: Others,
  parsed: Parsed = new WeakMap(),
): ReadonlyMap<string, readonly Foreign[]> {
  const ranges = [...pools].map(({ name, ranges: own }) => ({ name, own: own.map(({ cidr }) => parsePrefix(cidr)) }))
  if (ranges.length === 0) return new Map()
  const found = new Map<string, Foreign[]>()
  const see = (prefix: IpPrefix, kind: Foreign['kind'], text: () => string): void => {
    for (const { name, own } of ranges) {
      if (!own.some(range => covers(range, prefix) || covers(prefix, range))) continue
      const all = found.get(name) ?? []
      if (all.length === 0) found.set(name, all)
      all.push({ prefix, kind, text: text() })
    }
  }
  for (const { name, cidrs } of serviceRanges)
    for (const cidr of cidrs) see(parsePrefix(cidr), 'service', () => `${cidr}, the range of ServiceCIDR ${name}`)
  for (const { id, cidrs } of cloudSubnets)
    for (const cidr of cidrs) see(parsePrefix(cidr), 'cloud', () => `${cidr}, subnet ${id} of the cloud`)
  for (const row of nodes)
    for (const prefix of prefixesOf(row, parsed))
      see(prefix, 'node', () => `${formatAddress(prefix)}, an address of Node ${row.name}`)
  for (const row of services)
    for (const prefix of prefixesOf(row, parsed))
      see(prefix, 'service', () => `${formatAddress(prefix)}, the address of Service ${row.namespace}/${row.name}`)
  return found
}

function prefixesOf(row: { readonly addresses: readonly Address[] }, parsed: Parsed): readonly IpPrefix[] {
  const known = parsed.get(row)
  if (known !== undefined) return known
  const read = row.addresses.map(address => {
    const { family, value } = parseAddress(address)
    return { family, value, length: widthOf(family) }
  })
  parsed.set(row, read)
  return read
}

type ForeignTables = Pick<OperatorTables, 'pools' | 'nodes' | 'services' | 'serviceRanges' | 'cloudSubnets'>

/** The same for tables, thought through again only when one of them has changed: of large clusters it takes a while. */
export class ForeignOf {
  readonly #tables: ForeignTables
  readonly #parsed: Parsed = new WeakMap()
  #revisions = ''
  #last: ReadonlyMap<string, readonly Foreign[]> = new Map()

  constructor(tables: ForeignTables) {
    this.#tables = tables
  }

  get(): ReadonlyMap<string, readonly Foreign[]> {
    const { pools, nodes, services, serviceRanges, cloudSubnets } = this.#tables
    const revisions = [pools, nodes, services, serviceRanges, cloudSubnets].map(table => table.revision).join(' ')
    if (revisions !== this.#revisions) this.#last = foreignIn(pools, this.#tables, this.#parsed)
    this.#revisions = revisions
    return this.#last
  }
}
