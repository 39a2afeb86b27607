/** Services for tests of the programs: what the control plane would write for them. */
import {
  backendLayout,
  directKeyLayout,
  loadKeyLayout,
  loadLayout,
  MaglevSize,
  NatFlags,
  ServiceFlags,
  serviceIdsLayout,
  ServiceScope,
  serviceKeyLayout,
  type ServiceValue,
  serviceValueLayout,
  slotKeyLayout,
  sourceRangeKeyLayout,
  natKeyLayout,
  natValueLayout,
} from '../../daemon/datapath/shared.gen.ts'
import { MaglevSegments } from '../../daemon/datapath/maglev-segments.ts'
import { EMPTY_SERVICE } from '../../daemon/datapath/service-addresses.ts'
import type { ServiceMaps } from '../../daemon/datapath/service-target.ts'
import { replaceRanges } from '../../daemon/datapath/service-ranges.ts'
import { type Codec, codec, u32 } from '../../daemon/kernel/bpf/layout.ts'
import type { LoadedObject } from '../../daemon/kernel/bpf/object.ts'
import { fromMapped16, toMapped16 } from '../../daemon/kernel/ip.ts'

/** An object's maps as the daemon carries services to them; they are closed with the stack. */
export function serviceMaps(object: LoadedObject, stack: DisposableStack): ServiceMaps {
  return {
    services: stack.use(object.map('services', codec(serviceKeyLayout, serviceValueLayout))),
    ranges: stack.use(object.map('source_ranges', codec(sourceRangeKeyLayout, u32))),
    slots: stack.use(object.map('service_slots', codec(slotKeyLayout, backendLayout))),
    backends: stack.use(object.map('backends', codec(u32, backendLayout))),
    direct: stack.use(object.map('direct_backends', codec(directKeyLayout, backendLayout))),
    ids: stack.use(object.map('service_ids', codec(u32, serviceIdsLayout))),
    tables: stack.use(new MaglevSegments(object.mapFd('maglev_segments'))),
  }
}

const PROTOCOL = { tcp: 6, udp: 17, sctp: 132 } as const

export interface TestService {
  readonly address: string
  readonly port?: number
  readonly protocol: keyof typeof PROTOCOL
  readonly scope?: 'inside' | 'outside'
  /** At port 8080 each. */
  readonly backends: readonly string[]
  readonly affinitySeconds?: number
  /** Who may use it, of IPv4. */
  readonly ranges?: readonly string[]
  /** Nobody is at other ports of its address. */
  readonly exclusive?: boolean
  /** Pods of other nodes answer its clients themselves; those of this node that do so for other nodes. */
  readonly dsr?: readonly string[]
  /** Which backend each place of its Maglev table holds, by their indices. */
  readonly table?: readonly number[]
  /** The flow chooses the place; else chance does. */
  readonly byFlow?: boolean
  /** Of two by chance the one with fewer flows. */
  readonly least?: boolean
}

export const SERVICE_PORT = 80
export const BACKEND_PORT = 8080
let nextId = 1
/** The tables of tests lie one behind the other, each in blocks of its own. */
let nextBlock = 0

