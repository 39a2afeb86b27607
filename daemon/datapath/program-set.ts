/** The loaded programs with their maps, typed. How one set takes another's place: `programs.ts`. */
import { join } from 'node:path'
import { codec, u32, u64 } from '../kernel/bpf/layout.ts'
import { type EbpfMap, mapOfFd } from '../kernel/bpf/map.ts'
import { mapInfo } from '../kernel/bpf/map-info.ts'
import { toMapped16 } from '../kernel/ip.ts'
import type { Address, Family } from '../kernel/kernel.ts'
import { runSyscallProgram } from '../kernel/bpf/run-syscall-program.ts'
import { type Backend, backendLayout, CT_EXPIRY_SIZE, decodeCtExpiry, encodeCtExpiry } from './shared.gen.ts'
import { type Load, type LoadKey, loadKeyLayout, loadLayout } from './shared.gen.ts'
import { type ServiceKey, serviceKeyLayout, type ServiceValue, serviceValueLayout } from './shared.gen.ts'
import { type SocketPeer, type SocketPeerKey, socketPeerKeyLayout, socketPeerLayout } from './shared.gen.ts'
import { type AffinityKey, affinityKeyLayout, type AffinityValue, affinityValueLayout } from './shared.gen.ts'
import {
  type DirectKey,
  directKeyLayout,
  type ServiceIds,
  serviceIdsLayout,
  type SlotKey,
  slotKeyLayout,
  type SourceRangeKey,
  sourceRangeKeyLayout,
} from './shared.gen.ts'
import {
  ADDRESS_SIZE,
  addressLayout,
  Family as SharedFamily,
  type EndpointValue,
  endpointValueLayout,
} from './shared.gen.ts'
import { type IpcacheKey, ipcacheKeyLayout, type IpcacheValue, ipcacheValueLayout } from './shared.gen.ts'
import { type EgressAddress, egressAddressLayout, type EgressKey, egressKeyLayout } from './shared.gen.ts'
import { type CtKey, ctKeyLayout, type CtValue, ctValueLayout } from './shared.gen.ts'
import { type EgressPath, type EgressPathKey, egressPathKeyLayout, egressPathLayout } from './shared.gen.ts'
import { type NatKey, natKeyLayout, type NatValue, natValueLayout } from './shared.gen.ts'
import { type NicWay, nicWayLayout } from './shared.gen.ts'
import { type RangeKey, rangeKeyLayout } from './shared.gen.ts'
import type { ProgramConstants } from './constants.ts'
import type { ExpiryCount } from './conntrack.ts'
import type { Copied } from './map-copy.ts'
import { MaglevSegments } from './maglev-segments.ts'
import type { TableBlocks } from './maglev-tables.ts'
import { type LoadedSet, loadSet } from './pinned-maps.ts'
import type { Sizes } from './programs.ts'

/** Objects in build/bpf, all over one set of maps. */
const OBJECTS = ['pod', 'uplink', 'overlay', 'conntrack', 'sock', 'xdp'] as const

export interface ProgramSetOptions {
  /** Directory of the compiled objects. */
  readonly objects: string
  /** Directory of the maps' pins. */
  readonly pins: string
  readonly constants: ProgramConstants
  readonly sizes: Sizes
}

export interface ProgramSet extends Disposable {
  readonly endpoints: EbpfMap<Uint8Array, EndpointValue>
  readonly devices: EbpfMap<number, EndpointValue>
  readonly ipcache: EbpfMap<IpcacheKey, IpcacheValue>
  readonly departed: EbpfMap<Uint8Array, bigint>
  readonly egress: EbpfMap<EgressKey, EgressAddress>
  readonly nativeRanges: EbpfMap<RangeKey, number>
  readonly nicWays: EbpfMap<RangeKey, NicWay>
  readonly egressPaths: EbpfMap<EgressPathKey, EgressPath>
  readonly nat64Prefixes: EbpfMap<RangeKey, number>
  readonly translations: EbpfMap<NatKey, NatValue>
  readonly conntrack: EbpfMap<CtKey, CtValue>
  readonly services: EbpfMap<ServiceKey, ServiceValue>
  readonly ranges: EbpfMap<SourceRangeKey, number>
  readonly slots: EbpfMap<SlotKey, Backend>
  readonly backends: EbpfMap<number, Backend>
  readonly direct: EbpfMap<DirectKey, Backend>
  readonly ids: EbpfMap<number, ServiceIds>
  readonly hits: EbpfMap<number, bigint>
  readonly loads: EbpfMap<LoadKey, Load>
  readonly tables: TableBlocks
  readonly affinities: EbpfMap<AffinityKey, AffinityValue>
  readonly peers: EbpfMap<SocketPeerKey, SocketPeer>
  /** What the programs were loaded with. */
  readonly constants: ProgramConstants
  /** Entries that a map has room for. */
  capacity(map: string): number
  /** What other nodes know this node by. */
  setNodeAddresses(addresses: Readonly<Record<Family, Address | undefined>>): void
  /** Both descriptors are the set's, valid until it is disposed. */
  programFd(name: string): number
  mapFd(name: string): number
  /** One run over the whole map, on a thread; the set must stay undisposed meanwhile. Flows in `loads` are counted if asked. */
  expireConntrack(countLoads: boolean): Promise<ExpiryCount>
  /** See LoadedSet: call around attaching. */
  pin(): Promise<void>
  catchUp(): Promise<Copied>
}

