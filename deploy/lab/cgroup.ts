/** The lab's cgroup subtree: one cgroup a node, as a kubelet's node has, under `causeway-lab/NAME`. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const RELEASE_TIMEOUT_MS = 5000
const POLL_MS = 5

/** Where the unified hierarchy is mounted (cgroups(7)): /sys/fs/cgroup, or below it beside version 1; undefined without. */
function hierarchy(): string | undefined {
  const line = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .find(l => l.split(' ')[2] === 'cgroup2')
  return line?.split(' ')[1]
}

/** The cgroup of a node, made if need be; undefined where the machine has no unified hierarchy. */
export function nodeCgroup(lab: string, node: string): string | undefined {
  const top = hierarchy()
  if (top === undefined) return undefined
  const path = join(top, 'causeway-lab', lab, node)
  mkdirSync(path, { recursive: true })
  return path
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

/** Removes the lab's cgroups, and the folder of all labs after the last one. Their processes must have ended. */
export async function removeCgroups(lab: string): Promise<void> {
  const top = hierarchy()
  if (top === undefined) return
  await removeTree(join(top, 'causeway-lab', lab))
  const all = join(top, 'causeway-lab')
  if (existsSync(all)) removeIfEmpty(all)
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
