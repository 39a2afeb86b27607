/** The lab's cgroup subtree: one cgroup a node, as a kubelet's node has, under `causeway-lab/NAME`. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const RELEASE_TIMEOUT_MS = 5000
const POLL_MS = 5

/** A mounted hierarchy (cgroups(7)). */
export interface Hierarchy {
  /** Mount point, such as `/sys/fs/cgroup`, or one below it beside version 1. */
  readonly path: string
  readonly version: 1 | 2
}

/** All hierarchies of this machine: the unified one, and those of version 1 where there are any. */
export function hierarchies(): Hierarchy[] {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n')
  return mounts.flatMap(line => {
    const [, path = '', type] = line.split(' ')
    return type === 'cgroup' || type === 'cgroup2' ? [{ path, version: type === 'cgroup' ? 1 : 2 }] : []
  })
}

function unified(): string | undefined {
  return hierarchies().find(h => h.version === 2)?.path
}

/** Where the cgroup of a node is or will be; undefined where the machine has no unified hierarchy. */
export function nodeCgroupPath(lab: string, node: string): string | undefined {
  const top = unified()
  return top === undefined ? undefined : join(top, 'causeway-lab', lab, node)
}

/** The same, made if need be. */
export function nodeCgroup(lab: string, node: string): string | undefined {
  const path = nodeCgroupPath(lab, node)
  if (path !== undefined) mkdirSync(path, { recursive: true })
  return path
}

/** The arguments that run a program in a cgroup, which it enters by itself, so that its first children are born inside. */
export function inCgroup(path: string | undefined, command: readonly string[]): readonly string[] {
  if (path === undefined) return command
  return ['sh', '-c', 'echo $$ > "$0" && exec "$@"', join(path, 'cgroup.procs'), ...command]
}

/** Moves a process there; one that has ended meanwhile is no failure. */
export function enterCgroup(path: string | undefined, pid: number | undefined): void {
  if (path === undefined || pid === undefined) return
  try {
    writeFileSync(join(path, 'cgroup.procs'), `${pid}`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Numbers of the processes in the lab's cgroups, whatever else they have entered. */
export function pidsInCgroups(lab: string): number[] {
  return hierarchies().flatMap(({ path }) => pidsBelow(join(path, 'causeway-lab', lab)))
}

function pidsBelow(path: string): number[] {
  if (!existsSync(path)) return []
  // A process of another pid namespace is told as 0.
  const own = readFileSync(join(path, 'cgroup.procs'), 'utf8').split('\n').map(Number)
  return [...own.filter(pid => pid > 0), ...childrenOf(path).flatMap(child => pidsBelow(join(path, child)))]
}

/**
 * Removes the lab's cgroups in every hierarchy, and the folder of all labs after the last one. Their processes must have
 * ended.
 */
export async function removeCgroups(lab: string): Promise<void> {
  for (const { path } of hierarchies()) {
    await removeTree(join(path, 'causeway-lab', lab))
    const all = join(path, 'causeway-lab')
    if (existsSync(all)) removeIfEmpty(all)
  }
}

/** The files in a cgroup vanish with it; only folders are removed, the innermost first. */
async function removeTree(path: string): Promise<void> {
  if (!existsSync(path)) return
  for (const child of childrenOf(path)) await removeTree(join(path, child))
  await removeOne(path)
}

/** A process leaves its cgroup a little after it has ended for everybody else: until then the kernel says EBUSY. */
async function removeOne(path: string): Promise<void> {
  const deadline = performance.now() + RELEASE_TIMEOUT_MS
  for (;;) {
    try {
      return rmdirSync(path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || performance.now() > deadline) throw error
    }
    await delay(POLL_MS)
  }
}

/** Removes a folder that all labs share, unless another lab is in it. */
export function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path)
  } catch (error) {
    if (!['EBUSY', 'ENOTEMPTY', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

function childrenOf(path: string): string[] {
  return readdirSync(path, { withFileTypes: true })
    .filter(e => e.isDirectory())
    .map(e => e.name)
}
