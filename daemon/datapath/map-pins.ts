/**
 * Pins of maps: `NAME_vVERSION` is the map in use, VERSION that of its layout. The map whose place it took keeps a pin
 * (`NAME_vVERSION_was_ID`, or its own name where the layout is another) until its entries have been carried over: until
 * then programs may still write to it, and whoever starts after a crash finds it.
 */
import { closeSync } from 'node:fs'
import { join } from 'node:path'
import { bytes, codec } from '../kernel/bpf/layout.ts'
import { mapOfFd } from '../kernel/bpf/map.ts'
import { mapInfo } from '../kernel/bpf/map-info.ts'
import { getPin, listPins, pin, unpin } from '../kernel/bpf/pin.ts'

export interface MapPin {
  readonly path: string
  readonly version: number
  /** Id of the map when another has taken its place. */
  readonly was: number | undefined
}

/** Pins of one map, the newest first: that in use, those whose place it took, then those of older layouts. */
export function pinsOf(directory: string, name: string): MapPin[] {
  return listPins(directory)
    .flatMap(({ name: file, path }): MapPin[] => {
      const [, of, version, was] = /^(\w+)_v(\d+)(?:_was_(\d+))?$/.exec(file) ?? []
      return of === name ? [{ path, version: Number(version), was: was === undefined ? undefined : Number(was) }] : []
    })
    .toSorted((a, b) => b.version - a.version || (b.was ?? Infinity) - (a.was ?? Infinity))
}

export interface Placement {
  readonly directory: string
  readonly name: string
  readonly version: number
  readonly fd: number
  /** Leave a pin of the map that was there. */
  readonly keep: boolean
}

/** Puts a map in use under its name, in one step. */
export function putInUse({ directory, name, version, fd, keep }: Placement): void {
  const path = join(directory, fileName(name, version))
  using held = pinnedMap(path)
  if (held?.id === mapInfo(fd).id) return
  if (held !== undefined && keep) pin(held.fd, `${path}_was_${held.id}`, { replace: true })
  pin(fd, path, { replace: true })
}

/** Removes every pin but those of the maps in use, given as name and version. */
export function removeOthers(directory: string, inUse: ReadonlyMap<string, number>): void {
  const wanted = new Set([...inUse].map(([name, version]) => fileName(name, version)))
  for (const { name, path } of listPins(directory)) if (!wanted.has(name)) unpin(path)
}

/** Whether the map in use of that name, of whatever layout, has an entry; false where there is none. */
export function hasPinnedEntries(directory: string, name: string): boolean {
  const [newest] = pinsOf(directory, name)
  using held = newest === undefined ? undefined : pinnedMap(newest.path)
  if (held === undefined) return false
  const { keySize, valueSize } = mapInfo(held.fd)
  using map = mapOfFd(held.fd, codec(bytes(keySize), bytes(valueSize)))
  for (const _entry of map.entries()) return true
  return false
}

/** A descriptor of the map pinned at a path, closed when disposed; undefined when nothing is there. */
export function pinnedMap(path: string): ({ readonly fd: number; readonly id: number } & Disposable) | undefined {
  const fd = getPin(path)
  if (fd === undefined) return undefined
  return { fd, id: mapInfo(fd).id, [Symbol.dispose]: () => closeSync(fd) }
}

/** A bpffs takes no dots. */
function fileName(name: string, version: number): string {
  return `${name}_v${version}`
}
