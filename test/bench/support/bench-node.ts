/**
 * A node as the lab builds it (deploy/lab), with a daemon that the bench starts and stops itself, and any number of
 * empty pod namespaces for its CNI executable.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { LinuxKernel } from '../../../daemon/kernel/linux.ts'
import { createNetns } from '../../../daemon/kernel/netns/create.ts'
import { builtProject } from '../../../deploy/lab/built.ts'
import { nodeManifest, writeManifest } from '../../../deploy/lab/configuration.ts'
import type { LabOptions } from '../../../deploy/lab/configuration.ts'
import { type LabLayout, type NodeLayout, nodeLayout } from '../../../deploy/lab/layout.ts'
import { type Built, prepareNode } from '../../../deploy/lab/node.ts'
import { ownLab } from '../../../deploy/lab/own.ts'
import { layWires } from '../../../deploy/lab/up.ts'
import { inNamespace, mustRun, withParent } from '../../../deploy/lab/command.ts'
import { eventually } from '../../support/eventually.ts'
import type { Stage } from './spawn-timer.ts'

const READY_TIMEOUT_MS = 120_000
const STOP_TIMEOUT_MS = 12_000
const READY_MESSAGE = 'the daemon runs'

/** A running daemon. */
export interface RunningDaemon {
  readonly pid: number
  /** From the start of the process until programs were attached and the pods of before restored. */
  readonly startMs: number
  /** Until the runtime could see that pods can be started. */
  readonly readyMs: number
}

export class BenchNode implements AsyncDisposable {
  readonly layout: NodeLayout
  readonly #lab: LabLayout
  readonly #built: Built
  readonly #stack: AsyncDisposableStack
  #child: ChildProcess | undefined

  /**
   * `name` is a lab's name; what a bench of that name left behind is removed first. With `kubernetes` the daemon speaks to
   * an API server in the lab's namespace `control`, which is the bench's to start.
   */
  static async create(
    name: string,
    signal: AbortSignal,
    options: Partial<Pick<LabOptions, 'kubernetes' | 'set'>> = {},
  ): Promise<BenchNode> {
    await using stack = new AsyncDisposableStack()
    const { layout: lab } = stack.use(await ownLab(name, signal))
    // Room for many pods, whose addresses cool down for a while.
    const node = { ...nodeLayout(lab, 1), podCidrs: ['10.71.0.0/16', 'fd00:71::/112'] }
    using kernel = new LinuxKernel()
    await layWires(lab, [node], kernel, options.kubernetes ? [lab.outside, lab.control] : [lab.outside])
    writeManifest(lab, node.name, nodeManifest(node))
    const built = builtProject()
    await prepareNode(lab, node, built, { set: [], ...options })
    return new BenchNode(lab, node, built, stack.move())
  }

  private constructor(lab: LabLayout, layout: NodeLayout, built: Built, stack: AsyncDisposableStack) {
    this.#lab = lab
    this.#built = built
    this.layout = layout
    this.#stack = stack
  }

  get lab(): LabLayout {
    return this.#lab
  }
  /** Folder for files of the bench. */
  get folder(): string {
    return this.#lab.root
  }

  /** Starts the daemon and resolves once it takes pods. Rejects with its log's end. */
  async startDaemon(): Promise<RunningDaemon> {
    const command = [...this.#built.daemon, '--config', this.layout.config]
    const [file = '', ...args] = inNamespace(this.layout.netns, withParent(command))
    const started = performance.now()
    const child = spawn(file, args, { cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] })
    this.#child = child
    await saysReady(child)
    const startMs = performance.now() - started
    await eventually(() => existsSync(this.#conflist), { timeoutMs: READY_TIMEOUT_MS })
    return { pid: child.pid ?? 0, startMs, readyMs: performance.now() - started }
  }

  /** Ends the daemon; pods stay. */
  async stopDaemon(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || (child.exitCode ?? child.signalCode) !== null) return
    const ended = new Promise(done => child.once('exit', done))
    child.kill('SIGTERM')
    const limit = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await ended
    clearTimeout(limit)
  }

  /** Removes all that daemon and pods made on the node; the daemon must have ended. */
  async uninstall(): Promise<void> {
    const command = [...this.#built.daemon.slice(0, -1), 'uninstall', '--force', '--config', this.layout.config]
    await mustRun(inNamespace(this.layout.netns, command))
  }

  /** Makes namespaces for pods `first` to `first + count - 1`, named after `kind`. */
  makePods(kind: string, first: number, count: number): void {
    for (let i = first; i < first + count; i++) createNetns(this.#podNetns(kind, `${i}`))
  }

  /** One call of a CNI executable for pod `{}`, with a network configuration of its own. */
  cniStage(call: {
    readonly verb: 'ADD' | 'DEL'
    readonly kind: string
    readonly input: string
    readonly command: string
  }): Stage {
    return {
      env: {
        CNI_COMMAND: call.verb,
        CNI_CONTAINERID: `${call.kind}-{}`,
        CNI_NETNS: this.#podNetns(call.kind, '{}'),
        CNI_IFNAME: 'eth0',
        CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${call.kind}-{};K8S_POD_UID=uid-{}`,
        CNI_PATH: '/usr/lib/cni',
      },
      input: call.input,
      command: [call.command],
    }
  }

  /** Our own executable with the configuration the daemon wrote. */
  ownStage(verb: 'ADD' | 'DEL', kind: string): Stage {
    const input = join(this.folder, 'own.json')
    const list = JSON.parse(readFileSync(this.#conflist, 'utf8')) as {
      readonly name: string
      readonly plugins: readonly [Readonly<Record<string, unknown>>]
    }
    const { capabilities: _unused, ...plugin } = list.plugins[0]
    writeFileSync(input, JSON.stringify({ ...plugin, name: list.name, cniVersion: '1.0.0' }))
    return this.cniStage({ verb, kind, input, command: join(this.layout.paths.cniBin, 'causeway') })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopDaemon()
    await this.#stack.disposeAsync()
  }

  get #conflist(): string {
    return join(this.layout.paths.cniConf, '05-causeway.conflist')
  }

  #podNetns(kind: string, number: string): string {
    return `/run/netns/${this.#lab.netnsPrefix}${kind}-${number}`
  }
}

/** Resolves at the log line that says so; the log is kept for the case that it never comes. */
async function saysReady(child: ChildProcess): Promise<void> {
  const lines: string[] = []
  const ready = Promise.withResolvers<void>()
  const fail = (why: string): void => ready.reject(new Error(`the daemon ${why}:\n${lines.slice(-15).join('\n')}`))
  const limit = setTimeout(() => fail('is not ready'), READY_TIMEOUT_MS)
  child.once('exit', status => fail(`ended (${status})`))
  child.once('error', error => fail(`did not start: ${error.message}`))
  if (child.stderr === null) throw new Error('standard error must be a pipe')
  // Read to its end: a full pipe would hold the daemon up.
  createInterface({ input: child.stderr }).on('line', line => {
    if (lines.push(line) > 100) lines.shift()
    if (line.includes(READY_MESSAGE)) ready.resolve()
  })
  try {
    await ready.promise
  } finally {
    clearTimeout(limit)
  }
}
