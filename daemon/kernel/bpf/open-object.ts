/** An object file in libbpf's hands: opened, configured, not yet loaded. */
import koffi from 'koffi'
import { parse } from 'node:path'
import { lastErrno } from '../sys.ts'
import { type Btf, parseBtf } from './btf.ts'
import { attachType, type AttachType, mapType, nameOf, programType, type ProgramType } from './codes.ts'
import { type Constants, writeConstants } from './constants.ts'
import { libbpf } from './libbpf.ts'
import { mapInfo } from './map-info.ts'
import type { ObjectFile } from './object-file.ts'
import { LoadError, MapMismatch, type MapShape, ObjectError } from './object-errors.ts'

export interface ProgramOptions {
  /** Needed where the section's name says nothing to the oldest libbpf, as with netkit. */
  readonly type?: ProgramType
  readonly attach?: AttachType
  /** false leaves the program out. */
  readonly load?: boolean
}
export interface MapOptions {
  readonly maxEntries?: number
  /** Of `mapFlag`, or-ed, besides those that the object states. */
  readonly flags?: number
  /** An existing map to use instead of a new one; stays the caller's. Throws MapMismatch when its shape differs. */
  readonly reuseFd?: number
  /** A map with the layout of the inner ones, for maps of maps whose definition does not state it. */
  readonly innerMapFd?: number
  /** false leaves the map out; only programs that do not mention it can be loaded then. */
  readonly create?: boolean
}
export interface ObjectOptions {
  readonly programs?: Readonly<Record<string, ProgramOptions>>
  readonly maps?: Readonly<Record<string, MapOptions>>
  /** Values of `const volatile` variables, by name; the others keep what the source says. Fixed once loaded. */
  readonly constants?: Constants
  /** Loads these programs only. */
  readonly only?: readonly string[]
  /** Asks the verifier what each program cost it. */
  readonly statistics?: boolean
}

/** libbpf's opaque pointers. */
export type Handle = unknown
export interface OpenObject extends Disposable {
  readonly path: string
  readonly handle: Handle
  readonly btf: Btf
  readonly programs: ReadonlyMap<string, Handle>
  readonly maps: ReadonlyMap<string, Handle>
}

/** The object's name in libbpf comes before `.rodata` in that map's name, so it has none of the path's folders. */
const openOptions = (path: string): object => ({ sz: 16, object_name: parse(path).name })

/** Throws LoadError; the caller disposes of the object. */
export function openObject({ path, bytes }: ObjectFile, messages: readonly string[]): OpenObject {
  const lib = libbpf()
  const handle: Handle = lib.open(bytes, bytes.length, openOptions(path))
  const errno = lastErrno()
  if (!handle) throw new LoadError('opening', path, errno, messages)
  const close = (): void => lib.close(handle)
  try {
    const programs = new Map(walk(handle, lib.nextProgram, lib.programName))
    const maps = new Map(walk(handle, lib.nextMap, lib.mapName))
    return { path, handle, btf: objectBtf(path, handle), programs, maps, [Symbol.dispose]: close }
  } catch (error) {
    close()
    throw error
  }
}

/** Opens an object and sets what was asked for. Throws as `loadObject` does. */
export function prepare(file: ObjectFile, options: ObjectOptions, messages: readonly string[]): OpenObject {
  const object = openObject(file, messages)
  try {
    configurePrograms(object, options)
    configureMaps(object, options.maps ?? {})
    writeConstants(file.path, object.btf, object.maps, options.constants ?? {})
    return object
  } catch (error) {
    object[Symbol.dispose]()
    throw error
  }
}

function* walk(
  object: Handle,
  next: (object: Handle, last: Handle) => Handle,
  name: (item: Handle) => string,
): Generator<[string, Handle]> {
  for (let item = next(object, null); item; item = next(object, item)) yield [name(item), item]
}

/** libbpf's copy, in which the offsets of variables in their sections have been filled in. */
function objectBtf(path: string, object: Handle): Btf {
  const btf: unknown = libbpf().btf(object)
  if (!btf) throw new ObjectError(path, 'has no BTF: compile it with -g')
  const size = [0]
  const raw: unknown = libbpf().rawBtf(btf, size)
  return parseBtf(new Uint8Array(koffi.view(raw, size[0] ?? 0)))
}

function configurePrograms(object: OpenObject, { programs = {}, only }: ObjectOptions): void {
  const lib = libbpf()
  for (const name of only ?? []) required(object.path, 'program', object.programs, name)
  if (only) for (const [name, program] of object.programs) lib.setAutoload(program, only.includes(name))
  for (const [name, options] of Object.entries(programs)) {
    const program = required(object.path, 'program', object.programs, name)
    if (options.load !== undefined) lib.setAutoload(program, options.load)
    if (options.type !== undefined) lib.setType(program, programType[options.type])
    if (options.attach !== undefined) lib.setAttachType(program, attachType[options.attach])
  }
}

function configureMaps(object: OpenObject, maps: Readonly<Record<string, MapOptions>>): void {
  const lib = libbpf()
  for (const [name, options] of Object.entries(maps)) {
    const map = required(object.path, 'map', object.maps, name)
    const check = (what: string, result: number): void => {
      if (result < 0) throw new LoadError(`setting ${what} of map ${name} of`, object.path, -result, [])
    }
    if (options.create !== undefined) check('creation', lib.setAutocreate(map, options.create))
    if (options.flags !== undefined) check('flags', lib.setMapFlags(map, lib.mapFlags(map) | options.flags))
    if (options.maxEntries !== undefined) check('the size', lib.setMaxEntries(map, options.maxEntries))
    if (options.innerMapFd !== undefined) check('the inner map', lib.setInnerMap(map, options.innerMapFd))
    if (options.reuseFd === undefined) continue
    checkShape(object.path, name, mapShape(map), mapInfo(options.reuseFd))
    check('reuse', lib.reuseFd(map, options.reuseFd))
  }
}

export function mapShape(map: Handle): MapShape {
  const lib = libbpf()
  return {
    type: nameOf(mapType, lib.mapType(map)) ?? 'other',
    keySize: lib.mapKeySize(map),
    valueSize: lib.mapValueSize(map),
    flags: lib.mapFlags(map),
  }
}

function checkShape(path: string, name: string, wanted: MapShape, found: MapShape): void {
  const fields = ['type', 'keySize', 'valueSize', 'flags'] as const
  if (fields.some(field => wanted[field] !== found[field])) throw new MapMismatch(path, name, wanted, found)
}

/** The named item; throws ObjectError naming those there are. */
export function required<T>(path: string, what: string, from: ReadonlyMap<string, T>, name: string): T {
  const found = from.get(name)
  if (found === undefined) throw new ObjectError(path, `has no ${what} ${name}; it has ${[...from.keys()].join(', ')}`)
  return found
}
