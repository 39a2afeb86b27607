/**
 * The maps that outlive the daemon. A pin's name carries the version of the map's layout. A map that is to be larger, or
 * whose layout changed, is replaced by a new one that gets the old one's entries, before the programs change over and
 * once more after it for what came in between.
 */
import { closeSync } from 'node:fs'
import { join } from 'node:path'
import {
  loadObject,
  type LoadedObject,
  type MapOptions,
  type ObjectContents,
  readObject,
} from '../kernel/bpf/object.ts'
import { bytes, codec } from '../kernel/bpf/layout.ts'
import { type EbpfMap, mapOfFd } from '../kernel/bpf/map.ts'
import { type MapInfo, mapInfo } from '../kernel/bpf/map-info.ts'
import { getPin, listPins, pin, unpin } from '../kernel/bpf/pin.ts'
import type { Constants } from '../kernel/bpf/constants.ts'

type Raw = Uint8Array
type RawMap = EbpfMap<Raw, Raw>

/** What a map's layout is called and how entries of older layouts become ones of this. */
export interface MapLayout {
  readonly version: number
  /** By older version; undefined drops an entry that has no counterpart. */
  readonly migrate?: Readonly<Record<number, (key: Raw, value: Raw) => readonly [Raw, Raw] | undefined>>
  /** Content that lives shorter than an upgrade takes; such a map is not copied. */
  readonly transient?: boolean
}

export type Layouts = Readonly<Record<string, MapLayout>>

/** Every map of bpf/lib/maps.h. Raise a version together with its migration when the structure changes. */
export const MAP_LAYOUTS: Layouts = {
  endpoints: { version: 1 },
  devices: { version: 1 },
  ipcache: { version: 1 },
  conntrack: { version: 1 },
  fragments: { version: 1, transient: true },
  events: { version: 1, transient: true },
  metrics: { version: 1, transient: true },
  forwarded: { version: 1, transient: true },
  event_budgets: { version: 1, transient: true },
}

/** A map taking another's place. */
interface Replacement {
  readonly from: RawMap
  readonly to: RawMap
  readonly migrate: (key: Raw, value: Raw) => readonly [Raw, Raw] | undefined
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
  /** Pins the maps under their names. Call before attaching: from then on a restart finds these. */
  pin(): void
  /** Carries over what the replaced maps got since loading. Call after attaching. Returns how many entries. */
  catchUp(): number
}

/** Loads all objects over one set of maps, whole or not at all: what is pinned and attached is untouched by a failure. */
export function loadSet(options: LoadOptions): LoadedSet {
  using stack = new DisposableStack()
  const loaded: LoadedObject[] = []
  const fds = new Map<string, number>()
  const replacements: Replacement[] = []
  const layouts = options.layouts ?? MAP_LAYOUTS
  for (const path of options.objects) {
    const contents = readObject(path)
    const plans = contents.maps.flatMap(map => {
      const layout = layouts[map.name]
      return layout === undefined ? [] : [planMap({ map, layout, fds, options }, stack)]
    })
    const maps = Object.fromEntries(plans.map(p => [p.name, p.options]))
    const constants = pick(
      options.constants,
      contents.constants.map(c => c.name),
    )
    const object = stack.use(loadObject(path, { maps, constants }))
    loaded.push(object)
    for (const { name, layout, old } of plans) {
      fds.set(name, object.mapFd(name))
      if (old !== undefined) replacements.push(...replacementOf(layout, old, object.mapFd(name), stack))
    }
  }
  for (const r of replacements) r.to.updateBatch([...migrated(r)])
  const keep = stack.move()
  return {
    programFd: name =>
      required(
        loaded.flatMap(o => [...o.programs]),
        name,
        'program',
      ),
    mapFd: name => required([...fds], name, 'map'),
    pin: () => pinAll(options.directory, fds, layouts),
    catchUp: () => replacements.reduce((n, r) => n + copyMissing(r), 0),
    [Symbol.dispose]: () => keep.dispose(),
  }
}

/** File name of a map's pin; a bpffs takes no dots. */
function pinName(name: string, version: number): string {
  return `${name}_v${version}`
}

