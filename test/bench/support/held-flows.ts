/** Flows that stay open until they are let go: connections of `cw-probe hold`. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { PROBE } from '../../../deploy/lab/built.ts'
import { inNamespace, withParent } from '../../../deploy/lab/command.ts'

/** What is to be opened, and from where. */
export interface Wanted {
  readonly netns: string
  readonly address: string
  /** The first one of the servers', which keep their ends (cw-probe serve --blocking). */
  readonly port: number
  readonly count: number
  /** So many attempts may fail before no more are made. */
  readonly failures: number
  /** After so long without an answer an attempt has failed; a second passes before its first packet is repeated. */
  readonly timeoutMs: number
}

/** What `cw-probe hold` prints. */
export interface Opened {
  readonly opened: number
  readonly failed: number
  /** Of the last one that failed; empty when none did. */
  readonly error: string
}

export class HeldFlows implements AsyncDisposable {
  readonly #children: ChildProcess[] = []

  /** Opens flows one after another; resolves with how many it has, which stay. */
  async open({ netns, address, port, count, failures, timeoutMs }: Wanted, signal: AbortSignal): Promise<Opened> {
    signal.throwIfAborted()
    const probe = [
      PROBE,
      'hold',
      address,
      `${port}`,
      `${count}`,
      '--failures',
      `${failures}`,
      '--timeout',
      `${timeoutMs}`,
    ]
    const [file = '', ...args] = inNamespace(netns, withParent(probe))
    // Its standard input ends with this process.
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'ignore'] })
    this.#children.push(child)
    const ends = once(child, 'close').then(() => {
      throw new Error(`cw-probe hold ended in ${netns}`)
    })
    const [line] = (await Promise.race([once(createInterface(child.stdout), 'line', { signal }), ends])) as [string]
    return JSON.parse(line) as Opened
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#children.splice(0).map(async child => {
        if ((child.exitCode ?? child.signalCode) !== null) return
        const ended = once(child, 'close')
        child.kill('SIGKILL')
        await ended
      }),
    )
  }
}
