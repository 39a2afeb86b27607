/**
 * A node of the lab as a machine of its own: processes, mounts and cgroups, in which a container runtime can live. The
 * machine sees of its mounts only the pods' network namespaces, because the daemon, which stands outside, opens them.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { LabLayout, NodeLayout } from '../../../deploy/lab/layout.ts'
import { isRunning, type Process } from '../../../deploy/lab/namespaces.ts'
import { inNamespace, mustRun, withParent } from '../../../deploy/lab/command.ts'
import { eventually } from '../eventually.ts'
import { CONTAINERD_FILES } from './containerd-config.ts'
import { makeNodeCgroups } from './node-cgroups.ts'

const SCRIPT = join(import.meta.dirname, 'node.sh')
/** Its shell takes its own commands before those of the same name in the file system; others have full paths. */
const BUSYBOX = '/bin/busybox'

/** A process of the node; its number is the machine's. */
export interface NodeProcess extends Process {
  readonly name: string
}

export class NodeSystem {
  readonly node: NodeLayout
  /** A tmpfs: containerd's snapshots must not lie on an overlay, and all of it goes by being unmounted. */
  readonly folder: string
  /** Where the node's /usr comes from; empty for the machine's own. */
  readonly root: string
  readonly #lab: string
  #cgroups: readonly string[] = []
  #init = 0

  constructor(lab: LabLayout, node: NodeLayout, root: string) {
    this.node = node
    this.root = root
    this.folder = join(node.root, 'runtime')
    this.#lab = lab.name
  }

  /** Makes the folder that outlives the node's crashes; `init` is the program of process 1. */
  async install(init: string): Promise<void> {
    const { folder } = this
    mkdirSync(folder, { recursive: true })
    await mustRun(withParent(['mount', '-t', 'tmpfs', '-o', 'mode=700', 'runtime', folder]))
    await mustRun(withParent(['mount', '--make-private', folder]))
    mkdirSync(join(folder, 'system'))
    copyFileSync(init, join(folder, 'init'))
    const netns = join(folder, CONTAINERD_FILES.netns)
    mkdirSync(netns, { recursive: true })
    await mustRun(withParent(['mount', '--bind', netns, netns]))
    // A group of its own: on most machines the mount above is shared with the whole machine.
    await mustRun(withParent(['mount', '--make-private', netns]))
    await mustRun(withParent(['mount', '--make-shared', netns]))
  }

  /** Starts process 1. All processes of the node end with this process. */
  async boot(): Promise<void> {
    this.#cgroups = makeNodeCgroups(this.#lab, this.node.name)
    const namespaces = ['--mount', '--pid', '--cgroup', '--fork', '--kill-child', '--propagation', 'unchanged']
    const become = ['become', this.folder, CONTAINERD_FILES.netns, this.node.root, this.root, ...this.#cgroups]
    const command = ['/usr/bin/unshare', ...namespaces, '--', BUSYBOX, 'sh', SCRIPT, ...become]
    const log = openSync(this.#log, 'a')
    const child = this.#spawn(inNamespace(this.node.netns, this.#joined(this.#cgroups, command)), ['pipe', log])
    closeSync(log)
    this.#init = await readPid(child)
    if (this.#init === 0) throw new Error(`${this.node.name} did not start: ${readFileSync(this.#log, 'utf8')}`)
  }

  /** Power off: nothing of the node's processes goes on for a moment. */
  async crash(): Promise<void> {
    const processes = this.processes()
    process.kill(this.#init, 'SIGKILL')
    await eventually(() => !processes.some(isRunning))
    for (const name of readdirSync(join(this.folder, CONTAINERD_FILES.netns)))
      await mustRun(withParent(['umount', join(this.folder, CONTAINERD_FILES.netns, name)]))
  }

  /** Starts a program in the node, under process 1; what it prints goes to a file of the folder. */
  spawn(command: readonly string[], logFd: number): ChildProcess {
    return this.#spawn(this.inside(command), [logFd, logFd])
  }

  /** The arguments that run a program in the node. */
  inside(command: readonly string[]): string[] {
    const enter = [
      '/usr/bin/nsenter',
      `--target=${this.#init}`,
      '--mount',
      '--pid',
      '--net',
      '--cgroup',
      '--',
      ...command,
    ]
    return this.#joined(
      this.#cgroups.map(c => join(c, 'init')),
      enter,
    )
  }

  /** A path of the node's file system, as the machine reaches it. */
  path(own: string): string {
    return join(`/proc/${this.#init}/root`, own)
  }

  /** All processes of the node but those in containers; process 1 is among them. */
  processes(): NodeProcess[] {
    return processesWhere('pid', namespaceOf(`${this.#init}`, 'pid'))
  }

  /** Those of a pod, by the path of its network namespace. */
  processesOfPod(netns: string): NodeProcess[] {
    return processesWhere('net', `net:[${statSync(netns).ino}]`)
  }

  /** Cgroups are joined before their namespace is entered: with `nsdelegate` there is no way in across its border. */
  #joined(cgroups: readonly string[], command: readonly string[]): string[] {
    return [BUSYBOX, 'sh', SCRIPT, 'join', ...cgroups, '--', ...command]
  }

  #spawn(command: readonly string[], [stdout, stderr]: readonly ['pipe' | number, number]): ChildProcess {
    const [file = '', ...args] = withParent(command)
    const child = spawn(file, args, { cwd: '/', stdio: ['ignore', stdout, stderr] })
    child.on('error', () => {}) // seen by the caller as a program that did not do its work
    child.unref()
    return child
  }

  get #log(): string {
    return join(this.folder, 'node.log')
  }
}

/** Process 1 prints its number once the node is built; 0 when it never was. */
async function readPid({ stdout }: ChildProcess): Promise<number> {
  if (stdout === null) return 0
  try {
    for await (const line of createInterface({ input: stdout })) return Number(line)
  } finally {
    stdout.destroy()
  }
  return 0
}

function processesWhere(kind: 'pid' | 'net', namespace: string | undefined): NodeProcess[] {
  return readdirSync('/proc')
    .filter(pid => /^\d+$/.test(pid) && namespace !== undefined && namespaceOf(pid, kind) === namespace)
    .flatMap(pid => describe(Number(pid)))
}

function namespaceOf(pid: string, kind: 'pid' | 'net'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`)
  } catch {
    return undefined // it has ended
  }
}

/** proc_pid_stat(5): the name in parentheses, and field 22, when the process began. */
function describe(pid: number): NodeProcess[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const end = stat.lastIndexOf(')')
    const startTime = stat.slice(end + 2).split(' ')[19] ?? ''
    return [{ pid, name: stat.slice(stat.indexOf('(') + 1, end), startTime }]
  } catch {
    return []
  }
}
