/** What a process holds and has used, as the kernel counts it (proc_pid_status(5), proc_pid_smaps(5)). */
import { readdirSync, readFileSync } from 'node:fs'

export interface MemoryFigures {
  /** MB of 10⁶ bytes, as all here. */
  readonly residentMb: number
  /** Its share of what it has in common with other processes. */
  readonly proportionalMb: number
  /** The most that was resident at any time since its start. */
  readonly peakMb: number
}

export function memoryOf(pid: number): MemoryFigures {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  return {
    residentMb: megabytes(status, 'VmRSS'),
    proportionalMb: megabytes(rollup, 'Pss'),
    peakMb: megabytes(status, 'VmHWM'),
  }
}

/** Milliseconds of processor time of all its threads that live (schedstat, sched-stats.rst); those of others are lost. */
export function cpuMs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`)
  return threads.reduce((sum, thread) => sum + nanoseconds(pid, thread) / 1e6, 0)
}

/** Pure: a figure of a file whose lines are `Name: N kB`. */
export function megabytes(text: string, name: string): number {
  const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]
  if (kib === undefined) throw new Error(`the process has no ${name}: it has ended`)
  return (Number(kib) * 1024) / 1e6
}

function nanoseconds(pid: number, thread: string): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
  } catch {
    return 0 // it ended between the two looks
  }
}
