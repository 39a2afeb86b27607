/** Whose an address is, as the tables say now. Pure. */
import { podName } from '../flow/names.ts'
import { covers, familyIn, parseAddress, parsePrefix } from '../kernel/ip.ts'
import type { Address } from '../kernel/kernel.ts'
import type { IpcacheRow, Tables } from '../state/tables.ts'

export interface Owner {
  /** `namespace/name`. */
  readonly pod?: string
  readonly node?: string
}

type OwnerTables = Pick<Tables, 'endpoints' | 'pods' | 'hostAddresses' | 'nodes' | 'ipcache'>

/** Undefined for who is outside. */
export function ownerOf(tables: OwnerTables, nodeName: string, address: Address): Owner | undefined {
  const here = [...tables.endpoints.values()].find(row => row.addresses.includes(address))
  if (here !== undefined) return { pod: podName(here.pod, here.key), node: nodeName }
  if (tables.hostAddresses.get(address) !== undefined) return { node: nodeName }
  const pod = [...tables.pods.values()].find(row => !row.hostNetwork && row.addresses.includes(address))
  if (pod !== undefined) return { pod: `${pod.namespace}/${pod.name}`, node: pod.nodeName }
  const node =
    nodeBehind(tables, address)?.node ?? [...tables.nodes.values()].find(n => n.addresses.includes(address))?.name
  return node === undefined ? undefined : { node }
}

/** The longest prefix of other nodes that an address is in. */
export function nodeBehind({ ipcache }: Pick<Tables, 'ipcache'>, address: Address): IpcacheRow | undefined {
  const wanted = parseAddress(address)
  let best: { readonly row: IpcacheRow; readonly length: number } | undefined
  for (const row of ipcache.values()) {
    if (familyIn(row.prefix) !== wanted.family) continue
    const prefix = parsePrefix(row.prefix)
    if (prefix.length > (best?.length ?? -1) && covers(prefix, wanted)) best = { row, length: prefix.length }
  }
  return best?.row
}
