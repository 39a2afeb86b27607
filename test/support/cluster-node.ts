/** A node of a test's lab: its daemon's life, what the daemon says of itself, and what the kernel holds. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import type { FlowRecord } from '../../daemon/flow/record.ts'
import { linkFromPin, type LinkInfo as AttachedLink } from '../../daemon/kernel/bpf/link.ts'
import { listPins } from '../../daemon/kernel/bpf/pin.ts'
import type { Kernel, LinkInfo, Net } from '../../daemon/kernel/kernel.ts'
import type { Tables } from '../../daemon/state/tables.ts'
import { follow, get } from '../../deploy/lab/api.ts'
import { daemonConfiguration } from '../../deploy/lab/configuration.ts'
import { bare, type NodeLayout } from '../../deploy/lab/layout.ts'
import { isRunning, type Process, processesIn, procFile, send } from '../../deploy/lab/namespaces.ts'
import { type Built, daemonProcess, startDaemon } from '../../deploy/lab/node.ts'
import { nodeRuntime } from '../../deploy/lab/pod.ts'
import type { Lab } from '../../deploy/lab/state.ts'
import type { CniRuntime } from '../../deploy/lab/cni-runtime.ts'
import { type CommandResult, inNamespace, mustRun, runCommand } from '../../deploy/lab/command.ts'
import { eventually } from './eventually.ts'

export interface ClusterNodeParts {
  readonly lab: Lab
  readonly node: NodeLayout
  readonly kernel: Kernel
  readonly built: Built
  readonly signal: AbortSignal
}

/** A row of a table as the API gives it. */
export type RowOf<N extends keyof Tables> = Tables[N] extends Iterable<infer R> ? R : never

export interface StartOptions {
  readonly set?: readonly string[]
  readonly bundle?: string
  readonly before?: readonly string[]
}

const ENDED_TIMEOUT_MS = 30_000

export class ClusterNode {
  readonly name: string
  readonly layout: NodeLayout
  /** Without prefix lengths. */
  readonly addresses: readonly string[]
  readonly runtime: CniRuntime
  readonly #parts: ClusterNodeParts

  constructor(parts: ClusterNodeParts) {
    this.#parts = parts
    this.name = parts.node.name
    this.layout = parts.node
    this.addresses = parts.node.addresses.map(bare)
    this.runtime = nodeRuntime(parts.lab.layout, parts.node, parts.signal)
  }

