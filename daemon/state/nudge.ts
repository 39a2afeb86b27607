/** Something other than a table that `eachChange` can follow: an event of the kernel, a time to try again. */
export class Nudge {
  #wake = Promise.withResolvers<void>()

  /** Resolves at the next nudge. */
  changed(): Promise<void> {
    return this.#wake.promise
  }
  nudge(): void {
    const wake = this.#wake
    this.#wake = Promise.withResolvers<void>()
    wake.resolve()
  }
}
