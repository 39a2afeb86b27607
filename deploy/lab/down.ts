/**
 * Taking a lab away, whole or half-built, from what is there: its namespaces and the processes in them, mounts, cgroups
 * and files. Nothing depends on a record that a killed `up` might not have written.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { mustRun } from './command.ts'
import { pidsInCgroups, removeCgroups, removeIfEmpty } from './cgroup.ts'
import type { LabLayout } from './layout.ts'
import { deleteNamespace, isRunning, listNamespaces, type Process, processesIn, processOf, send } from './namespaces.ts'

/** A daemon stops within 10 s; what is still there afterwards is killed. */
const TERMINATE_TIMEOUT_MS = 12_000
const KILL_TIMEOUT_MS = 5_000
const POLL_MS = 10

/** Whether anything of the lab is there, finished or not. */
export function exists(lab: LabLayout): boolean {
  const files = existsSync(lab.root) ? readdirSync(lab.root) : []
  return files.some(name => `${lab.root}/${name}` !== lab.lock) || listNamespaces(lab.netnsPrefix).length > 0
}

/** Removes everything but the lock and its folder, which the caller holds. Repeating it is fine. */
export async function takeDown(lab: LabLayout): Promise<void> {
  rmSync(lab.complete, { force: true })
  const namespaces = listNamespaces(lab.netnsPrefix)
  await endAll(lab.name, namespaces)
  for (const target of mountsBelow(lab.root)) await mustRun(['umount', target])
  await Promise.all(namespaces.map(deleteNamespace))
  await removeCgroups(lab.name)
  for (const name of existsSync(lab.root) ? readdirSync(lab.root) : [])
    if (`${lab.root}/${name}` !== lab.lock) rmSync(`${lab.root}/${name}`, { recursive: true, force: true })
}

/** Removes the lock with the folder, and the folder of all labs after the last one. The lock must be held. */
export function removeFolder(lab: LabLayout): void {
  rmSync(lab.root, { recursive: true, force: true })
  removeIfEmpty(dirname(lab.root))
}

/** How often those are looked for that others started while they were told to end, such as a daemon by what restarts it. */
const ROUNDS = 5

/** Rejects when processes go on coming. */
async function endAll(lab: string, namespaces: readonly string[]): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    const processes = processesOf(lab, namespaces)
    if (processes.length === 0) return
    await endProcesses(processes)
  }
  const left = processesOf(lab, namespaces).map(p => p.pid)
  if (left.length > 0) throw new Error(`processes ${left.join(', ')} were started while others were ended`)
}

/** One that was just started may not have entered its namespace, whose name must not go before. Each stands once. */
function processesOf(lab: string, namespaces: readonly string[]): Process[] {
  const pids = new Set([...processesIn(namespaces).map(({ pid }) => pid), ...pidsInCgroups(lab)])
  return [...pids].map(processOf).filter(isRunning)
}

/** SIGTERM, and SIGKILL for those that do not end. Rejects when even that leaves one running. */
export async function endProcesses(processes: readonly Process[]): Promise<void> {
  send('SIGTERM', processes)
  const stubborn = await stillRunning(processes, TERMINATE_TIMEOUT_MS)
  send('SIGKILL', stubborn)
  const left = await stillRunning(stubborn, KILL_TIMEOUT_MS)
  if (left.length > 0) throw new Error(`processes ${left.map(p => p.pid).join(', ')} do not end`)
}

async function stillRunning(processes: readonly Process[], timeoutMs: number): Promise<Process[]> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const running = processes.filter(isRunning)
    if (running.length === 0 || performance.now() > deadline) return running
    await delay(POLL_MS)
  }
}

/** Mount points under a folder, the innermost first. */
function mountsBelow(folder: string): string[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map(line => line.split(' ')[1] ?? '')
    .filter(target => target.startsWith(`${folder}/`))
    .toReversed()
}
