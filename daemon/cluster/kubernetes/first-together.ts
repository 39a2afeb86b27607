/**
 * First states of several collections that mean nothing without each other: a service before its endpoints would be one
 * that nobody serves, and its clients be refused. They are taken in together, and what comes later one by one.
 */
import type { RowTarget } from './row-sink.ts'

export class FirstTogether {
  readonly #all: First<never>[] = []

  /** The target of one of them. All must be added before the first is listed. */
  add<T>(target: RowTarget<T>): RowTarget<T> {
    const first = new First(target, () => this.#release())
    this.#all.push(first as First<never>)
    return first
  }

  #release(): void {
    if (this.#all.every(({ listed }) => listed)) for (const first of this.#all.splice(0)) first.release()
  }
}

class First<T> implements RowTarget<T> {
  readonly #target: RowTarget<T>
  readonly #complete: () => void
  /** What is there so far; undefined before the first list, and when the target has it. */
  #held: Map<string, T> | undefined
  #released = false

  constructor(target: RowTarget<T>, complete: () => void) {
    this.#target = target
    this.#complete = complete
  }

  get listed(): boolean {
    return this.#held !== undefined
  }

  release(): void {
    const rows = this.#held ?? new Map<string, T>()
    this.#held = undefined
    this.#released = true
    this.#target.replace(rows)
  }

  // Before its list a collection has nothing that could change.
  get(name: string): T | undefined {
    return this.#released ? this.#target.get(name) : this.#held?.get(name)
  }
  put(name: string, row: T): void {
    if (this.#released) this.#target.put(name, row)
    else this.#held?.set(name, row)
  }
  delete(name: string): void {
    if (this.#released) this.#target.delete(name)
    else this.#held?.delete(name)
  }
  replace(rows: ReadonlyMap<string, T>): void {
    if (this.#released) return this.#target.replace(rows)
    this.#held = new Map(rows)
    this.#complete()
  }
}
