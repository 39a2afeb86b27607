/** Pins: bpf objects kept alive by a path on a bpf file system (bpffs). Names there must not contain dots. */
import { mkdirSync, readdirSync, readlinkSync, renameSync, rmSync, statfsSync, closeSync } from 'node:fs'
import { join } from 'node:path'
import { NotSupported } from '../errors.ts'
import { lastErrno, libcFunction, Memory, systemError } from '../sys.ts'
import { bpf, BpfError } from './syscall.ts'

const BPF_FS_MAGIC = 0xcafe4a11

/** Pins an object. Throws BpfError EEXIST when something is there, unless `replace`, which swaps it in one step. */
export function pin(fd: number, path: string, options: { readonly replace?: boolean } = {}): void {
  if (!options.replace) {
    pinAt(fd, path)
    return
  }
  const fresh = `${path}_new`
  unpin(fresh) // left by a process that ended in between
  pinAt(fd, fresh)
  renameSync(fresh, path)
}

function pinAt(fd: number, path: string): void {
  withPath(path, address =>
    bpf('OBJ_PIN', path, 16, attr => {
      attr.setBigUint64(0, address, true)
      attr.setUint32(8, fd, true)
    }),
  )
}

/** A descriptor for what is pinned at a path, undefined when nothing is. The caller closes it. Throws BpfError. */
export function getPin(path: string): number | undefined {
  try {
    return withPath(path, address => bpf('OBJ_GET', path, 16, attr => attr.setBigUint64(0, address, true)))
  } catch (error) {
    if (error instanceof BpfError && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Removes a pin; the object goes with its last user. Removing what is not there succeeds. */
export function unpin(path: string): void {
  rmSync(path, { force: true })
}

export interface Pin {
  readonly name: string
  readonly path: string
  readonly kind: 'map' | 'program' | 'link' | 'directory'
}

/** What lies in a directory of a bpffs, ordered by name; nothing when the directory is not there. */
export function listPins(dir: string): Pin[] {
  let entries
  try {
    entries = readdirSync(dir, { withFileTypes: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
  return entries
    .flatMap((entry): Pin[] => {
      const path = join(dir, entry.name)
      const kind = entry.isDirectory() ? 'directory' : kindOf(path)
      return kind === undefined ? [] : [{ name: entry.name, path, kind }]
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** The kernel names the kind of an object in its descriptor's link in /proc. */
function kindOf(path: string): 'map' | 'program' | 'link' | undefined {
  const fd = getPin(path)
  if (fd === undefined) return undefined
  try {
    const target = readlinkSync(`/proc/self/fd/${fd}`)
    return target.includes('bpf-map') ? 'map' : target.includes('bpf-prog') ? 'program' : 'link'
  } finally {
    closeSync(fd)
  }
}

/** Whether a path lies on a bpffs; false when there is no such path. */
export function isBpffs(path: string): boolean {
  try {
    return statfsSync(path).type === BPF_FS_MAGIC
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/**
 * Makes sure that a directory exists and lies on a bpffs. `mount` allows mounting one there where it does not; without
 * it NotSupported is thrown. A bpffs that is there is never mounted over: that would hide its pins.
 */
export function ensureBpffs(dir: string, options: { readonly mount: boolean }): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  if (isBpffs(dir)) return
  if (!options.mount) throw new NotSupported(`pinning in ${dir}`, 'a bpf file system mounted there (mount -t bpf)')
  mountBpffs(dir)
}

const mount = libcFunction(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
)

function mountBpffs(dir: string): void {
  if (mount()('bpf', dir, 'bpf', 0, 'mode=0700') === 0) return
  throw systemError(`mounting a bpf file system at ${dir}`, lastErrno())
}

const umount = libcFunction('int umount2(const char *target, int flags)')

/** Takes the file system mounted at a directory away, with all its pins. Throws SystemError, EBUSY while it is in use. */
export function unmountBpffs(dir: string): void {
  if (umount()(dir, 0) === 0) return
  throw systemError(`unmounting the bpf file system at ${dir}`, lastErrno())
}

function withPath(path: string, call: (address: bigint) => number): number {
  const text = new TextEncoder().encode(path)
  using memory = new Memory(text.length + 1)
  memory.bytes.set(text)
  return call(memory.address)
}
