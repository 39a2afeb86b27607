/** What a node's daemon tells the others, which see neither its configuration nor its pods. Pure. */
import type { Settings } from '../config/schema.ts'
import { covers, parseAddress, parsePrefix } from '../kernel/ip.ts'
import type { Address, Prefix } from '../kernel/kernel.ts'
import type { Cloud, EndpointRow, NodeRow, Tables } from '../state/tables.ts'
import { MOST_POD_ADDRESSES } from './join-node.ts'

/** What of the configuration is published. */
export interface FactSettings extends Pick<Settings, 'nodeName'> {
  readonly routing: Pick<Settings['routing'], 'nativeNetwork'>
}

/** Fields of NodeNetwork.status; null where there is nothing to tell. */
export interface NodeFacts {
  readonly cloud: Cloud | 'none'
  readonly nativeNetwork: string | null
  /** Absent while the node's ranges are not known: what was told before stays. */
  readonly podAddresses?: readonly Address[] | null
}

/** What the facts are made of. */
export type FactTables = Pick<Tables, 'nodes' | 'endpoints' | 'cloudNics' | 'cloudBlocks'>

/** Addresses that the others should know and are not told, as problems for `status`. */
export function untold(
  nodeName: string,
  tables: FactTables,
): readonly { readonly place: string; readonly message: string }[] {
  const own = tables.nodes.get(nodeName)
  const rest =
    own === undefined ? 0 : outsideOf(known(own, tables), tables.endpoints.values()).length - MOST_POD_ADDRESSES
  if (rest <= 0) return []
  const message = `${rest + MOST_POD_ADDRESSES} addresses of pods lie outside its ranges, of which other nodes are told ${MOST_POD_ADDRESSES}: start some of these pods anew`
  return [{ place: `NodeNetwork ${nodeName}`, message }]
}

/** What is told: addresses that other nodes cannot derive from the node's ranges, 256 at most, the oldest pods' first. */
export function nodeFacts({ nodeName, routing }: FactSettings, tables: FactTables, cloud: Cloud | 'none'): NodeFacts {
  const own = tables.nodes.get(nodeName)
  const outside =
    own && outsideOf(known(own, tables), tables.endpoints.values()).slice(0, MOST_POD_ADDRESSES).sort(byText)
  return {
    cloud,
    nativeNetwork: routing.nativeNetwork || null,
    ...(outside !== undefined && { podAddresses: outside.length === 0 ? null : outside }),
  }
}

/** Where other nodes find pods without being told of each: the node's ranges, and what the cloud routes. */
function known(own: NodeRow, { cloudNics, cloudBlocks }: FactTables): readonly Prefix[] {
  const subnets = [...cloudNics.values()].flatMap(nic => nic.subnetCidrs)
  return [...own.podCidrs, ...subnets, ...[...cloudBlocks.values()].map(row => row.block)]
}

/** Addresses of endpoints in none of the ranges, the oldest first: where only some can be told, these stay the same. */
function outsideOf(ranges: readonly Prefix[], endpoints: Iterable<EndpointRow>): readonly Address[] {
  const parsed = ranges.map(parsePrefix)
  const isOutside = (address: Address): boolean => !parsed.some(range => covers(range, parseAddress(address)))
  return [...endpoints].sort((a, b) => a.id - b.id).flatMap(({ addresses }) => addresses.filter(isOutside))
}

function byText(a: string, b: string): number {
  return a < b ? -1 : 1
}
