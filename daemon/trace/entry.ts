/** Where a packet meets the programs: which one, at which device, with which link-layer addresses. Pure. */
import { podName } from '../flow/names.ts'
import type { Address, RouteInfo } from '../kernel/kernel.ts'
import type { EndpointRow, UplinkRow } from '../state/tables.ts'
import { macBytes } from '../datapath/map-targets.ts'
import { nodeBehind } from './owners.ts'
import type { Macs } from './frame.ts'
import type { TracedProgram } from './private-program.ts'
import { type Ends, type TraceQuestion, TraceRefused, type TraceTables } from './question.ts'

export interface Entry {
  readonly program: TracedProgram
  readonly device: { readonly name: string; readonly index: number }
  /** Whose device it is. */
  readonly pod?: string
  readonly macs: Macs
}

export interface EntryParts {
  readonly tables: TraceTables
  readonly routeTo: (address: Address) => RouteInfo | undefined
  /** The VXLAN device; undefined when there is none. */
  readonly overlay: { readonly name: string; readonly index: number } | undefined
}

/** Of who is elsewhere, and of devices whose MAC decides nothing. */
const SOMEBODY = macBytes('02:00:00:00:00:01')

/** Throws TraceRefused. */
export function entryOf(parts: EntryParts, ends: Ends, question: TraceQuestion): Entry {
  const { sender } = ends
  if (sender.kind === 'pod') return atPod('pod_out', sender.row)
  if (sender.kind === 'outside') return fromOutside(parts, ends.source, question.device)
  return fromHost(parts, ends)
}

/** By the overlay what comes that way, or is said to. */
function fromOutside(parts: EntryParts, source: Address, device: string | undefined): Entry {
  const { tables, overlay } = parts
  const byOverlay =
    device === undefined ? nodeBehind(tables, source)?.path.kind === 'overlay' : device === overlay?.name
  if (!byOverlay || overlay === undefined) return atUplink('uplink_in', uplinkFor(parts, source, device))
  return { program: 'overlay_in', device: overlay, macs: { source: SOMEBODY, destination: SOMEBODY } }
}

/** What the node itself sends meets a program where it leaves the host's stack. */
function fromHost(parts: EntryParts, { source, destination, service }: Ends): Entry {
  if (service !== undefined)
    throw new TraceRefused(
      'BY_SOCKET',
      `processes of the node are given a backend of ${service.service} when they connect, and no packet goes to ${service.address}: trace to one of its backends, which \`causeway services explain ${source} …\` lists`,
    )
  const { tables, overlay } = parts
  const pod = [...tables.endpoints.values()].find(row => row.addresses.includes(destination))
  if (pod !== undefined) return atPod('pod_in', pod)
  if (tables.hostAddresses.get(destination) !== undefined)
    throw new TraceRefused('BY_LOOPBACK', `${destination} is this node's own: no program sees what it sends itself`)
  if (nodeBehind(tables, destination)?.path.kind === 'overlay' && overlay !== undefined)
    return { program: 'overlay_out', device: overlay, macs: { source: SOMEBODY, destination: SOMEBODY } }
  return atUplink('uplink_out', uplinkFor(parts, destination, undefined))
}

function atPod(program: 'pod_out' | 'pod_in', { pod, key, device, interface: own }: EndpointRow): Entry {
  const [inside, host] = [macBytes(own.mac), macBytes(device.mac)]
  const macs = program === 'pod_out' ? { source: inside, destination: host } : { source: host, destination: inside }
  return { program, device, pod: podName(pod, key), macs }
}

function atUplink(program: 'uplink_in' | 'uplink_out', { name, index, mac }: UplinkRow): Entry {
  const own = macBytes(mac)
  const macs = program === 'uplink_in' ? { source: SOMEBODY, destination: own } : { source: own, destination: SOMEBODY }
  return { program, device: { name, index }, macs }
}

/** The uplink of that name, else the one that leads to an address. */
function uplinkFor({ tables, routeTo, overlay }: EntryParts, address: Address, name: string | undefined): UplinkRow {
  const uplinks = [...tables.uplinks.values()]
  const names = [...uplinks, ...(overlay === undefined ? [] : [overlay])].map(({ name }) => name).join(', ') || 'none'
  if (name !== undefined) {
    const named = uplinks.find(row => row.name === name)
    if (named !== undefined) return named
    throw new TraceRefused('NO_UPLINK', `${name} is no uplink of this node, nor its overlay; there is ${names}`, 404)
  }
  const link = routeTo(address)?.link
  const found = uplinks.find(row => row.index === link) ?? (uplinks.length === 1 ? uplinks[0] : undefined)
  if (found !== undefined) return found
  throw new TraceRefused('NO_UPLINK', `no uplink leads to ${address}: say --device, one of ${names}`)
}
