/** Carries the tables `endpoints`, `hostAddresses`, `formerPods` and `ipcache` into the eBPF maps the programs read. */
import { crc32 } from 'node:zlib'
import { fromMapped16, toMapped16, toMappedPrefix } from '../kernel/ip.ts'
import type { BpfMap } from '../kernel/kernel.ts'
import type { EndpointRow, FormerPodRow, HostAddressRow, IpcacheRow } from '../state/tables.ts'
import type { Target } from '../state/target.ts'
import { EndpointFlags, type EndpointValue, IpcacheFlags, type IpcacheKey, type IpcacheValue } from './shared.gen.ts'

/** Map `endpoints`: addresses of local pods and of the node itself, in 16 bytes. */
export type EndpointMap = BpfMap<Uint8Array, EndpointValue>
/** Map `devices`: interface indices of host sides, for what a pod says before it has an address. */
export type DeviceMap = BpfMap<number, EndpointValue>
export type IpcacheMap = BpfMap<IpcacheKey, IpcacheValue>

/** A growing map is replaced, so targets ask for the current one each time. */
type Current<M> = () => M

/**
 * Pods' addresses and devices. An address is deleted only while it still leads to the row's own device; `gone` is then
 * told of it.
 */
export function endpointTarget(
  current: Current<EndpointMap>,
  devices: Current<DeviceMap>,
  gone: (address: string) => void,
): Target<EndpointRow> {
  const remove = (address: string, index: number): void => {
    const key = toMapped16(address)
    if (current().lookup(key)?.ifindex !== index) return
    current().delete(key)
    gone(address)
  }
  // The kernel gives an index again: it may be another pod's by now.
  const forget = ({ id, device }: EndpointRow): void => {
    if (devices().lookup(device.index)?.id === id) devices().delete(device.index)
  }
  return {
    update(row, previous) {
      for (const address of previous?.addresses ?? []) {
        if (!row.addresses.includes(address)) remove(address, previous?.device.index ?? 0)
      }
      if (previous !== undefined && previous.device.index !== row.device.index) forget(previous)
      const value = endpointValue(row)
      const device = put(devices(), row.device.index, value, sameEndpoint)
      return (
        row.addresses.map(address => put(current(), toMapped16(address), value, sameEndpoint)).includes(true) || device
      )
    },
    delete(row) {
      for (const address of row.addresses) remove(address, row.device.index)
      forget(row)
    },
    prune(desired) {
      const indices = new Set([...desired.values()].map(row => row.device.index))
      const surplus = [...devices().entries()].map(([index]) => index).filter(index => !indices.has(index))
      devices().deleteBatch(surplus)
      const wanted = new Set([...desired.values()].flatMap(row => row.addresses))
      const isPod = (value: EndpointValue): boolean => (value.flags & EndpointFlags.ENDPOINT_HOST) === 0
      return surplus.length + pruneAddresses(current(), wanted, isPod, gone)
    },
  }
}

/** The node's own addresses, which share the map with the pods'. */
export function hostAddressTarget(current: Current<EndpointMap>): Target<HostAddressRow> {
  return behindStackTarget(current, HOST)
}

/** Addresses of pods that another CNI attached, which share it too. */
export function formerPodTarget(current: Current<EndpointMap>): Target<FormerPodRow> {
  return behindStackTarget(current, FORMER)
}

/** Addresses that the host's stack is given packets for, all with this one value, by which they are told from others. */
function behindStackTarget<R extends FormerPodRow>(current: Current<EndpointMap>, value: EndpointValue): Target<R> {
  const isOne = ({ flags }: EndpointValue): boolean => flags === value.flags
  return {
    update: row => put(current(), toMapped16(row.address), value, sameEndpoint),
    delete(row) {
      const there = current().lookup(toMapped16(row.address))
      if (there !== undefined && isOne(there)) current().delete(toMapped16(row.address))
    },
    prune: desired => pruneAddresses(current(), new Set([...desired.values()].map(row => row.address)), isOne),
  }
}

/**
 * Rows are always written: a look-up finds the longest prefix, so an equal value may be that of a wider one which goes
 * one day. What the look-up finds only tells how many were wrong.
 */
