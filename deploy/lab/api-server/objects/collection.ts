/** The objects of one resource, now and as they were: as much of their history as is kept. */
import type { Selectable } from './selectors.ts'

/** An object at rest. `body` is its JSON without `kind` and `apiVersion`, which depend on who asks. */
export interface Stored extends Selectable {
  /** `namespace/name`, or `name`. The order of a list is that of the keys. */
  readonly key: string
  readonly uid: string
  /** The version its last change was given. */
  readonly revision: number
  readonly body: Buffer
}

/** One change: `before` is missing when it created the object, `after` when it removed it. */
export interface Change {
  readonly revision: number
  readonly key: string
  readonly before: Stored | undefined
  readonly after: Stored | undefined
}

export class Collection {
  readonly #objects = new Map<string, Stored>()
  /** Sorted. */
  #keys: string[] = []
  /** In order of revision, without a gap since `#forgotten`. */
  #history: Change[] = []
  /** Changes up to this revision are no longer known. */
  #forgotten = 0
  readonly #historyLimit: number
  readonly #listeners = new Set<(change: Change) => void>()

  constructor(historyLimit: number, forgotten = 0) {
    this.#historyLimit = historyLimit
    this.#forgotten = forgotten
  }

  get size(): number {
    return this.#objects.size
  }

  /** The oldest revision a watch can begin after. */
  get oldest(): number {
    return this.#forgotten
  }

  get(key: string): Stored | undefined {
    return this.#objects.get(key)
  }

  /** Carries a change out and tells it; the caller hands out the revisions. */
  apply(change: Change): void {
    this.#place(change)
    this.#history.push(change)
    if (this.#history.length > this.#historyLimit * 1.25) this.#trim(this.#history.length - this.#historyLimit)
    for (const listener of this.#listeners) listener(change)
  }

  /** Fills in many objects at once, without history: a watch from before them is one from too long ago. */
  load(objects: readonly Stored[], revision: number): void {
    for (const object of objects) this.#objects.set(object.key, object)
    this.#keys = [...this.#objects.keys()].sort(compare)
    this.forget(revision)
  }

  /** Forgets what happened up to a revision. */
  forget(revision: number): void {
    this.#history = this.#history.filter(change => change.revision > revision)
    this.#forgotten = Math.max(this.#forgotten, revision)
  }

  /** Hears every change from now on; the answer ends that. */
  listen(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** What happened after a revision, which must not be older than `oldest`. */
  since(revision: number): Change[] {
    return this.#history.slice(this.#firstAfter(revision))
  }

  /**
   * The objects as they were at a revision (not older than `oldest`), sorted, those whose keys begin with `prefix` and
   * do not come before `from`.
   */
  *at(revision: number, prefix = '', from = ''): Generator<Stored> {
    const past = this.#past(revision)
    const keys = past.size === 0 ? this.#keys : this.#keysWith(past)
    const start = from > prefix ? from : prefix
    for (let i = firstNotBefore(keys, start); i < keys.length; i++) {
      const key = keys[i] ?? ''
      if (!key.startsWith(prefix)) return
      const object = past.has(key) ? past.get(key) : this.#objects.get(key)
      if (object !== undefined) yield object
    }
  }

  #place({ key, after }: Change): void {
    if (after !== undefined) {
      if (!this.#objects.has(key)) this.#keys.splice(firstNotBefore(this.#keys, key), 0, key)
      this.#objects.set(key, after)
    } else if (this.#objects.delete(key)) {
      this.#keys.splice(firstNotBefore(this.#keys, key), 1)
    }
  }

  #trim(count: number): void {
    this.#forgotten = this.#history[count - 1]?.revision ?? this.#forgotten
    this.#history.splice(0, count)
  }

  /** What each key that has changed since held at a revision. */
  #past(revision: number): Map<string, Stored | undefined> {
    const past = new Map<string, Stored | undefined>()
    for (let i = this.#firstAfter(revision); i < this.#history.length; i++) {
      const change = this.#history[i]
      if (change !== undefined && !past.has(change.key)) past.set(change.key, change.before)
    }
    return past
  }

  #keysWith(past: ReadonlyMap<string, Stored | undefined>): string[] {
    const gone = [...past].flatMap(([key, before]) => (before !== undefined && !this.#objects.has(key) ? [key] : []))
    return gone.length === 0 ? this.#keys : [...this.#keys, ...gone].sort(compare)
  }

  #firstAfter(revision: number): number {
    let low = 0
    let high = this.#history.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#history[middle]?.revision ?? 0) > revision) high = middle
      else low = middle + 1
    }
    return low
  }
}

function firstNotBefore(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((keys[middle] ?? '') < key) low = middle + 1
    else high = middle
  }
  return low
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
