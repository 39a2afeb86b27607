/**
 * bpf(2). Arguments lie in `Memory`, the attribute itself and everything it points to, because the garbage collector
 * does not see addresses inside an attribute.
 */
import { NotSupported, SystemError } from '../errors.ts'
import { errnoName, lastErrno, libcFunction, Memory } from '../sys.ts'
import { command, type CommandName } from './codes.ts'

/** A failed bpf(2): which command on which object. `code` is the errno's name. */
export class BpfError extends SystemError {
  override readonly name: string = 'BpfError'
  readonly command: CommandName
  /** What the command was carried out on, such as `map endpoints`. */
  readonly object: string
  constructor(name: CommandName, object: string, errno: number, detail = '') {
    super(`${name} of ${object}`, errno, bpfErrnoName(errno), detail)
    this.command = name
    this.object = object
  }
}

/** Kernel-internal value that bpf(2) lets out where a map type has no such operation (include/linux/errno.h). */
export const ENOTSUPP = 524

function bpfErrnoName(errno: number): string {
  return errno === ENOTSUPP ? 'ENOTSUPP' : errnoName(errno)
}

const syscall = libcFunction('long syscall(long number, long command, void *attr, long size)')
const numbers: Readonly<Record<string, number>> = { x64: 321, arm64: 280 }
const number = numbers[process.arch] ?? 0

/** The system call itself: its result, or the negative errno. For paths that are called often. */
export function bpfRaw(code: number, attr: Memory, size: number): number {
  const result: number = syscall()(number, code, attr.pointer, size)
  return result < 0 ? -lastErrno() : result
}

/** Fills a zeroed attribute of `size` bytes, carries the command out and returns its result; throws BpfError. */
export function bpf(name: CommandName, object: string, size: number, fill: (attr: DataView) => void): number {
  return bpfReading(name, object, size, fill, (_, result) => result)
}

/** The same for commands that answer in their attribute. */
export function bpfReading<T>(
  name: CommandName,
  object: string,
  size: number,
  fill: (attr: DataView) => void,
  read: (attr: DataView, result: number) => T,
): T {
  using attr = attribute(size, fill)
  const result = checked(name, object, bpfRaw(command[name], attr, size))
  return read(attr.view, result)
}

/**
 * The same on a thread of libuv's pool, for commands that wait for a grace period. The thread must stand in the network
 * namespace that interface indices refer to. Memory the attribute points to must live until the promise settles.
 */
export async function bpfAsync(
  name: CommandName,
  object: string,
  size: number,
  fill: (attr: DataView) => void,
): Promise<number> {
  using attr = attribute(size, fill)
  const result = await new Promise<number>((resolve, reject) => {
    syscall().async(number, command[name], attr.pointer, size, (error: unknown, r: number) => {
      if (error) reject(new Error(`${name} of ${object} could not be queued`, { cause: error }))
      else resolve(r < 0 ? -lastErrno() : r)
    })
  })
  return checked(name, object, result)
}

function attribute(size: number, fill: (attr: DataView) => void): Memory {
  if (number === 0) throw new NotSupported(`bpf(2) on ${process.arch}`, 'x64 or arm64')
  const attr = new Memory(size)
  fill(attr.view)
  return attr
}

function checked(name: CommandName, object: string, result: number): number {
  if (result < 0) throw new BpfError(name, object, -result)
  return result
}

/** Information about a bpf object behind a descriptor, `size` bytes of the kernel's structure; read it at once. */
export function objectInfo<T>(object: string, fd: number, size: number, read: (info: DataView) => T): T {
  using info = new Memory(size)
  bpf('OBJ_GET_INFO_BY_FD', object, 16, attr => {
    attr.setUint32(0, fd, true)
    attr.setUint32(4, size, true)
    attr.setBigUint64(8, info.address, true)
  })
  return read(info.view)
}

/** A descriptor for the object of an id; undefined when there is none (any more). The caller closes it. */
export function fdById(
  name: 'MAP_GET_FD_BY_ID' | 'PROG_GET_FD_BY_ID' | 'LINK_GET_FD_BY_ID' | 'BTF_GET_FD_BY_ID',
  id: number,
): number | undefined {
  try {
    return bpf(name, `id ${id}`, 16, attr => attr.setUint32(0, id, true))
  } catch (error) {
    if (error instanceof BpfError && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Reads the zero-terminated name of at most `length` bytes at `offset`. */
export function readName(view: DataView, offset: number, length = 16): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, length)
  const end = bytes.indexOf(0)
  return String.fromCharCode(...bytes.subarray(0, end < 0 ? length : end))
}

/** Writes a name as the kernel takes it: at most 15 bytes, only letters, digits, `_` and `.`. */
export function writeName(view: DataView, offset: number, name: string): void {
  const allowed = name.replace(/[^A-Za-z0-9_.]/g, '_').slice(0, 15)
  for (let i = 0; i < allowed.length; i++) view.setUint8(offset + i, allowed.charCodeAt(i))
}

const F_DUPFD_CLOEXEC = 1030
const fcntl = libcFunction('int fcntl(int fd, int command, long argument)')

/** Another descriptor for the same object, closed on exec; the caller closes it. */
export function duplicateFd(fd: number): number {
  const copy: number = fcntl()(fd, F_DUPFD_CLOEXEC, 3)
  if (copy < 0) {
    const errno = lastErrno()
    throw new SystemError(`duplicating descriptor ${fd}`, errno, errnoName(errno))
  }
  return copy
}
