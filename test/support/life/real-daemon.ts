/** The daemon of a real node as a process that a test starts, ends and kills, also at a step of the test's choosing. */
import type { ChildProcess } from 'node:child_process'
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Step } from '../../../daemon/endpoint/steps.ts'
import type { LabLayout, NodeLayout } from '../../../deploy/lab/layout.ts'
import { daemonReady, launchDaemon } from '../../../deploy/lab/node.ts'
import { withParent } from '../../../deploy/lab/command.ts'

const START_TIMEOUT_MS = 120_000
/** A daemon that was told to stop does so within 10 s; the machine may be busy. */
const STOP_TIMEOUT_MS = 30_000

export interface RealDaemonOptions {
  readonly lab: LabLayout
  readonly node: NodeLayout
  readonly bundle: string
}

export class RealDaemon {
  readonly #options: RealDaemonOptions
  /** What the daemon is to die of; see daemon/endpoint/kill-at.ts. */
  readonly #wish: string
  #child: ChildProcess | undefined
  #gone = Promise.resolve()
  #ready = false
  /** A wish was made and not taken back. */
  #armed: Step | undefined
  /** A signal was sent. */
  #signalled = false
  #timer: NodeJS.Timeout | undefined
  /** How daemons ended that nobody had ended. */
  readonly crashes: string[] = []
  /** Deaths at a step that was wished for. */
  readonly fallen: Step[] = []
  starts = 0

  constructor(options: RealDaemonOptions) {
    this.#options = options
    this.#wish = join(options.node.root, 'kill-at')
  }

  /** Ready, and not known to be dying. */
  get alive(): boolean {
    return this.#ready && !this.#dying
  }
  /** Resolves when the process of now has ended. */
  get gone(): Promise<void> {
    return this.#gone
  }
  get #dying(): boolean {
    return this.#signalled || this.#fell
  }

  get #fell(): boolean {
    return this.#armed !== undefined && !existsSync(this.#wish)
  }

  /** Resolves when the daemon is ready, or has died as it was told to. */
  async start(): Promise<void> {
    const { lab, node, bundle } = this.#options
    const command = withParent([process.execPath, bundle, 'daemon'])
    const child = launchDaemon(lab, node, { daemon: ['env', `CAUSEWAY_TEST_KILL_AT=@${this.#wish}`, ...command] })
    child.ref()
    this.starts++
    this.#child = child
    this.#signalled = false
    if (!existsSync(this.#wish)) this.#armed = undefined
    this.#gone = new Promise(resolve => child.once('exit', (code, signal) => resolve(this.#ended(code ?? signal))))
    try {
      await daemonReady(node, child, AbortSignal.timeout(START_TIMEOUT_MS))
      this.#ready = true
    } catch (error) {
      if (!this.#dying) throw error
    }
    await this.atRest()
  }

  /** Resolves at once unless the daemon is dying; then when it is dead. */
  async atRest(): Promise<void> {
    if (this.#dying) await this.#gone
  }

  /** SIGTERM; rejects when the daemon does not end in good order. */
  async stop(): Promise<void> {
    const child = this.#child
    this.#signalled = true
    child?.kill('SIGTERM')
    const late = setTimeout(() => child?.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await this.#gone
    clearTimeout(late)
    if (child?.exitCode !== 0) throw new Error(`the daemon ended by ${child?.exitCode ?? child?.signalCode} at SIGTERM`)
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    this.#signalled = true
    this.#child?.kill('SIGKILL')
    await this.#gone
  }
  killAfter(ms: number): void {
    this.#timer = setTimeout(() => void this.kill(), ms)
  }

  /** The daemon kills itself at the n-th passing of a step: the one that runs, or the next that is started. */
  dieAt(step: Step, nth: number): void {
    writeFileSync(`${this.#wish}.new`, `${step}:${nth}`)
    renameSync(`${this.#wish}.new`, this.#wish)
    this.#armed = step
  }

  /** Takes `killAfter` and `dieAt` back; call when the daemon is at rest. */
  disarm(): void {
    clearTimeout(this.#timer)
    rmSync(this.#wish, { force: true })
    this.#armed = undefined
  }

  #ended(how: number | string | null): void {
    this.#ready = false
    if (this.#fell && this.#armed !== undefined) this.fallen.push(this.#armed)
    if (!this.#dying) this.crashes.push(`a daemon ended by itself (${how})`)
    this.#signalled = true
  }
}
