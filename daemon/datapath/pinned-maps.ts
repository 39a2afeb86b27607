/**
 * The maps that outlive the daemon. A pin's name carries the version of the map's layout. A map that is to be larger, or
 * whose layout changed, is replaced by a new one that gets the old one's entries, before the programs change over and
 * once more after it for what came in between. Killed at any moment between, the next start does the same again.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Constants } from '../kernel/bpf/constants.ts'
import { type MapInfo, mapInfo } from '../kernel/bpf/map-info.ts'
import {
  type LoadedObject,
  loadObjectAsync,
  type MapOptions,
  type ObjectContents,
  readObject,
} from '../kernel/bpf/object.ts'
import { type ObjectFile, readObjectFile } from '../kernel/bpf/object-file.ts'
import { codec, u32, u64 } from '../kernel/bpf/layout.ts'
import { mapOfFd } from '../kernel/bpf/map.ts'
import { type Copied, copyMissing, type Migration } from './map-copy.ts'
import { byNames } from './map-fields.ts'
import { type MapPin, pinnedMap, pinsOf, putInUse, removeOthers } from './map-pins.ts'

/** What a map's layout is called and how entries of other layouts become ones of this. */
export interface MapLayout {
  readonly version: number
  /** By other version; that of one that is not named goes by the names of fields. */
  readonly migrate?: Readonly<Record<number, Migration>>
  /** Content that lives shorter than an upgrade takes; such a map is not copied. */
  readonly transient?: boolean
}

export type Layouts = Readonly<Record<string, MapLayout>>

/**
 * Every map of bpf/lib/maps.h. Raise the version when the structure changes. Entries of other layouts, older and newer
 * ones, are taken over by the names of fields: a field whose meaning or unit changes takes another name, for builds that
 * are out already read what this one leaves, too. What names do not say is said by `migrate`.
 */
export const MAP_LAYOUTS: Layouts = {
  endpoints: { version: 1 },
  devices: { version: 1 },
  node_addresses: { version: 1 },
  ipcache: { version: 1 },
  conntrack: { version: 1 },
  translations: { version: 2 },
  // Programs of two builds obey it at a time: always as it is.
  change_over: { version: 1 },
  nat_crowds: { version: 1, transient: true },
  nat_crowd_blank: { version: 1, transient: true },
  crowd_shares: { version: 1, transient: true },
  hops: { version: 1, transient: true },
  steady: { version: 2, transient: true },
  scratches: { version: 1, transient: true },
  native_ranges: { version: 1 },
  nic_ways: { version: 1 },
  nat64_prefixes: { version: 1 },
  egress_addresses: { version: 1 },
  egress_paths: { version: 1 },
  departed: { version: 1 },
  services: { version: 2 },
  source_ranges: { version: 1 },
  service_slots: { version: 1 },
  backends: { version: 1 },
  direct_backends: { version: 1 },
  service_ids: { version: 1 },
  service_hits: { version: 1 },
  loads: { version: 1 },
  // Not copied. Another layout of these takes a migration of `services` that takes their tables from them.
  maglev_segments: { version: 1, transient: true },
  affinities: { version: 1 },
  socket_peers: { version: 1 },
  fragments: { version: 1, transient: true },
  events: { version: 1, transient: true },
  metrics: { version: 1, transient: true },
  forwarded: { version: 1, transient: true },
  event_budgets: { version: 1, transient: true },
}

export interface LoadOptions {
  /** Directory of pins, on a bpffs. */
  readonly directory: string
  readonly objects: readonly string[]
  readonly constants: Constants
  /** Entries (bytes for ring buffers) a map shall have at least, by name. */
  readonly sizes: Readonly<Record<string, number>>
  /** MAP_LAYOUTS unless a test brings its own. */
  readonly layouts?: Layouts
}

/** Programs and the maps they share, loaded but not attached. */
export interface LoadedSet extends Disposable {
  programFd(name: string): number
  mapFd(name: string): number
  /**
   * Pins the maps under their names, with all that the replaced ones have got since loading. Call before attaching: from
   * then on a restart finds these. Where maps are replaced no flow is translated anew until `catchUp`, but 5 s at most: of
   * one that some programs know and others do not, packets would go astray.
   */
  pin(): Promise<void>
  /**
   * Carries over what the replaced maps got since pinning, and lets them go. Call after attaching; when it fails, again:
   * the replaced maps stay pinned until it has succeeded.
   */
  catchUp(): Promise<Copied>
}