/** Writes a service into the maps of an object; its backends' ids, in order, then those of `dsr`. */
export function makeService(object: LoadedObject, service: TestService): number[] {
  using services = object.map('services', codec(serviceKeyLayout, serviceValueLayout))
  using slots = object.map('service_slots', codec(slotKeyLayout, backendLayout))
  using backends = object.map('backends', codec(u32, backendLayout))
  const scope = service.scope === 'outside' ? ServiceScope.SERVICE_OUTSIDE : ServiceScope.SERVICE_INSIDE
  const address = toMapped16(service.address)
  const id = nextId++
  const ids = service.backends.map((backend, index) => {
    const row = { address: toMapped16(backend), port: BACKEND_PORT, id: id * 100 + index }
    backends.update(row.id, row)
    slots.update({ service: id, index }, row)
    return row.id
  })
  const { port = SERVICE_PORT, affinitySeconds = 0, exclusive = true, ranges = [], dsr = [] } = service
  using direct = object.map('direct_backends', codec(directKeyLayout, backendLayout))
  for (const [index, pod] of dsr.entries()) {
    const row = { address: toMapped16(pod), port: BACKEND_PORT, id: id * 100 + 50 + index }
    backends.update(row.id, row)
    direct.update({ service: id, address: row.address }, row)
    ids.push(row.id)
  }
  const flags =
    (service.byFlow ? ServiceFlags.SERVICE_BY_FLOW : 0) |
    (service.least ? ServiceFlags.SERVICE_LEAST : 0) |
    (service.dsr === undefined ? 0 : ServiceFlags.SERVICE_DSR) |
    (exclusive ? ServiceFlags.SERVICE_EXCLUSIVE : 0) |
    (ranges.length > 0 ? ServiceFlags.SERVICE_RANGES : 0)
  using allowed = object.map('source_ranges', codec(sourceRangeKeyLayout, u32))
  replaceRanges(allowed, id, [], ranges)
  services.update(
    { address, port, protocol: PROTOCOL[service.protocol], scope },
    {
      ...EMPTY_SERVICE,
      id,
      count: service.backends.length,
      affinitySeconds,
      flags,
      ...makeTable(object, service.table),
    },
  )
  if (exclusive) services.update({ address, port: 0, protocol: 0, scope }, EMPTY_SERVICE)
  return ids
}

function makeTable(object: LoadedObject, places: readonly number[] = []): Partial<ServiceValue> {
  if (places.length === 0) return {}
  using segments = new MaglevSegments(object.mapFd('maglev_segments'))
  segments.write(nextBlock, Uint16Array.from(places))
  const table = { table: nextBlock, tableSize: places.length }
  nextBlock += Math.ceil(places.length / MaglevSize.MAGLEV_BLOCK)
  return table
}

/** Takes a backend away, as one that ends is. */
export function removeBackend(object: LoadedObject, id: number): void {
  using backends = object.map('backends', codec(u32, backendLayout))
  backends.delete(id)
}

/** No service, no translation. */
export function clearServices(object: LoadedObject): void {
  clear(object, 'services', codec(serviceKeyLayout, serviceValueLayout))
  clear(object, 'service_slots', codec(slotKeyLayout, backendLayout))
  clear(object, 'backends', codec(u32, backendLayout))
  clear(object, 'direct_backends', codec(directKeyLayout, backendLayout))
  clear(object, 'source_ranges', codec(sourceRangeKeyLayout, u32))
  clear(object, 'loads', codec(loadKeyLayout, loadLayout))
  clearTranslations(object)
}

export function clearTranslations(object: LoadedObject): void {
  clear(object, 'translations', codec(natKeyLayout, natValueLayout))
}

function clear<K, V>(object: LoadedObject, name: string, layout: Codec<K, V>): void {
  using map = object.map(name, layout)
  for (const [key] of map.entries()) map.delete(key)
}

/** `SOURCE > DESTINATION → SOURCE > DESTINATION`, sorted; `<` in the place of the arrow: of replies. */
export function translations(object: LoadedObject): string[] {
  using map = object.map('translations', codec(natKeyLayout, natValueLayout))
  const end = (address: Uint8Array, port: number): string => {
    const text = fromMapped16(address)
    return text.includes(':') ? `[${text}]:${port}` : `${text}:${port}`
  }
  const sides = (t: { source: Uint8Array; sourcePort: number; destination: Uint8Array; destinationPort: number }) =>
    `${end(t.source, t.sourcePort)} > ${end(t.destination, t.destinationPort)}`
  return [...map.entries()]
    .map(([key, value]) => `${sides(key)} ${(value.flags & NatFlags.NAT_REPLY) === 0 ? '→' : '<'} ${sides(value)}`)
    .sort()
}