interface OldMap {
  readonly fd: number
  readonly info: MapInfo
  readonly version: number
}

interface MapPlan {
  readonly name: string
  readonly layout: MapLayout
  readonly options: MapOptions
  /** The map this one takes the place of. */
  readonly old?: OldMap
}

interface MapRequest {
  readonly map: ObjectContents['maps'][number]
  readonly layout: MapLayout
  /** Maps that objects before this one have brought. */
  readonly fds: ReadonlyMap<string, number>
  readonly options: LoadOptions
}

/** A map another object has already, the pinned one, or a new one in its place. */
function planMap({ map, layout, fds, options }: MapRequest, stack: DisposableStack): MapPlan {
  const { name } = map
  const plan = (chosen: MapOptions, old?: OldMap): MapPlan => ({ name, layout, options: chosen, ...(old && { old }) })
  const shared = fds.get(name)
  if (shared !== undefined) return plan({ reuseFd: shared })
  const wanted = options.sizes[name] ?? map.maxEntries
  const old = findOld(options.directory, name, layout, stack)
  if (old === undefined) return plan({ maxEntries: wanted })
  const sameShape = old.info.keySize === map.keySize && old.info.valueSize === map.valueSize
  const enough = layout.transient ? old.info.maxEntries === wanted : old.info.maxEntries >= wanted
  const current = old.version === layout.version
  if (current && sameShape && enough) return plan({ reuseFd: old.fd })
  if (layout.transient) return plan({ maxEntries: wanted })
  if (current && !sameShape)
    throw new Error(`map ${name}: its layout changed but its version ${layout.version} did not`)
  return plan({ maxEntries: Math.max(wanted, old.info.maxEntries) }, old)
}

/** The pinned map of the newest layout this build can read. */
function findOld(directory: string, name: string, layout: MapLayout, stack: DisposableStack): OldMap | undefined {
  const older = Object.keys(layout.migrate ?? {})
    .map(Number)
    .sort((a, b) => b - a)
  for (const version of [layout.version, ...older]) {
    const fd = getPin(join(directory, pinName(name, version)))
    if (fd === undefined) continue
    stack.defer(() => closeSync(fd))
    return { fd, info: mapInfo(fd), version }
  }
  return undefined
}

function replacementOf(layout: MapLayout, old: OldMap, fd: number, stack: DisposableStack): Replacement[] {
  const same = (key: Raw, value: Raw): readonly [Raw, Raw] => [key, value]
  const migrate = old.version === layout.version ? same : layout.migrate?.[old.version]
  return migrate === undefined ? [] : [{ from: stack.use(rawMap(old.fd)), to: stack.use(rawMap(fd)), migrate }]
}

function rawMap(fd: number): RawMap {
  const { keySize, valueSize } = mapInfo(fd)
  return mapOfFd(fd, codec(bytes(keySize), bytes(valueSize)))
}

function* migrated(r: Replacement): Generator<readonly [Raw, Raw]> {
  for (const [key, value] of r.from.entries()) {
    const entry = r.migrate(key, value)
    if (entry !== undefined) yield entry
  }
}

function copyMissing(r: Replacement): number {
  let copied = 0
  for (const [key, value] of migrated(r)) {
    if (r.to.lookup(key) !== undefined) continue
    r.to.update(key, value)
    copied++
  }
  return copied
}

function pinAll(directory: string, fds: ReadonlyMap<string, number>, layouts: Layouts): void {
  const names = new Map([...fds].map(([name, fd]) => [pinName(name, layouts[name]?.version ?? 1), fd]))
  for (const [name, fd] of names) pin(fd, join(directory, name), { replace: true })
  for (const old of listPins(directory)) if (!names.has(old.name)) unpin(old.path)
}

function pick(constants: Constants, names: readonly string[]): Constants {
  return Object.fromEntries(Object.entries(constants).filter(([name]) => names.includes(name)))
}

function required(list: readonly (readonly [string, number])[], name: string, what: string): number {
  const found = list.find(([n]) => n === name)
  if (found === undefined) throw new Error(`the objects have no ${what} ${name}`)
  return found[1]
}