/**
 * Loads all objects over one set of maps, whole or not at all: what is pinned and attached is untouched by a failure.
 * Verifying and copying leave the event loop free. Throws Error for a constant that no object has, and what
 * `loadObjectAsync` throws.
 */
export async function loadSet(options: LoadOptions): Promise<LoadedSet> {
  using stack = new DisposableStack()
  const objects = options.objects.map(path => {
    const file = readObjectFile(path)
    return { file, contents: readObject(file) }
  })
  refuseUnknown(
    options.constants,
    objects.map(o => o.contents),
  )
  const maps: MapsInUse = { directory: options.directory, layouts: options.layouts ?? MAP_LAYOUTS, fds: new Map() }
  const programs = new Map<string, number>()
  for (const { file, contents } of objects) {
    const object = stack.use(await loadOver(maps, file, contents, options))
    for (const [name, fd] of object.programs) programs.set(name, fd)
    for (const [name, fd] of object.maps) if (maps.layouts[name] && !maps.fds.has(name)) maps.fds.set(name, fd)
  }
  await carryOver(maps)
  const keep = stack.move()
  return {
    programFd: name => required(programs, name, 'program'),
    mapFd: name => required(maps.fds, name, 'map'),
    pin: async () => {
      await holdTranslations(maps)
      pinAll(maps)
    },
    catchUp: async () => {
      setChangeOver(maps, 0n)
      const carried = await carryOver(maps)
      removeOthers(maps.directory, new Map([...layoutsInUse(maps)].map(([name, { version }]) => [name, version])))
      return carried
    },
    [Symbol.dispose]: () => keep.dispose(),
  }
}

/** The maps of one set, by name; descriptors are those of the objects. */
interface MapsInUse {
  readonly directory: string
  readonly layouts: Layouts
  readonly fds: Map<string, number>
}

/** One object, with the maps of those before it, pinned ones, or new ones. */
async function loadOver(
  { directory, layouts, fds }: MapsInUse,
  file: ObjectFile,
  contents: ObjectContents,
  { sizes, constants }: LoadOptions,
): Promise<LoadedObject> {
  // What is pinned is held until the object has descriptors of its own.
  using held = new DisposableStack()
  const choose = (map: ObjectContents['maps'][number], layout: MapLayout): MapOptions => {
    const shared = fds.get(map.name)
    if (shared !== undefined) return { reuseFd: shared }
    return chooseMap(map, sizes[map.name] ?? map.maxEntries, layout, newestOf(directory, map.name, layout, held))
  }
  const maps = contents.maps.flatMap(map => {
    const layout = layouts[map.name]
    return layout === undefined ? [] : [[map.name, choose(map, layout)] as const]
  })
  const names = new Set(contents.constants.map(c => c.name))
  const own = Object.entries(constants).filter(([name]) => names.has(name))
  return await loadObjectAsync(file, { maps: Object.fromEntries(maps), constants: Object.fromEntries(own) })
}

interface OldMap {
  readonly fd: number
  readonly version: number
  readonly info: MapInfo
}

function newestOf(directory: string, name: string, layout: MapLayout, held: DisposableStack): OldMap | undefined {
  const [newest] = byNearness(directory, name, layout)
  const map = newest && pinnedMap(newest.path)
  if (map === undefined) return undefined
  held.use(map)
  return { fd: map.fd, version: newest?.version ?? 0, info: mapInfo(map.fd) }
}

/** The pinned map when it will do, else a new one. Throws when the layout is another under the same version. */
function chooseMap(
  map: ObjectContents['maps'][number],
  wanted: number,
  layout: MapLayout,
  old: OldMap | undefined,
): MapOptions {
  if (old === undefined) return { maxEntries: wanted }
  const { version, transient } = layout
  const { keySize, valueSize, maxEntries } = old.info
  const sameShape = keySize === map.keySize && valueSize === map.valueSize
  const enough = transient ? maxEntries === wanted : maxEntries >= wanted
  if (old.version === version && sameShape && enough) return { reuseFd: old.fd }
  if (transient) return { maxEntries: wanted }
  if (old.version === version && !sameShape)
    throw new Error(`map ${map.name}: its layout changed but its version ${version} did not`)
  return { maxEntries: Math.max(wanted, maxEntries) }
}

