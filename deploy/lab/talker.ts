/** A program that tells of itself by lines: the first once it runs, the last at its end. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { withParent } from './command.ts'

export class Talker {
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
