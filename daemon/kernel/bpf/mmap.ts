/** Memory shared with the kernel by mmap(2). */
import koffi from 'koffi'
import { lastErrno, libcFunction, systemError } from '../sys.ts'

const mmap = libcFunction('void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)')
const munmap = libcFunction('int munmap(void *address, size_t length)')
const getpagesize = libcFunction('int getpagesize()')

const PROT_READ = 1
const PROT_WRITE = 2
const MAP_SHARED = 1
const MAP_PRIVATE = 2
const MAP_ANONYMOUS = 0x20
const MAP_FAILED = 0xffff_ffff_ffff_ffffn

/** A mapping. After disposal `buffer` refers to nothing: touching it then ends the process. */
export interface MappedMemory extends Disposable {
  readonly buffer: ArrayBuffer
  readonly pointer: unknown
}

export function pageSize(): number {
  return getpagesize()()
}

/** Maps a descriptor's memory, shared. `length` need not be a multiple of the page size. Throws SystemError. */
export function mapMemory(
  fd: number,
  length: number,
  options: { readonly writable: boolean; readonly offset?: number },
): MappedMemory {
  const protection = options.writable ? PROT_READ | PROT_WRITE : PROT_READ
  return map(length, protection, MAP_SHARED, fd, options.offset ?? 0)
}

/** Zeroed memory that costs nothing until it is touched: for large buffers that are rarely written. */
export function lazyMemory(length: number): MappedMemory {
  return map(length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
}

function map(length: number, protection: number, flags: number, fd: number, offset: number): MappedMemory {
  const pointer: unknown = mmap()(null, length, protection, flags, fd, offset)
  const errno = lastErrno()
  if (koffi.address(pointer) === MAP_FAILED) throw systemError(`mapping ${length} bytes of descriptor ${fd}`, errno)
  let mapped = true
  let buffer: ArrayBuffer | undefined
  return {
    // Made when asked for: V8 takes a buffer's bytes for memory in use and collects garbage for their sake.
    get buffer() {
      return (buffer ??= koffi.view(pointer, length))
    },
    pointer,
    [Symbol.dispose]() {
      if (!mapped) return
      mapped = false
      munmap()(pointer, length)
    },
  }
}
