/**
 * Object files: opened and loaded by libbpf, which does relocations, BTF and map creation. What comes out is plain
 * descriptors; nothing of libbpf outlives the call.
 */
import koffi from 'koffi'
import { closeSync } from 'node:fs'
import { lastErrno } from '../sys.ts'
import { parseBtf, type Btf } from './btf.ts'
import { attachType, type AttachType, mapType, nameOf, programType, type ProgramType } from './codes.ts'
import { type Constants, constantsOf, type Constant, writeConstants } from './constants.ts'
import type { Codec } from './layout.ts'
import { libbpf, withMessages } from './libbpf.ts'
import { type EbpfMap, mapOfFd } from './map.ts'
import { mapInfo } from './map-info.ts'
import { lazyMemory, type MappedMemory } from './mmap.ts'
import { LoadError, MapMismatch, type MapShape, ObjectError, VerifierError } from './object-errors.ts'
import { duplicateFd } from './syscall.ts'

export interface ProgramOptions {
  /** Needed where the section's name says nothing to the oldest libbpf, as with netkit. */
  readonly type?: ProgramType
  readonly attach?: AttachType
  /** false leaves the program out. */
  readonly load?: boolean
}
export interface MapOptions {
  readonly maxEntries?: number
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
}

/** What an object file holds, without loading it. */
export interface ObjectContents {
  readonly programs: readonly { readonly name: string; readonly section: string }[]
  readonly maps: readonly ({ readonly name: string; readonly maxEntries: number } & MapShape)[]
  readonly constants: readonly Constant[]
}

/** Loaded programs and maps. Disposing closes every descriptor; what is pinned or attached lives on. */
export class LoadedObject implements Disposable {
  readonly path: string
  readonly programs: ReadonlyMap<string, number>
  readonly maps: ReadonlyMap<string, number>
  #open = true
  constructor(path: string, programs: ReadonlyMap<string, number>, maps: ReadonlyMap<string, number>) {
    this.path = path
    this.programs = programs
    this.maps = maps
  }
  /** Descriptor of a program, this object's; throws ObjectError when it has none of that name. */
  programFd(name: string): number {
    return required(this.path, 'program', this.programs, name)
  }
  mapFd(name: string): number {
    return required(this.path, 'map', this.maps, name)
  }
  /** A map with a descriptor of its own, which outlives this object. */
  map<K, V>(name: string, layout: Codec<K, V>): EbpfMap<K, V> {
    return mapOfFd(this.mapFd(name), layout)
  }
  [Symbol.dispose](): void {
    if (!this.#open) return
    this.#open = false
    for (const fd of [...this.programs.values(), ...this.maps.values()]) closeSync(fd)
  }
}

/**
 * Loads an object, whole or not at all. Throws ObjectError for names and values that do not fit it, MapMismatch,
 * VerifierError naming the program, LoadError for everything else that libbpf reports.
 */
export function loadObject(path: string, options: ObjectOptions = {}): LoadedObject {
  return withMessages(messages => {
    using object = openObject(path, messages)
    configurePrograms(object, options)
    configureMaps(object, options.maps ?? {})
    writeConstants(path, object.btf, object.maps, options.constants ?? {})
    load(object, messages)
    return new LoadedObject(path, ...descriptors(object))
  })
}

/** Throws LoadError. */
export function readObject(path: string): ObjectContents {
  return withMessages(messages => {
    using object = openObject(path, messages)
    return {
      programs: [...object.programs].map(([name, p]) => ({ name, section: libbpf().programSection(p) as string })),
      maps: [...object.maps].map(([name, m]) => ({ name, maxEntries: libbpf().mapMaxEntries(m), ...shape(m) })),
      constants: constantsOf(object.btf, object.maps),
    }
  })
}

/** libbpf's opaque pointers. */
type Handle = unknown
interface OpenObject extends Disposable {
  readonly path: string
  readonly handle: Handle
  readonly btf: Btf
  readonly programs: ReadonlyMap<string, Handle>
  readonly maps: ReadonlyMap<string, Handle>
}

function openObject(path: string, messages: readonly string[]): OpenObject {
  const lib = libbpf()
  const handle: Handle = lib.open(path, null)
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
    if (options.maxEntries !== undefined) check('the size', lib.setMaxEntries(map, options.maxEntries))
    if (options.innerMapFd !== undefined) check('the inner map', lib.setInnerMap(map, options.innerMapFd))
    if (options.reuseFd === undefined) continue
    checkShape(object.path, name, shape(map), mapInfo(options.reuseFd))
    check('reuse', lib.reuseFd(map, options.reuseFd))
  }
}

function shape(map: Handle): MapShape {
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

/** A log this large keeps the reason also where the kernel keeps a log's beginning only (before Linux 6.4). */
const LOG_BYTES = 16 << 20

function load(object: OpenObject, messages: readonly string[]): void {
  using stack = new DisposableStack()
  const logs = new Map<string, MappedMemory>()
  for (const [name, program] of object.programs) {
    const log = stack.use(lazyMemory(LOG_BYTES))
    logs.set(name, log)
    libbpf().setLog(program, log.pointer, LOG_BYTES)
  }
  const result: number = libbpf().load(object.handle)
  if (result >= 0) return
  // libbpf asks for a log only when a program failed, and stops there.
  for (const [name, log] of logs) {
    const text = koffi.decode.string(log.pointer)
    if (text !== '') throw new VerifierError(object.path, name, -result, text)
  }
  throw new LoadError('loading', object.path, -result, messages)
}

function descriptors(object: OpenObject): [ReadonlyMap<string, number>, ReadonlyMap<string, number>] {
  const lib = libbpf()
  return [ownFds(object.programs, lib.programFd), ownFds(object.maps, lib.mapFd)]
}

/** Descriptors that survive the object's closing; those of what was left out are negative. */
function ownFds(handles: ReadonlyMap<string, Handle>, fdOf: (handle: Handle) => number): Map<string, number> {
  const fds = [...handles].map(([name, handle]): [string, number] => [name, fdOf(handle)])
  return new Map(fds.filter(([, fd]) => fd >= 0).map(([name, fd]) => [name, duplicateFd(fd)]))
}

function required<T>(path: string, what: string, from: ReadonlyMap<string, T>, name: string): T {
  const found = from.get(name)
  if (found === undefined) throw new ObjectError(path, `has no ${what} ${name}; it has ${[...from.keys()].join(', ')}`)
  return found
}
