/**
 * First states of several collections that mean nothing without each other: a service before its endpoints would be one
 * that nobody serves, and its clients be refused. They are taken in together, and what comes later one by one.
 */
import type { RowTarget } from './row-sink.ts'

export class FirstTogether {
  /** What each collection has so far; undefined for one that has not been listed. */
  #held: Map<object, readonly (() => void)[] | undefined> | undefined = new Map()

  /** The target of one of them. All must be added before the first is listed. */
  add<T>(target: RowTarget<T>): RowTarget<T> {
    this.#held?.set(target, undefined)
    const later = (act: () => void): void => {
      const held = this.#held?.get(target)
      if (this.#held === undefined) act()
      // Before its list it has nothing that could change.
      else if (held !== undefined) this.#held.set(target, [...held, act])
    }
    return {
      put: row => later(() => target.put(row)),
      delete: row => later(() => target.delete(row)),
      replace: rows => {
        if (this.#held === undefined) return target.replace(rows)
        this.#held.set(target, [() => target.replace(rows)])
        this.#release()
      },
    }
  }

  #release(): void {
    const held = [...(this.#held?.values() ?? [])]
    if (held.includes(undefined)) return
    this.#held = undefined
    for (const acts of held) for (const act of acts ?? []) act()
  }
}
