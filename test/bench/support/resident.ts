/** How much memory a process holds. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

const SAMPLES = 5
const SAMPLE_MS = 500

/** The largest resident size (proc_pid_status(5), VmRSS) seen in a while, in MB of 10⁶ bytes. */
export async function residentMb(pid: number): Promise<number> {
  let largest = 0
  for (let i = 0; i < SAMPLES; i++) {
    await delay(SAMPLE_MS)
    largest = Math.max(largest, readResident(readFileSync(`/proc/${pid}/status`, 'utf8')))
  }
  return largest
}

/** Pure: the figure in the text of /proc/PID/status. */
export function readResident(status: string): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
  if (kib === undefined) throw new Error('the process has no resident size: it has ended')
  return (Number(kib) * 1024) / 1e6
}

/** A Node process that does nothing, for comparison. */
export async function residentMbOfBareNode(): Promise<number> {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6); console.log()'])
  try {
    await once(child.stdout, 'data')
    return await residentMb(child.pid ?? 0)
  } finally {
    child.kill('SIGKILL')
  }
}
