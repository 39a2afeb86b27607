/** One plugin from set-up to stop: its signal, what it deferred, and its loops. */
import { CausewayError } from './errors.ts'
import type { Logger, Parts } from './plugin.ts'
import type { Clock } from './state/clock.ts'

/** A plugin did not start or did not keep running; `plugin` names it and `cause` says why. */
export class PluginFailed extends CausewayError {
  readonly plugin: string
  constructor(plugin: string, problem: string, options?: ErrorOptions) {
    super('PLUGIN_FAILED', `plugin ${plugin}: ${problem}`, options)
    this.plugin = plugin
  }
}

/** Disposing stops it: abort, wait for its loops, then what it deferred, last first. */
export class PluginLife implements AsyncDisposable {
  readonly name: string
  readonly #log: Pick<Logger, 'warn'>
  readonly #clock: Clock
  readonly #stopTimeoutMs: number
  readonly #stop = new AbortController()
  readonly #undo = new AsyncDisposableStack()
  readonly #loops: Promise<void>[] = []

  constructor(name: string, options: { log: Pick<Logger, 'warn'>; clock: Clock; stopTimeoutMs: number }) {
    this.name = name
    this.#log = options.log
    this.#clock = options.clock
    this.#stopTimeoutMs = options.stopTimeoutMs
  }

  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** What a set-up that outlived its deadline still defers is disposed at once. */
  defer(disposable: AsyncDisposable): void {
    if (!this.#undo.disposed) this.#undo.use(disposable)
    else void this.#quietly('late undo', disposable[Symbol.asyncDispose]())
  }

  /** Runs a set-up; after the deadline aborts it and throws PluginFailed. Errors of the set-up pass as they are. */
  async setUp(setUp: () => Promise<Parts> | Parts, timeoutMs: number): Promise<Parts> {
    const late = Promise.withResolvers<never>()
    const cancel = this.#clock.after(timeoutMs, () => {
      const error = new PluginFailed(this.name, `set-up did not end within ${timeoutMs / 1000} s`)
      this.#stop.abort(error)
      late.reject(error)
    })
    try {
      return await Promise.race([(async () => setUp())(), late.promise])
    } finally {
      cancel()
    }
  }

  /** Runs a loop until the plugin stops; reports a rejection that comes before. */
  run(loop: (signal: AbortSignal) => Promise<void>, onFailure: (error: PluginFailed) => void): void {
    const ended = (async () => loop(this.signal))().catch((cause: unknown) => {
      if (!this.signal.aborted) onFailure(new PluginFailed(this.name, 'stopped running', { cause }))
    })
    this.#loops.push(ended)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    const until = this.#clock.now() + this.#stopTimeoutMs
    // Loops that will not end leave half of the time to what was deferred.
    await this.#bounded('loops', Promise.all(this.#loops), this.#stopTimeoutMs / 2)
    await this.#bounded('undo', this.#undo.disposeAsync(), until - this.#clock.now())
  }

  async #bounded(what: string, ending: Promise<unknown>, ms: number): Promise<void> {
    const late = Promise.withResolvers<void>()
    const cancel = this.#clock.after(ms, () => {
      this.#log.warn({ plugin: this.name }, `${what} did not end within ${Math.round(ms) / 1000} s; going on`)
      late.resolve()
    })
    await Promise.race([this.#quietly(what, ending), late.promise])
    cancel()
  }

  /** Nobody is left to throw to: what fails while stopping is logged. */
  #quietly(what: string, ending: PromiseLike<unknown>): Promise<unknown> {
    return Promise.resolve(ending).catch((error: unknown) => {
      this.#log.warn({ plugin: this.name, error }, `${what} failed while stopping`)
    })
  }
}
