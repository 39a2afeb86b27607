/**
 * libbpf as far as it is needed to turn an object file into loaded programs. Version 1.1 (Debian 12) and newer; only
 * calls that all of them have.
 */
import koffi from 'koffi'
import { NotSupported } from '../errors.ts'
import { type CFunction, type Library, libcFunction } from '../sys.ts'
import { lazyMemory } from './mmap.ts'

const declarations = {
  setPrint: 'void *libbpf_set_print(void *print)',
  versionString: 'const char *libbpf_version_string()',
  open: 'void *bpf_object__open_mem(const void *bytes, size_t size, bpf_object_open_opts *options)',
  load: 'int bpf_object__load(void *object)',
  close: 'void bpf_object__close(void *object)',
  btf: 'void *bpf_object__btf(void *object)',
  rawBtf: 'void *btf__raw_data(void *btf, _Out_ uint32_t *size)',
  nextProgram: 'void *bpf_object__next_program(void *object, void *program)',
  nextMap: 'void *bpf_object__next_map(void *object, void *map)',
  programName: 'const char *bpf_program__name(void *program)',
  programSection: 'const char *bpf_program__section_name(void *program)',
  programFd: 'int bpf_program__fd(void *program)',
  setAutoload: 'int bpf_program__set_autoload(void *program, bool load)',
  setType: 'int bpf_program__set_type(void *program, int type)',
  setAttachType: 'int bpf_program__set_expected_attach_type(void *program, int type)',
  setLog: 'int bpf_program__set_log_buf(void *program, void *buffer, size_t size)',
  setLogLevel: 'int bpf_program__set_log_level(void *program, uint32_t level)',
  mapName: 'const char *bpf_map__name(void *map)',
  mapFd: 'int bpf_map__fd(void *map)',
  mapType: 'int bpf_map__type(void *map)',
  mapKeySize: 'uint32_t bpf_map__key_size(void *map)',
  mapValueSize: 'uint32_t bpf_map__value_size(void *map)',
  mapMaxEntries: 'uint32_t bpf_map__max_entries(void *map)',
  mapFlags: 'uint32_t bpf_map__map_flags(void *map)',
  setMapFlags: 'int bpf_map__set_map_flags(void *map, uint32_t flags)',
  setMaxEntries: 'int bpf_map__set_max_entries(void *map, uint32_t n)',
  setInnerMap: 'int bpf_map__set_inner_map_fd(void *map, int fd)',
  reuseFd: 'int bpf_map__reuse_fd(void *map, int fd)',
  mapAutocreate: 'bool bpf_map__autocreate(void *map)',
  setAutocreate: 'int bpf_map__set_autocreate(void *map, bool create)',
  initialValue: 'void *bpf_map__initial_value(void *map, _Out_ size_t *size)',
} as const

export type Libbpf = Readonly<Record<keyof typeof declarations, CFunction>>

interface Loaded {
  readonly functions: Libbpf
  /** libbpf's print callback. Never taken back: a thread may be about to call it. */
  readonly print: bigint
  /** Where messages go while somebody listens. */
  listener: string[] | undefined
}
let loaded: Loaded | undefined

/** The library, loaded at first use. Throws NotSupported when it is not installed. */
export function libbpf(): Libbpf {
  return library().functions
}

function library(): Loaded {
  if (loaded) return loaded
  const functions = bind(openLibrary())
  const prototype = koffi.pointer(koffi.proto('int', ['int', 'void *', 'void *']))
  functions.setPrint(null)
  loaded = { functions, print: koffi.register(print, prototype), listener: undefined }
  return loaded
}

function openLibrary(): Library {
  try {
    return koffi.load('libbpf.so.1')
  } catch (error) {
    throw new NotSupported('loading eBPF objects', 'libbpf 1.1 or newer (Debian package libbpf1)', { cause: error })
  }
}
function bind(library: Library): Libbpf {
  // The beginning of it: libbpf takes what the first field says there is.
  koffi.struct('bpf_object_open_opts', { sz: 'size_t', object_name: 'const char *' })
  const functions = Object.entries(declarations).map(([name, declaration]) => [name, library.func(declaration)])
  return Object.fromEntries(functions) as Libbpf // the same keys
}

const MESSAGE_BYTES = 64 << 10
const WARN = 0
const vsnprintf = libcFunction('int vsnprintf(void *buffer, size_t size, void *format, void *arguments)')

/** A `va_list` arrives as a pointer both in the x86-64 and in the AArch64 calling convention. */
function print(level: number, format: unknown, args: unknown): number {
  const listener = loaded?.listener
  if (level !== WARN || !listener) return 0
  using buffer = lazyMemory(MESSAGE_BYTES)
  vsnprintf()(buffer.pointer, MESSAGE_BYTES, format, args)
  listener.push(
    koffi.decode
      .string(buffer.pointer)
      .replace(/^libbpf: /, '')
      .trimEnd(),
  )
  return 0
}

/** Runs a synchronous function and collects libbpf's warnings meanwhile; long ones are cut. */
export function withMessages<T>(run: (messages: readonly string[]) => T): T {
  const state = library()
  const messages: string[] = []
  const outer = state.listener
  state.listener = messages
  state.functions.setPrint(state.print)
  try {
    return run(messages)
  } finally {
    state.listener = outer
    if (!outer) state.functions.setPrint(null)
  }
}
