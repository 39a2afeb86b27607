/** Network namespaces with visible names (ip-netns(8)), and the processes that stand in them. */
import { readdirSync, readlinkSync, readFileSync, statSync } from 'node:fs'
import { mustRun, withParent } from './command.ts'

const NETNS = '/run/netns'

export async function addNamespace(name: string): Promise<void> {
  await mustRun(withParent(['ip', 'netns', 'add', name]))
}

/** Deleting what is not there succeeds. */
export async function deleteNamespace(name: string): Promise<void> {
  if (listNamespaces(name).includes(name)) await mustRun(['ip', 'netns', 'delete', name])
}

/** Names that start with a prefix. */
export function listNamespaces(prefix: string): string[] {
  try {
    return readdirSync(NETNS).filter(name => name.startsWith(prefix))
  } catch {
    return [] // no namespace was ever named on this machine
  }
}

/** A process that may be signalled later: a number alone could have gone to another process by then. */
export interface Process {
  readonly pid: number
  readonly startTime: string
}

/** Living processes whose network namespace is one of those named. */
export function processesIn(names: readonly string[]): Process[] {
  const wanted = new Set(names.map(netnsInode))
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && wanted.has(inodeOf(name)))
    .map(name => processOf(Number(name)))
}

/** The process that has a number now. */
export function processOf(pid: number): Process {
  return { pid, startTime: startTime(pid) ?? '' }
}

/** What was given to a process at its start; nothing of one that has ended. */
export function procFile(pid: number, name: 'cmdline' | 'environ'): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8').split('\0')
  } catch {
    return []
  }
}

/** Whether the very process still runs; one that has ended and waits to be reaped does not. */
export function isRunning(process: Process): boolean {
  return startTime(process.pid) === process.startTime
}

/** One that has ended meanwhile is no failure. */
export function send(signal: NodeJS.Signals, processes: readonly Process[]): void {
  for (const process_ of processes.filter(isRunning)) {
    try {
      process.kill(process_.pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

function netnsInode(name: string): number {
  return statSync(`${NETNS}/${name}`, { throwIfNoEntry: false })?.ino ?? -1
}

/** The link reads `net:[inode]`; it cannot be read once the process has ended. */
function inodeOf(pid: string): number {
  try {
    return Number(/\d+/.exec(readlinkSync(`/proc/${pid}/ns/net`))?.[0])
  } catch {
    return -2
  }
}

/** Field 22 of proc_pid_stat(5), counted after the name, which may hold anything; undefined for a zombie. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
  } catch {
    return undefined
  }
}