/** Loads a set over the pinned maps. Throws VerifierError, LoadError, MapMismatch, Error for an unknown constant. */
export async function loadProgramSet(options: ProgramSetOptions): Promise<ProgramSet> {
  using stack = new DisposableStack()
  const set: LoadedSet = stack.use(
    await loadSet({
      directory: options.pins,
      objects: OBJECTS.map(name => join(options.objects, `${name}.o`)),
      constants: options.constants,
      sizes: options.sizes,
    }),
  )
  const endpoints = stack.use(mapOfFd(set.mapFd('endpoints'), codec(addressLayout, endpointValueLayout)))
  const devices = stack.use(mapOfFd(set.mapFd('devices'), codec(u32, endpointValueLayout)))
  const ipcache = stack.use(mapOfFd(set.mapFd('ipcache'), codec(ipcacheKeyLayout, ipcacheValueLayout)))
  const departed = stack.use(mapOfFd(set.mapFd('departed'), codec(addressLayout, u64)))
  const egress = stack.use(mapOfFd(set.mapFd('egress_addresses'), codec(egressKeyLayout, egressAddressLayout)))
  const nativeRanges = stack.use(mapOfFd(set.mapFd('native_ranges'), codec(rangeKeyLayout, u32)))
  const nicWays = stack.use(mapOfFd(set.mapFd('nic_ways'), codec(rangeKeyLayout, nicWayLayout)))
  const egressPaths = stack.use(mapOfFd(set.mapFd('egress_paths'), codec(egressPathKeyLayout, egressPathLayout)))
  const nat64Prefixes = stack.use(mapOfFd(set.mapFd('nat64_prefixes'), codec(rangeKeyLayout, u32)))
  const translations = stack.use(mapOfFd(set.mapFd('translations'), codec(natKeyLayout, natValueLayout)))
  const conntrack = stack.use(mapOfFd(set.mapFd('conntrack'), codec(ctKeyLayout, ctValueLayout)))
  const services = stack.use(mapOfFd(set.mapFd('services'), codec(serviceKeyLayout, serviceValueLayout)))
  const ranges = stack.use(mapOfFd(set.mapFd('source_ranges'), codec(sourceRangeKeyLayout, u32)))
  const slots = stack.use(mapOfFd(set.mapFd('service_slots'), codec(slotKeyLayout, backendLayout)))
  const backends = stack.use(mapOfFd(set.mapFd('backends'), codec(u32, backendLayout)))
  const direct = stack.use(mapOfFd(set.mapFd('direct_backends'), codec(directKeyLayout, backendLayout)))
  const ids = stack.use(mapOfFd(set.mapFd('service_ids'), codec(u32, serviceIdsLayout)))
  const hits = stack.use(mapOfFd(set.mapFd('service_hits'), codec(u32, u64)))
  const loads = stack.use(mapOfFd(set.mapFd('loads'), codec(loadKeyLayout, loadLayout)))
  const tables = stack.use(new MaglevSegments(set.mapFd('maglev_segments')))
  const affinities = stack.use(mapOfFd(set.mapFd('affinities'), codec(affinityKeyLayout, affinityValueLayout)))
  const peers = stack.use(mapOfFd(set.mapFd('socket_peers'), codec(socketPeerKeyLayout, socketPeerLayout)))
  const nodeAddresses = stack.use(mapOfFd(set.mapFd('node_addresses'), codec(u32, addressLayout)))
  const keep = stack.move()
  return {
    endpoints,
    devices,
    ipcache,
    departed,
    egress,
    nativeRanges,
    nicWays,
    egressPaths,
    nat64Prefixes,
    translations,
    conntrack,
    services,
    ranges,
    slots,
    backends,
    direct,
    ids,
    hits,
    loads,
    tables,
    affinities,
    peers,
    constants: options.constants,
    capacity: map => mapInfo(set.mapFd(map)).maxEntries,
    setNodeAddresses: addresses => {
      const none = new Uint8Array(ADDRESS_SIZE)
      const bytes = (address: Address | undefined) => (address === undefined ? none : toMapped16(address))
      nodeAddresses.update(SharedFamily.FAMILY_IPV4, bytes(addresses[4]))
      nodeAddresses.update(SharedFamily.FAMILY_IPV6, bytes(addresses[6]))
    },
    programFd: name => set.programFd(name),
    mapFd: name => set.mapFd(name),
    expireConntrack: countLoads => expire(set.programFd('ct_expire'), countLoads),
    pin: () => set.pin(),
    catchUp: () => set.catchUp(),
    [Symbol.dispose]: () => keep.dispose(),
  }
}

async function expire(programFd: number, countLoads: boolean): Promise<ExpiryCount> {
  const request = new Uint8Array(CT_EXPIRY_SIZE)
  const none = { live: 0n, expired: 0n, translations: 0n, crowds: 0n }
  encodeCtExpiry(new DataView(request.buffer), 0, { ...none, loads: countLoads ? 1n : 0n })
  const context = await runSyscallProgram(programFd, request)
  const { live, expired, crowds } = decodeCtExpiry(new DataView(context.buffer), 0)
  return { live: Number(live), expired: Number(expired), crowds: Number(crowds) }
}
