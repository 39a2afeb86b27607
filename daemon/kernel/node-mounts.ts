/**
 * File systems that a node lacks, mounted in the mount namespace of its first process (setns(2), mount(2)): a container
 * that is not privileged may not mount for its node by propagation. Leaves the caller in that namespace: for a process
 * that ends with it.
 */
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { lastErrno, libcFunction, systemError } from './sys.ts'

export interface NodeMount {
  readonly type: 'bpf' | 'cgroup2'
  /** Absolute path on the node. */
  readonly at: string
}

const CLONE_FS = 0x200
const CLONE_NEWNS = 0x20000

const cUnshare = libcFunction('int unshare(int flags)')
const cSetns = libcFunction('int setns(int fd, int type)')
const cMount = libcFunction(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
)

/**
 * Mounts those of `wanted` that are not mounted and returns them; `proc` is where the node's /proc is. Throws SystemError:
 * EACCES without CAP_SYS_PTRACE, EPERM without CAP_SYS_ADMIN and CAP_SYS_CHROOT.
 */
export function mountOnNode(proc: string, wanted: readonly NodeMount[]): readonly NodeMount[] {
  const first = `${proc}/1`
  const missing = missingMounts(readFileSync(`${first}/mounts`, 'utf8'), wanted)
  if (missing.length === 0) return []
  enter(`${first}/ns/mnt`)
  for (const { type, at } of missing) {
    mkdirSync(at, { recursive: true })
    if (cMount()(type, at, type, 0, null) !== 0) throw systemError(`mount ${type} at ${at} of the node`, lastErrno())
  }
  return missing
}

/** Those of `wanted` that a table of mounts (proc_pid_mounts(5)) lacks. Pure. */
export function missingMounts(mounts: string, wanted: readonly NodeMount[]): readonly NodeMount[] {
  const there = new Set(mounts.split('\n').map(line => line.split(' ').slice(1, 3).join(' ')))
  return wanted.filter(({ type, at }) => !there.has(`${at} ${type}`))
}

function enter(namespace: string): void {
  const fd = openSync(namespace, 'r')
  try {
    // A thread that shares root and working directory with others may not change its mount namespace.
    if (cUnshare()(CLONE_FS) !== 0) throw systemError('have a working directory of its own', lastErrno())
    if (cSetns()(fd, CLONE_NEWNS) !== 0) throw systemError(`enter mount namespace ${namespace}`, lastErrno())
  } finally {
    closeSync(fd)
  }
}
