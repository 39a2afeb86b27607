/** The daemon's endless loops: started by name, stopped together. */
import { messageOf } from './errors.ts'

const STOPPING = new Error('the daemon is stopping')

/** Disposing aborts the signal and waits for every loop; a loop ends by its signal, so this never rejects. */
export class Jobs implements AsyncDisposable {
  readonly #stop = new AbortController()
  readonly #failed = Promise.withResolvers<never>()
  readonly #loops: Promise<void>[] = []

  constructor() {
    // Whoever awaits it sees the failure; nobody has to.
    this.failed.catch(() => undefined)
  }

  /** Rejects with the first failure of a loop, named; never resolves. */
  get failed(): Promise<never> {
    return this.#failed.promise
  }

  /** Starts a loop that runs until its signal aborts. */
  run(name: string, loop: (signal: AbortSignal) => Promise<void>): void {
    const running = loop(this.#stop.signal).catch((cause: unknown) => {
      this.#failed.reject(new Error(`${name} stopped: ${messageOf(cause)}`, { cause }))
    })
    this.#loops.push(running)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(STOPPING)
    await Promise.all(this.#loops)
  }
}
