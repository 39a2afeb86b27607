/** A pod, node or outside host of a test's lab: programs in it, and long connections that tell of gaps and resets. */
import type { Family } from '../../daemon/kernel/kernel.ts'
import { Crowd, crowdCommand, type CrowdKind } from '../../deploy/lab/crowds.ts'
import { PROBE_PORT } from '../../deploy/lab/layout.ts'
import { familyOf, type Station } from '../../deploy/lab/state.ts'
import { type CommandResult, inNamespace, mustRun, runCommand } from '../../deploy/lab/command.ts'
import { Talker } from '../../deploy/lab/talker.ts'

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

  /** Many connections to an echo server. Resolves once they stand, or the first has been answered. */
  async crowd(kind: CrowdKind, count: number, address: string, port: number): Promise<Crowd> {
    const crowd = new Crowd(inNamespace(this.netns, crowdCommand(kind, count, address, port)))
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
