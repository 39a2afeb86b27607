/** Long-running TCP connections, which must outlive everything that happens to the daemon without a reset. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { inNamespace, withParent } from '../../../deploy/lab/command.ts'

/** What a stream saw until its end; see deploy/probe/stream.c. */
export interface StreamReport {
  readonly name: string
  readonly ok: boolean
  readonly sent: number
  readonly received: number
  readonly longestGapMs: number
  readonly error?: string
}

export interface StreamEnds {
  readonly name: string
  readonly fromNetns: string
  readonly address: string
  readonly port: number
}

/** Between two messages. Milliseconds. */
const INTERVAL_MS = '20'
/** How long a stream may be silent, at its start and at its end. */
const TIMEOUT_MS = '20000'

export class Stream {
  readonly name: string
  readonly #child: ChildProcess
  readonly #report: Promise<StreamReport>
  /** Set when the stream ended before it was asked to. */
  broken: string | undefined
  #ending = false

  private constructor(name: string, child: ChildProcess, lines: AsyncIterator<string>) {
    this.name = name
    this.#child = child
    this.#report = this.#read(lines)
    this.#report.catch(() => {})
  }

  /** Resolves when the connection stands. */
  static async open(probe: string, { name, fromNetns, address, port }: StreamEnds): Promise<Stream> {
    const options = ['--interval', INTERVAL_MS, '--timeout', TIMEOUT_MS]
    const command = inNamespace(fromNetns, [probe, 'stream', address, `${port}`, ...options])
    const [file = '', ...args] = withParent(command)
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const first = await lines.next()
    if (first.done || !first.value.includes('"connected":true')) throw new Error(`stream ${name}: ${first.value}`)
    return new Stream(name, child, lines)
  }

  /** Ends the stream and resolves to what it saw. */
  async end(): Promise<StreamReport> {
    this.#ending = true
    this.#child.kill('SIGTERM')
    return await this.#report
  }

  async #read(lines: AsyncIterator<string>): Promise<StreamReport> {
    const last = await lines.next()
    if (!this.#ending) this.broken = `stream ${this.name} ended: ${last.value}`
    return { name: this.name, ...(JSON.parse(last.value ?? '{}') as Omit<StreamReport, 'name'>) }
  }
}
