/** Objects of one kind → rows of a table, in the parsers' words; what cannot be read keeps its last good row. */
import { ObjectError, ObjectField } from '../object-field.ts'
import type { SourceProblem } from '../source.ts'
import type { Sink } from './list-watch.ts'
import { nameAndVersion } from './resource-version.ts'

/** Where rows go. The whole of them replaces what was there. */
export interface RowTarget<T> {
  put(row: T): void
  delete(row: T): void
  replace(rows: readonly T[]): void
}

export interface RowSinkOptions<T> {
  readonly kind: string
  /** Undefined: the object is of no use here. Throws ObjectError. */
  readonly parse: (object: ObjectField) => T | undefined
  readonly target: RowTarget<T>
}

export class RowSink<T> implements Sink {
  readonly #options: RowSinkOptions<T>
  /** The row of each object, by its name. */
  #rows = new Map<string, T>()
  #problems = new Map<string, SourceProblem>()
  /** A whole state that is coming in. */
  #coming: { readonly rows: Map<string, T>; readonly problems: Map<string, SourceProblem> } | undefined

  constructor(options: RowSinkOptions<T>) {
    this.#options = options
  }

  get problems(): readonly SourceProblem[] {
    return [...this.#problems.values()]
  }

  begin(): void {
    this.#coming = { rows: new Map(), problems: new Map() }
  }

  put(object: unknown): void {
    if (this.#coming !== undefined) this.#read(object, this.#coming.rows, this.#coming.problems)
  }

  finish(): void {
    if (this.#coming === undefined) return
    this.#rows = this.#coming.rows
    this.#problems = this.#coming.problems
    this.#coming = undefined
    this.#options.target.replace([...this.#rows.values()])
  }

  change(object: unknown): void {
    const { name } = nameAndVersion(object)
    const before = this.#rows.get(name)
    this.#read(object, this.#rows, this.#problems)
    const now = this.#rows.get(name)
    if (now === before) return
    if (now !== undefined) this.#options.target.put(now)
    else if (before !== undefined) this.#options.target.delete(before)
  }

  remove(object: unknown): void {
    const { name } = nameAndVersion(object)
    const row = this.#rows.get(name)
    this.#rows.delete(name)
    this.#problems.delete(name)
    if (row !== undefined) this.#options.target.delete(row)
  }

  #read(object: unknown, rows: Map<string, T>, problems: Map<string, SourceProblem>): void {
    const { name } = nameAndVersion(object)
    const place = `${this.#options.kind} ${name}`
    try {
      const row = this.#options.parse(new ObjectField(object, () => place))
      problems.delete(name)
      if (row === undefined) rows.delete(name)
      else rows.set(name, row)
    } catch (error) {
      if (!(error instanceof ObjectError)) throw error
      problems.set(name, { place, message: `${error.field}: ${error.problem}` })
      const last = this.#rows.get(name)
      if (last !== undefined) rows.set(name, last)
    }
  }
}
