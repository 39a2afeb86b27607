/** What is on a real node: the kernel's truth, the pinned maps, the journal, the files and what the daemon says. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Status } from '../../../daemon/api/status.ts'
import { isPodDevice } from '../../../daemon/datapath/pod-device.ts'
import {
  addressLayout,
  EndpointFlags,
  type EndpointValue,
  endpointValueLayout,
  ipcacheKeyLayout,
  ipcacheValueLayout,
} from '../../../daemon/datapath/shared.gen.ts'
import type { Attachment } from '../../../daemon/endpoint/attachment.ts'
import { decode } from '../../../daemon/endpoint/journal-format.ts'
import { parseRecord } from '../../../daemon/endpoint/journal-record.ts'
import { codec, type Codec, u32 } from '../../../daemon/kernel/bpf/layout.ts'
import { mapFromPin } from '../../../daemon/kernel/bpf/map.ts'
import { listPins } from '../../../daemon/kernel/bpf/pin.ts'
import { fromMapped16 } from '../../../daemon/kernel/ip.ts'
import { CAUSEWAY_PROTOCOL, type LinkInfo, type Net } from '../../../daemon/kernel/kernel.ts'
import type { EndpointRow } from '../../../daemon/state/tables.ts'
import { get } from '../../../deploy/lab/api.ts'
import type { NodeLayout } from '../../../deploy/lab/layout.ts'

/** An address and the device it leads to. */
interface Place {
  readonly address: string
  readonly index: number
}

/** Everything of the project on a node that can be seen without its daemon. */
export interface NodeState {
  readonly links: readonly LinkInfo[]
  readonly routes: readonly Place[]
  readonly neighbours: readonly Place[]
  readonly map: readonly Place[]
  /** Keys of the map `devices`. */
  readonly mapDevices: readonly number[]
  readonly attachments: readonly Attachment[]
  /** What belongs to no pod's device, a line each. */
  readonly rest: readonly string[]
}

/** What the daemon answers. */
export interface Told {
  readonly rows: readonly EndpointRow[]
  readonly pools: Status['pools']
}

export function lookAt(net: Net, node: NodeLayout): NodeState {
  const links = net.links()
  const names = new Map(links.map(link => [link.index, link.name]))
  const ofPod = (index: number): boolean => isPodDevice(names.get(index) ?? '')
  const routes = net.routes().filter(route => route.protocol === CAUSEWAY_PROTOCOL)
  const neighbours = net.neighbours().filter(neighbour => neighbour.permanent)
  const blocks = net.qdiscs().filter(qdisc => qdisc.kind === 'clsact' && !ofPod(qdisc.link))
  const map = readMap(node, 'endpoints', codec(addressLayout, endpointValueLayout))
  const isHost = (value: EndpointValue): boolean => (value.flags & EndpointFlags.ENDPOINT_HOST) !== 0
  return {
    links,
    routes: routes
      .map(({ dst, link }) => ({ address: dst.replace(/\/.*/, ''), index: link }))
      .filter(p => ofPod(p.index)),
    neighbours: neighbours.map(({ address, link }) => ({ address, index: link })).filter(p => ofPod(p.index)),
    map: map.flatMap(([key, v]) => (isHost(v) ? [] : [{ address: fromMapped16(key), index: v.ifindex }])),
    mapDevices: readMap(node, 'devices', codec(u32, endpointValueLayout)).map(([index]) => index),
    attachments: readJournal(join(node.paths.state, 'journal')),
    rest: [
      ...links.filter(link => !ofPod(link.index)).map(link => `link ${link.index} ${link.name} ${link.kind}`),
      ...routes
        .filter(r => !ofPod(r.link))
        .map(r => `route ${r.dst} via ${r.via} dev ${names.get(r.link)} mtu ${r.mtu}`),
      ...neighbours.filter(n => !ofPod(n.link)).map(n => `neighbour ${n.address} ${n.mac} dev ${names.get(n.link)}`),
      ...blocks.map(q => `clsact ${q.ingressBlock} ${q.egressBlock} dev ${names.get(q.link)}`),
      ...net.rules().map(rule => `rule ${JSON.stringify(rule)}`),
      ...map.flatMap(([key, value]) => (isHost(value) ? [`map endpoints: host ${fromMapped16(key)}`] : [])),
      ...ipcache(node),
      ...['maps', 'links'].flatMap(part => listPins(join(node.paths.bpf, part)).map(pin => `pin ${part}/${pin.name}`)),
      ...[node.paths.run, node.paths.state, node.paths.cniConf].flatMap(filesBelow),
    ].sort(),
  }
}

export async function ask(node: NodeLayout): Promise<Told> {
  const signal = AbortSignal.timeout(20_000)
  const [rows, status] = await Promise.all([
    get(node.socket, '/v1/tables/endpoints', signal),
    get(node.socket, '/v1/status', signal),
  ])
  return { rows: rows.body as EndpointRow[], pools: (status.body as Status).pools }
}

function ipcache(node: NodeLayout): string[] {
  const entries = readMap(node, 'ipcache', codec(ipcacheKeyLayout, ipcacheValueLayout))
  return entries.map(([key]) => `map ipcache: ${fromMapped16(key.address)} ${key.prefixLength}`)
}

/** Entries of a map by its name, whatever the version in its pin's name. */
function readMap<K, V>(node: NodeLayout, name: string, layout: Codec<K, V>): (readonly [K, V])[] {
  const pin = listPins(join(node.paths.bpf, 'maps')).find(each => each.name.startsWith(`${name}_v`))
  if (pin === undefined) return []
  using map = mapFromPin(pin.path, layout)
  return [...(map?.entries() ?? [])]
}

/** The attachments a daemon that starts now would believe in. */
function readJournal(path: string): Attachment[] {
  const live = new Map<string, Attachment>()
  for (const payload of decode(readOrNothing(path)).records) {
    const record = parseRecord(payload)
    if (record?.op === 'add') live.set(record.attachment.key, record.attachment)
    else if (record?.op === 'del') live.delete(record.key)
  }
  return [...live.values()]
}

function readOrNothing(path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch {
    return new Uint8Array()
  }
}

function filesBelow(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter(entry => !entry.isDirectory())
      .map(entry => `file ${join(entry.parentPath, entry.name)}`)
  } catch {
    return [] // uninstall removes the directory itself
  }
}