  /** Runs a program in the node's namespace, which must succeed; its standard output. */
  async run(command: readonly string[]): Promise<string> {
    return await mustRun(inNamespace(this.layout.netns, command), { signal: this.#parts.signal })
  }

  /** Runs the command `causeway` on the node. */
  async causeway(...args: readonly string[]): Promise<CommandResult> {
    const command = inNamespace(this.layout.netns, [...this.#parts.built.daemon.slice(0, -1), ...args])
    const env = { ...process.env, CAUSEWAY_CONFIG: this.layout.config }
    return await runCommand(command, { env, signal: this.#parts.signal })
  }

  /** Opens the node's namespace. */
  net(): Net {
    return this.#parts.kernel.openNet(this.layout.netns)
  }

  /** The daemon's process; undefined when none runs. */
  daemon(): Process | undefined {
    return daemonProcess(this.layout)
  }

  /** Processes in the node's namespace that have this in their environment, such as `CNI_COMMAND=ADD`. */
  processes(environment: string): Process[] {
    return processesIn([this.layout.netnsName]).filter(p => procFile(p.pid, 'environ').includes(environment))
  }

  /** Sends the daemon a signal. Throws when none runs. */
  signalDaemon(name: NodeJS.Signals): Process {
    const daemon = this.daemon()
    if (daemon === undefined) throw new Error(`no daemon runs on ${this.name}`)
    send(name, [daemon])
    return daemon
  }

  /** Sends the daemon a signal and resolves, once it has ended, to the milliseconds that took. */
  async endDaemon(name: NodeJS.Signals): Promise<number> {
    const began = performance.now()
    const daemon = this.signalDaemon(name)
    await eventually(() => !isRunning(daemon), { timeoutMs: ENDED_TIMEOUT_MS })
    return performance.now() - began
  }

  /**
   * Starts the daemon and resolves once it is ready; rejects with the end of its log when it ends before. `set` replaces
   * what was set beyond the lab's own configuration, `bundle` is another file than the project's bundle, and `before`
   * stands before the daemon's command, such as `env NAME=VALUE`.
   */
  async startDaemon(options: StartOptions = {}): Promise<void> {
    const { lab, node, built, signal } = this.#parts
    if (options.set !== undefined)
      writeFileSync(
        node.config,
        stringify(daemonConfiguration(lab.layout, node, { ...lab.options, set: [...lab.options.set, ...options.set] })),
      )
    const { before = [], bundle } = options
    const command = bundle === undefined ? built.daemon : [process.execPath, bundle, 'daemon']
    await startDaemon(lab.layout, node, { ...built, daemon: [...before, ...command] }, signal)
  }

  /** The configuration file as an object. */
  configuration(): Record<string, unknown> {
    return parse(readFileSync(this.layout.config, 'utf8')) as Record<string, unknown>
  }

  /** The body of a GET on the daemon's API. Rejects when nobody listens or the status is not 200. */
  async get(path: string): Promise<unknown> {
    const { status, body } = await get(this.layout.socket, path, this.#parts.signal)
    if (status !== 200) throw new Error(`GET ${path} on ${this.name}: ${status} ${JSON.stringify(body)}`)
    return body
  }

  async table<N extends keyof Tables>(name: N): Promise<RowOf<N>[]> {
    return (await this.get(`/v1/tables/${name}`)) as RowOf<N>[]
  }

  /** A metric's value, the sum over all its labels that match; 0 when it is not there. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const text = String(await this.get('/metrics'))
    const lines = text.split('\n').filter(line => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    const fitting = lines.filter(line => Object.entries(labels).every(([k, v]) => line.includes(`${k}="${v}"`)))
    return fitting.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
  }

  /** Follows the daemon's flow records from now on until disposed of. */
  async flows(query = ''): Promise<FlowLog> {
    const log = new FlowLog()
    const signal = AbortSignal.any([this.#parts.signal, log.signal])
    await follow(this.layout.socket, `/v1/flows?follow=1${query}`, signal, line => log.take(line))
    return log
  }

  /** Lines the daemon has logged, parsed; those that are no JSON as `{msg}`. */
  log(): readonly Readonly<Record<string, unknown>>[] {
    const lines = readFileSync(this.layout.log, 'utf8').trimEnd().split('\n')
    return lines.map(line => {
      try {
        return JSON.parse(line) as Record<string, unknown>
      } catch {
        return { msg: line }
      }
    })
  }

  /** Pinned links of programs on devices, name of the pin → its link; none where they are attached by clsact. */
  links(): Readonly<Record<string, AttachedLink>> {
    const pins = listPins(join(this.layout.paths.bpf, 'links'))
    return Object.fromEntries(
      pins.map(({ name, path }) => {
        using link = linkFromPin(path)
        if (link === undefined) throw new Error(`${path} vanished`)
        return [name, link.info()]
      }),
    )
  }

  /**
   * Ids of all programs the daemon attached, by where, whichever way: on the pods' block and on devices, such as
   * `uplink_in_2`. One that changes was replaced.
   */
  async programs(): Promise<Readonly<Record<string, number>>> {
    const links = Object.entries(this.links()).map(([name, link]) => [name, link.programId] as const)
    const onPods = await this.#filters('cw-anchor0', (_, side) => `pods ${side}`)
    if (onPods.length !== 2) throw new Error(`${this.name} has ${onPods.length} programs on the pods' block, not 2`)
    const onDevices = this.#devicesWithFilters().map(d => this.#filters(d.name, program => `${program}_${d.index}`))
    const all = [...onPods, ...links, ...(await Promise.all(onDevices)).flat()]
    return Object.fromEntries(all.sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  /** Devices with a clsact of their own. */
  #devicesWithFilters(): readonly LinkInfo[] {
    using net = this.net()
    const own = net.qdiscs().filter(q => q.kind === 'clsact' && q.ingressBlock === 0 && q.egressBlock === 0)
    return net.links().filter(link => own.some(q => q.link === link.index))
  }

  /** Programs of the filters on both sides of a device, with the names that `nameOf` gives them. */
  async #filters(device: string, nameOf: (program: string, side: string) => string) {
    const sides = ['ingress', 'egress'].map(async side => {
      const text = await this.run(['tc', 'filter', 'show', 'dev', device, side])
      const found = text.matchAll(/handle 0x1 (\w+) direct-action.* id (\d+)/g)
      return [...found].map(([, program = '', id]) => [nameOf(program, side), Number(id)] as const)
    })
    return (await Promise.all(sides)).flat()
  }

  /** DELs that wait for a daemon. */
  queuedDeletes(): readonly string[] {
    const directory = join(this.layout.paths.run, 'deletes')
    return existsSync(directory) ? readdirSync(directory).filter(name => name.endsWith('.json')) : []
  }
}

/** Flow records as they come, with the number of those that were lost. */
export class FlowLog implements Disposable {
  readonly records: FlowRecord[] = []
  lost = 0
  readonly #stop = new AbortController()

  get signal(): AbortSignal {
    return this.#stop.signal
  }
  take(line: unknown): void {
    const record = line as FlowRecord | { readonly lost: number }
    if ('lost' in record) this.lost += record.lost
    else this.records.push(record)
  }
  [Symbol.dispose](): void {
    this.#stop.abort()
  }
}

/** The parts of a file of proc_pid_cmdline(5)'s form; none when the process has ended. */
