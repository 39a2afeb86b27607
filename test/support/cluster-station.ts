/** A pod, node or outside host of a test's lab: programs in it, and long connections that tell of gaps and resets. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { Family } from '../../daemon/kernel/kernel.ts'
import { PROBE_PORT } from '../../deploy/lab/layout.ts'
import { familyOf, type Station } from '../../deploy/lab/state.ts'
import { type CommandResult, inNamespace, mustRun, runCommand, withParent } from '../../deploy/lab/command.ts'

/** What `cw-probe stream` saw. */
export interface StreamResult {
  readonly ok: boolean
  readonly sent: number
  readonly received: number
  readonly longestGapMs: number
  readonly error?: string
}
/** What `cw-probe check` found. */
export interface CheckResult {
  readonly ok: boolean
  readonly ms: number
  readonly error?: string
}

/** A namespace of the lab that traffic starts from and leads to. */
export class ClusterStation {
  readonly name: string
  /** Of the node it belongs to; empty for the outside host. */
  readonly node: string
  readonly addresses: readonly string[]
  readonly netns: string
  readonly #probe: string
  readonly #streams = new Set<Stream>()

  constructor(station: Omit<Station, 'kind'>, probe: string) {
    this.name = station.name
    this.addresses = station.addresses
    this.netns = station.netns
    this.node = station.node
    this.#probe = probe
  }

  /** The address of a family; throws when there is none. */
  address(family: Family): string {
    const address = this.addresses.find(a => familyOf(a) === family)
    if (address === undefined) throw new Error(`${this.name} has no IPv${family} address`)
    return address
  }

  /** Runs a program here, which must succeed; its standard output. */
  async run(command: readonly string[]): Promise<string> {
    return await mustRun(inNamespace(this.netns, command))
  }
  /** Runs a program here, whatever its status. */
  async try(command: readonly string[]): Promise<CommandResult> {
    return await runCommand(inNamespace(this.netns, command))
  }

  /** `cw-probe check` with these arguments: an exchange whose content is compared. */
  async check(...args: readonly (string | number)[]): Promise<CheckResult> {
    const { stdout, stderr } = await this.try([this.#probe, 'check', ...args.map(String)])
    return stdout === '' ? { ok: false, ms: 0, error: stderr } : (JSON.parse(stdout) as CheckResult)
  }

  /** Opens a connection to an echo server and keeps it busy; resolves once it stands. */
  async stream(address: string, port = PROBE_PORT): Promise<Stream> {
    const stream = new Stream(inNamespace(this.netns, [this.#probe, 'stream', address, `${port}`]))
    this.#streams.add(stream)
    await stream.connected
    return stream
  }

  /** Ends the connections that a failed test left open. */
  stopAll(): void {
    for (const stream of this.#streams) stream.kill()
  }
}

/** One long connection. */
export class Stream {
  /** Rejects when the connection could not be opened. */
  readonly connected: Promise<void>
  readonly #child: ChildProcessByStdio<null, Readable, null>
  readonly #lines: Interface
  readonly #closed: Promise<unknown>
  #last = ''

  constructor(command: readonly string[]) {
    const [file = '', ...args] = withParent(command)
    this.#child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#closed = once(this.#child, 'close')
    this.#lines = createInterface({ input: this.#child.stdout })
    this.#lines.on('line', line => (this.#last = line))
    this.connected = Promise.race([once(this.#lines, 'line'), this.#closed]).then(() => {
      if (!this.#last.includes('"connected":true')) throw new Error(`no stream: ${this.#last}`)
    })
  }

  /** Ends the connection after the echoes under way; what it saw in all its time. */
  async stop(): Promise<StreamResult> {
    this.#child.kill('SIGTERM')
    await this.#closed
    return JSON.parse(this.#last) as StreamResult
  }
  kill(): void {
    this.#child.kill('SIGKILL')
  }
}
