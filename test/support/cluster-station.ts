/** A pod, node or outside host of a test's lab: programs in it, and long connections that tell of gaps and resets. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
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

/** What `crowd.ts` saw. */
export interface CrowdResult {
  /** Connections that stood. */
  readonly opened: number
  /** Exchanges that were answered. */
  readonly answered: number
  /** Why others were not, each reason once. */
  readonly failures: readonly string[]
}

const CROWD = join(import.meta.dirname, 'crowd.ts')

/** A namespace of the lab that traffic starts from and leads to. */
export class ClusterStation {
  readonly name: string
  /** Of the node it belongs to; empty for the outside host. */
  readonly node: string
  readonly addresses: readonly string[]
  readonly netns: string
  readonly #probe: string
  readonly #streams = new Set<Stream>()
  readonly #crowds = new Set<Crowd>()

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

  /**
   * Many connections to an echo server: `hold` opens so many and keeps each busy, `dial` opens one after the other, so many
   * at a time. Resolves once they stand, or the first has been answered.
   */
  async crowd(kind: 'hold' | 'dial', count: number, address: string, port: number): Promise<Crowd> {
    const crowd = new Crowd(inNamespace(this.netns, [process.execPath, CROWD, kind, `${count}`, address, `${port}`]))
    this.#crowds.add(crowd)
    await crowd.begun
    return crowd
  }

  /** Ends the connections that a failed test left open. */
  stopAll(): void {
    for (const connections of [...this.#streams, ...this.#crowds]) connections.kill()
  }
}

/** One long connection. */
export class Stream {
  /** Rejects when the connection could not be opened. */
  readonly connected: Promise<void>
  /** When the other side or the network ends it, too. */
  readonly ended: Promise<StreamResult>
  readonly #talker: Talker

  constructor(command: readonly string[]) {
    this.#talker = new Talker(command)
    this.connected = this.#talker.first.then(line => {
      if (!line.includes('"connected":true')) throw new Error(`no stream: ${line}`)
    })
    this.ended = this.#talker.last.then(line => JSON.parse(line) as StreamResult)
  }

  /** Ends the connection after the echoes under way; what it saw in all its time. */
  async stop(): Promise<StreamResult> {
    this.#talker.end()
    return await this.ended
  }
  kill(): void {
    this.#talker.kill()
  }
}

/** Many connections. */
export class Crowd {
  /** Rejects when it could not begin. */
  readonly begun: Promise<void>
  readonly #talker: Talker

  constructor(command: readonly string[]) {
    this.#talker = new Talker(command)
    this.begun = this.#talker.first.then(line => {
      if (line !== 'begun') throw new Error(`no crowd: ${line}`)
    })
  }

  /** Ends it after the exchanges under way; what it saw in all its time. */
  async stop(): Promise<CrowdResult> {
    this.#talker.end()
    return JSON.parse(await this.#talker.last) as CrowdResult
  }
  kill(): void {
    this.#talker.kill()
  }
}

/** A program that tells of itself by lines: the first once it runs, the last at its end. */
class Talker {
  /** Empty when it ended without one. */
  readonly first: Promise<string>
  readonly last: Promise<string>
  readonly #child: ChildProcessByStdio<null, Readable, null>

  constructor(command: readonly string[]) {
    const [file = '', ...args] = withParent(command)
    this.#child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const closed = once(this.#child, 'close')
    const lines = createInterface({ input: this.#child.stdout })
    let last = ''
    lines.on('line', line => (last = line))
    this.first = Promise.race([once(lines, 'line'), closed]).then(() => last)
    this.last = closed.then(() => last)
  }

  end(): void {
    this.#child.kill('SIGTERM')
  }
  kill(): void {
    this.#child.kill('SIGKILL')
  }
}