export function ipcacheTarget(current: Current<IpcacheMap>): Target<IpcacheRow> {
  const write = (rows: readonly IpcacheRow[]): number => {
    const entries = rows.map(row => [ipcacheKey(row.prefix), ipcacheValue(row)] as const)
    const wrong = entries.filter(([key, value]) => {
      const have = current().lookup(key)
      return have === undefined || !sameIpcache(have, value)
    })
    if (entries.length > 1) current().updateBatch(entries)
    else for (const [key, value] of entries) current().update(key, value)
    return wrong.length
  }
  return {
    update: row => write([row]) > 0,
    updateBatch: write,
    delete: row => current().delete(ipcacheKey(row.prefix)),
    prune(desired) {
      const text = (key: IpcacheKey): string => `${key.prefixLength} ${hex(key.address)}`
      const wanted = new Set([...desired.values()].map(row => text(ipcacheKey(row.prefix))))
      const surplus = [...current().entries()].map(([key]) => key).filter(key => !wanted.has(text(key)))
      current().deleteBatch(surplus)
      return surplus.length
    },
  }
}

/** Six bytes of a colon-separated MAC; throws RangeError on anything else. */
export function macBytes(mac: string): Uint8Array {
  const bytes = mac.split(':').map(part => Number.parseInt(part, 16))
  if (bytes.length !== 6 || bytes.some(b => !(b >= 0 && b <= 255))) throw new RangeError(`no MAC: ${mac}`)
  return Uint8Array.from(bytes)
}

const HOST: EndpointValue = {
  ifindex: 0,
  id: 0,
  flags: EndpointFlags.ENDPOINT_HOST,
  mac: new Uint8Array(6),
  hostMac: new Uint8Array(6),
}

const FORMER: EndpointValue = { ...HOST, flags: EndpointFlags.ENDPOINT_HOST | EndpointFlags.ENDPOINT_FORMER }

function endpointValue(row: EndpointRow): EndpointValue {
  const { device } = row
  return {
    ifindex: device.index,
    id: row.id,
    flags: 0,
    mac: macBytes(row.interface.mac),
    hostMac: macBytes(device.mac),
  }
}

function ipcacheKey(prefix: string): IpcacheKey {
  const { bytes, length } = toMappedPrefix(prefix)
  return { prefixLength: length, address: bytes }
}

function ipcacheValue(row: IpcacheRow): IpcacheValue {
  const node = crc32(row.node)
  const flags = (row.host ? IpcacheFlags.IPCACHE_NODE : 0) | (row.cloud ? IpcacheFlags.IPCACHE_CLOUD : 0)
  if (row.path.kind === 'native') return { tunnel: new Uint8Array(16), flags, node }
  return { tunnel: toMapped16(row.path.tunnel), flags: flags | IpcacheFlags.IPCACHE_OVERLAY, node }
}

/** Writes unless the map says so already; true when it had to. */
function put<K, V>(map: BpfMap<K, V>, key: K, value: V, same: (a: V, b: V) => boolean): boolean {
  const have = map.lookup(key)
  if (have !== undefined && same(have, value)) return false
  map.update(key, value)
  return true
}

function pruneAddresses(
  map: EndpointMap,
  wanted: ReadonlySet<string>,
  mine: (value: EndpointValue) => boolean,
  gone: (address: string) => void = () => {},
): number {
  const surplus = [...map.entries()]
    .filter(([key, value]) => mine(value) && !wanted.has(fromMapped16(key)))
    .map(([key]) => key)
  map.deleteBatch(surplus)
  for (const key of surplus) gone(fromMapped16(key))
  return surplus.length
}

function sameEndpoint(a: EndpointValue, b: EndpointValue): boolean {
  return (
    a.ifindex === b.ifindex &&
    a.id === b.id &&
    a.flags === b.flags &&
    hex(a.mac) === hex(b.mac) &&
    hex(a.hostMac) === hex(b.hostMac)
  )
}

function sameIpcache(a: IpcacheValue, b: IpcacheValue): boolean {
  return a.flags === b.flags && a.node === b.node && hex(a.tunnel) === hex(b.tunnel)
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
