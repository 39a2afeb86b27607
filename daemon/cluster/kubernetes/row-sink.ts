/** Objects of one kind → rows of a table, in the parsers' words; what cannot be read keeps its last good row. */
import { ObjectError, ObjectField } from '../object-field.ts'
import type { SourceProblem } from '../source.ts'
import type { Sink } from './list-watch.ts'
import { nameAndVersion } from './resource-version.ts'

/**
 * Where rows go, each under the name of its object: `NAMESPACE/NAME`, or the name alone. Nobody else remembers them: a
 * cluster's objects are many.
 */
export interface RowTarget<T> {
  get(name: string): T | undefined
  /** The row may be as it was. */
  put(name: string, row: T): void
  /** What is not there is deleted. */
  delete(name: string): void
  /** The whole of them takes the place of what was there. */
  replace(rows: ReadonlyMap<string, T>): void
}

export interface RowSinkOptions<T> {
  readonly kind: string
  /** Undefined: the object is of no use here. Throws ObjectError. */
  readonly parse: (object: ObjectField) => T | undefined
  readonly target: RowTarget<T>
}

export class RowSink<T> implements Sink {
  readonly #options: RowSinkOptions<T>
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
    if (this.#coming === undefined) return
    const { rows, problems } = this.#coming
    const { name } = nameAndVersion(object)
    const row = this.#read(name, object, problems) ?? (problems.has(name) ? this.#options.target.get(name) : undefined)
    if (row !== undefined) rows.set(name, row)
  }

  finish(): void {
    if (this.#coming === undefined) return
    const { rows, problems } = this.#coming
    this.#coming = undefined
    this.#problems = problems
    this.#options.target.replace(rows)
  }

  change(object: unknown): void {
    const { name } = nameAndVersion(object)
    const row = this.#read(name, object, this.#problems)
    if (row !== undefined) this.#options.target.put(name, row)
    else if (!this.#problems.has(name)) this.#options.target.delete(name)
  }

  remove(object: unknown): void {
    const { name } = nameAndVersion(object)
    this.#problems.delete(name)
    this.#options.target.delete(name)
  }

  /** Undefined when the object is of no use, or cannot be read, which is then a problem. */
  #read(name: string, object: unknown, problems: Map<string, SourceProblem>): T | undefined {
    const place = (): string => `${this.#options.kind} ${name}`
    try {
      const row = this.#options.parse(new ObjectField(object, place))
      problems.delete(name)
      return row
    } catch (error) {
      if (!(error instanceof ObjectError)) throw error
      problems.set(name, { place: place(), message: `${error.field}: ${error.problem}` })
      return undefined
    }
  }
}
