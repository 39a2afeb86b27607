/** Where what is measured runs: servers, a process for each connection, and whoever talks to them, all on one core. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PROBE } from '../../../deploy/lab/built.ts'
import { inNamespace, runCommand, withParent } from '../../../deploy/lab/command.ts'
import { eventually } from '../../support/eventually.ts'

/** Other than the lab's own servers'. */
export const SERVER_PORT = 9000

/** What `cw-probe bench` prints. */
export interface Latency {
  readonly opsPerSecond: number
  readonly p50Us: number
  readonly cpuUsPerOp: number
}

/** The core that both ends run on, and their cgroup, which tells what they have used. */
export class Core {
  readonly #cgroup: string | undefined
  /** The last one of those this process may use: interrupts are often served by the first. */
  readonly #number = lastAllowedCpu()

  constructor(cgroup: string | undefined) {
    this.#cgroup = cgroup
  }

  /** The arguments that run a program there, in its cgroup or another. */
  command(netns: string, command: readonly string[], cgroup = this.#cgroup): string[] {
    const pinned = ['taskset', '-c', `${this.#number}`, ...command]
    // A process enters by itself, so that its first children are born inside.
    const enter = ['sh', '-c', 'echo $$ > "$0" && exec "$@"']
    return inNamespace(netns, cgroup === undefined ? pinned : [...enter, join(cgroup, 'cgroup.procs'), ...pinned])
  }

  /** Microseconds of processor time (cgroup v2, cpu.stat); NaN where there is no such hierarchy. */
  usedUs(): number {
    if (this.#cgroup === undefined) return Number.NaN
    return Number(/^usage_usec (\d+)$/m.exec(readFileSync(join(this.#cgroup, 'cpu.stat'), 'utf8'))?.[1])
  }
}

/** The list reads such as `0-3,8` (proc_pid_status(5)). */
function lastAllowedCpu(): number {
  const list = /^Cpus_allowed_list:.*\b(\d+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))
  return Number(list?.[1] ?? 0)
}

/** Servers in a namespace, a process for each connection; resolves once they listen. */
export async function serve(core: Core, netns: string, port: number, signal: AbortSignal): Promise<Disposable> {
  const [file = '', ...args] = core.command(netns, withParent([PROBE, 'serve', `${port}`, '--blocking']))
  const child = spawn(file, args, { stdio: 'ignore' })
  child.on('error', () => {}) // then nobody listens below
  const check = inNamespace(netns, [PROBE, 'check', 'tcp', '127.0.0.1', `${port + 2}`, '1'])
  await eventually(async () => (await runCommand(check, { signal })).status === 0)
  return { [Symbol.dispose]: () => child.kill('SIGKILL') }
}
