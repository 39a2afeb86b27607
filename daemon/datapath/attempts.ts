/** What may fail for the moment, as when a device goes between two looks: told, kept for `status`, and tried again. */
import type { Logger } from '../plugin.ts'

export class Attempts {
  readonly #what: string
  readonly #log: Logger
  #failure: string | undefined

  /** `what` fails, as a sentence: `sysctls could not be set`. */
  constructor(what: string, log: Logger) {
    this.#what = what
    this.#log = log
  }

  /** Why the last attempt failed; undefined when it succeeded. */
  get failure(): string | undefined {
    return this.#failure
  }

  /** Whether it succeeded. A failure is logged unless it is that of the attempt before. */
  async make(act: () => void | Promise<void>): Promise<boolean> {
    try {
      await act()
      this.#failure = undefined
      return true
    } catch (error) {
      const failure = `${this.#what}: ${error instanceof Error ? error.message : String(error)}`
      if (failure !== this.#failure) this.#log.error({ error }, `${this.#what}; it will be tried again`)
      this.#failure = failure
      return false
    }
  }
}
