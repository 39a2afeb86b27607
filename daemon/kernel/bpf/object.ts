/**
 * Object files: loaded by libbpf, which does relocations, BTF and map creation. What comes out is plain descriptors;
 * nothing of libbpf outlives the call.
 */
import koffi from 'koffi'
import { closeSync } from 'node:fs'
import { type Constant, constantsOf } from './constants.ts'
import type { Codec } from './layout.ts'
import { libbpf, withMessages } from './libbpf.ts'
import { type EbpfMap, mapOfFd } from './map.ts'
import { lazyMemory, type MappedMemory } from './mmap.ts'
import { type ObjectFile, readObjectFile } from './object-file.ts'
import { LoadError, type MapShape, VerifierError } from './object-errors.ts'
import {
  type Handle,
  mapShape,
  type ObjectOptions,
  type OpenObject,
  openObject,
  prepare,
  required,
} from './open-object.ts'
import { duplicateFd } from './syscall.ts'
import { readStatistics, type VerifierStatistics } from './verifier-statistics.ts'

export type { MapOptions, ObjectOptions, ProgramOptions } from './open-object.ts'

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
  /** By program; empty unless asked for. */
  readonly statistics: ReadonlyMap<string, VerifierStatistics>
  #open = true
  constructor({ path, programs, maps, statistics }: Pick<LoadedObject, 'path' | 'programs' | 'maps' | 'statistics'>) {
    this.path = path
    this.programs = programs
    this.maps = maps
    this.statistics = statistics
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
 * Loads an object, of a file or of bytes read before, whole or not at all. Throws ObjectError for names and values that do not fit it, MapMismatch,
 * VerifierError naming the program, LoadError for everything else that libbpf reports.
 */
export function loadObject(from: string | ObjectFile, options: ObjectOptions = {}): LoadedObject {
  const file = fileOf(from)
  return withMessages(messages => {
    using object = prepare(file, options, messages)
    using logs = new VerifierLogs(object, options)
    const result: number = libbpf().load(object.handle)
    if (result < 0) throw logs.error(-result) ?? new LoadError('loading', file.path, -result, messages)
    return loaded(object, logs)
  })
}

/**
 * The same on a thread of libuv's pool: verifying a large program takes the better part of a second. Several objects
 * verify in parallel when the maps they share exist and are given as `reuseFd`.
 */
export async function loadObjectAsync(from: string | ObjectFile, options: ObjectOptions = {}): Promise<LoadedObject> {
  const file = fileOf(from)
  using object = withMessages(messages => prepare(file, options, messages))
  using logs = new VerifierLogs(object, options)
  const result = await new Promise<number>((resolve, reject) => {
    libbpf().load.async(object.handle, (error: unknown, r: number) => {
      if (error) reject(new Error(`loading ${file.path} could not be queued`, { cause: error }))
      else resolve(r)
    })
  })
  if (result >= 0) return loaded(object, logs)
  const error = logs.error(-result)
  if (error) throw error
  // Messages of a thread cannot be listened to: a second attempt fails in the same way and says why.
  return loadObject(file, options)
}

function fileOf(from: string | ObjectFile): ObjectFile {
  return typeof from === 'string' ? readObjectFile(from) : from
}

/** Throws LoadError. */
export function readObject(from: string | ObjectFile): ObjectContents {
  const file = fileOf(from)
  return withMessages(messages => {
    using object = openObject(file, messages)
    return {
      programs: [...object.programs].map(([name, p]) => ({ name, section: libbpf().programSection(p) as string })),
      maps: [...object.maps].map(([name, m]) => ({ name, maxEntries: libbpf().mapMaxEntries(m), ...mapShape(m) })),
      constants: constantsOf(object.btf, object.maps),
    }
  })
}

/** A log this large keeps the reason also where the kernel keeps a log's beginning only (before Linux 6.4). */
const LOG_BYTES = 16 << 20

/** BPF_LOG_STATS (include/linux/bpf_verifier.h): nothing but the numbers at the end. */
const LOG_STATISTICS = 4

/** Where the kernel writes what the verifier thinks of each program that is refused, and of all when asked. */
class VerifierLogs implements Disposable {
  readonly #object: OpenObject
  readonly #logs = new Map<string, MappedMemory>()

  constructor(object: OpenObject, { statistics = false }: ObjectOptions) {
    this.#object = object
    for (const [name, program] of object.programs) {
      const log = lazyMemory(LOG_BYTES)
      this.#logs.set(name, log)
      libbpf().setLog(program, log.pointer, LOG_BYTES)
      if (statistics) libbpf().setLogLevel(program, LOG_STATISTICS)
    }
  }

  /** Of the programs whose log tells them. */
  statistics(): Map<string, VerifierStatistics> {
    const found = new Map<string, VerifierStatistics>()
    for (const [name, log] of this.#logs) {
      const statistics = readStatistics(koffi.decode.string(log.pointer))
      if (statistics !== undefined) found.set(name, statistics)
    }
    return found
  }

  /** The refused program's error. libbpf stops there: of all that have a log its is the last. */
  error(errno: number): VerifierError | undefined {
    for (const [name, log] of [...this.#logs].reverse()) {
      const text = koffi.decode.string(log.pointer)
      if (text !== '') return new VerifierError(this.#object.path, name, errno, text)
    }
    return undefined
  }

  [Symbol.dispose](): void {
    for (const log of this.#logs.values()) log[Symbol.dispose]()
  }
}

function loaded(object: OpenObject, logs: VerifierLogs): LoadedObject {
  const lib = libbpf()
  // libbpf 1.4 and newer hold a descriptor of something else for a map that is not created.
  const mapFd = (map: Handle): number => (lib.mapAutocreate(map) ? lib.mapFd(map) : -1)
  const statistics = logs.statistics()
  const programs = ownFds(object.programs, lib.programFd)
  return new LoadedObject({ path: object.path, programs, maps: ownFds(object.maps, mapFd), statistics })
}

/** Descriptors that survive the object's closing; those of what was left out are negative. */
function ownFds(handles: ReadonlyMap<string, Handle>, fdOf: (handle: Handle) => number): Map<string, number> {
  const fds = [...handles].map(([name, handle]): [string, number] => [name, fdOf(handle)])
  return new Map(fds.filter(([, fd]) => fd >= 0).map(([name, fd]) => [name, duplicateFd(fd)]))
}
