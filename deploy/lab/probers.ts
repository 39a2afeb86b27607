/**
 * Probes that stay where they are and check one thing after the other: to start a program there takes longer than most
 * checks do.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { withParent } from './command.ts'

/** As many in one place as are asked for at the same time. */
export class Probers implements AsyncDisposable {
  readonly #probe: string
  readonly #idle = new Map<string, Prober[]>()
  readonly #all: Prober[] = []

  constructor(probe: string) {
    this.#probe = probe
  }

  /**
   * The line that `cw-probe` prints for these arguments; empty when it could not be run. `inPlace` are the arguments that run
   * a program in the place it is to be asked.
   */
  async ask(inPlace: (program: readonly string[]) => readonly string[], args: readonly string[], signal: AbortSignal) {
    const command = inPlace([this.#probe, 'each'])
    const place = command.join(' ')
    const prober = this.#idle.get(place)?.pop() ?? this.#start(command)
    const line = await prober.ask(args, signal)
    this.#idle.set(place, [...(this.#idle.get(place) ?? []), prober])
    return line
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#all.map(prober => prober.end()))
  }

  #start(command: readonly string[]): Prober {
    const prober = new Prober(command)
    this.#all.push(prober)
    return prober
  }
}

class Prober {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #closed: Promise<unknown>
  readonly #lines: AsyncIterator<string>

  constructor(command: readonly string[]) {
    const [file = '', ...args] = withParent(command)
    this.#child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#child.stdin.on('error', () => {}) // seen as a program that says nothing
    this.#closed = once(this.#child, 'close').catch(() => {})
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  async ask(args: readonly string[], signal: AbortSignal): Promise<string> {
    signal.throwIfAborted()
    const kill = (): void => void this.#child.kill('SIGKILL')
    signal.addEventListener('abort', kill)
    try {
      this.#child.stdin.write(`${args.join(' ')}\n`)
      const { value, done } = await this.#lines.next()
      signal.throwIfAborted()
      return done ? '' : value
    } finally {
      signal.removeEventListener('abort', kill)
    }
  }

  async end(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#closed
  }
}