/** Fills the maps with what those have whose place they took, nearest first, for no entry is overwritten. */
async function carryOver(maps: MapsInUse): Promise<Copied> {
  let total: Copied = { copied: 0, lost: 0 }
  for (const [name, layout, fd] of layoutsInUse(maps)) {
    if (layout.transient) continue
    for (const { path, version } of byNearness(maps.directory, name, layout)) {
      using from = pinnedMap(path)
      if (from === undefined || from.id === mapInfo(fd).id) continue
      const { copied, lost } = await copyMissing(from.fd, fd, migrationOf(layout, version, from.fd, fd))
      total = { copied: total.copied + copied, lost: total.lost + lost }
    }
  }
  return total
}

function migrationOf(layout: MapLayout, version: number, from: number, to: number): Migration {
  return layout.migrate?.[version] ?? (version === layout.version ? same : byNames(from, to))
}

const MILLISECOND = 1_000_000n
/** Attaching takes some milliseconds; a daemon that dies meanwhile leaves no more than this behind. */
const HOLD_NS = 5000n * MILLISECOND
/** A program that has looked just before has written by then. */
const SETTLE_MS = 5

/** No flow is translated anew from here on, so that the maps know all that are; nothing where no map is replaced. */
async function holdTranslations(maps: MapsInUse): Promise<void> {
  if (!replacesSome(maps)) return
  setChangeOver(maps, process.hrtime.bigint() + HOLD_NS)
  await delay(SETTLE_MS)
  await carryOver(maps)
  setChangeOver(maps, process.hrtime.bigint() + HOLD_NS)
}

/** The clock is CLOCK_MONOTONIC, which programs read to some milliseconds. */
function setChangeOver({ fds }: MapsInUse, until: bigint): void {
  const fd = fds.get('change_over')
  if (fd === undefined) return
  using map = mapOfFd(fd, codec(u32, u64))
  map.update(0, until)
}

/** Whether entries of some map have to go over to another. */
function replacesSome(maps: MapsInUse): boolean {
  return [...layoutsInUse(maps)].some(([name, layout, fd]) => {
    if (layout.transient) return false
    const { id } = mapInfo(fd)
    return byNearness(maps.directory, name, layout).some(({ path }) => {
      using pinned = pinnedMap(path)
      return pinned !== undefined && pinned.id !== id
    })
  })
}

function pinAll(maps: MapsInUse): void {
  for (const [name, { version, transient = false }, fd] of layoutsInUse(maps))
    putInUse({ directory: maps.directory, name, version, fd, keep: !transient })
}

function* layoutsInUse({ layouts, fds }: MapsInUse): Generator<readonly [string, MapLayout, number]> {
  for (const [name, layout] of Object.entries(layouts)) {
    const fd = fds.get(name)
    if (fd !== undefined) yield [name, layout, fd]
  }
}

/**
 * Pins of a map: those of this build's layout, then the others, each newest first. One of another layout beside one of
 * this was left by a build that was killed while it took its place, mostly before its programs ran.
 */
function byNearness(directory: string, name: string, layout: MapLayout): MapPin[] {
  const pins = pinsOf(directory, name)
  const own = ({ version }: MapPin): boolean => version === layout.version
  return [...pins.filter(own), ...pins.filter(pin => !own(pin))]
}

function same(key: Uint8Array, value: Uint8Array): readonly [Uint8Array, Uint8Array] {
  return [key, value]
}

function refuseUnknown(constants: Constants, objects: readonly ObjectContents[]): void {
  const known = new Set(objects.flatMap(o => o.constants.map(c => c.name)))
  const unknown = Object.keys(constants).filter(name => !known.has(name))
  if (unknown.length === 0) return
  throw new Error(`no program has the constant ${unknown.join(', ')}; they have ${[...known].sort().join(', ')}`)
}

function required(fds: ReadonlyMap<string, number>, name: string, what: string): number {
  const found = fds.get(name)
  if (found === undefined) throw new Error(`the objects have no ${what} ${name}`)
  return found
}
