/** Waiting for changes of a directory. Events may be missed, as on network file systems: whoever waits looks at intervals too. */
import { type FSWatcher, watch } from 'node:fs'
import { setTimeout } from 'node:timers/promises'

export class DirectoryWake implements Disposable {
  readonly #directory: string
  #watcher: FSWatcher | undefined
  #woken = false
  #wake: () => void = () => undefined

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Watches the directory that has the name now, which may be another one than last time. */
  watch(): void {
    this.#watcher?.close()
    this.#woken = false
    try {
      this.#watcher = watch(this.#directory, { persistent: false }, () => this.#ring())
      this.#watcher.on('error', () => undefined)
    } catch {
      // No directory, or no inotify watches left: the periodic look goes on without.
      this.#watcher = undefined
    }
  }

  /** Resolves at the first event since `watch`, after `ms`, or when the signal aborts. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#woken) return
    const event = new AbortController()
    this.#wake = () => event.abort()
    await pause(ms, AbortSignal.any([signal, event.signal]))
  }

  [Symbol.dispose](): void {
    this.#watcher?.close()
  }

  #ring(): void {
    this.#woken = true
    this.#wake()
  }
}

/** Resolves after `ms` or when the signal aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal }).catch(() => undefined)
}
