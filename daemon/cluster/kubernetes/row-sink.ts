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

/** An object that cannot be read: which one, and why. */
export interface UnusableObject {
  readonly name: string
  readonly uid: string
  readonly generation: number
  /** Such as `spec.cidrs[0].cidr: …`. */
  readonly message: string
}

export interface RowSinkOptions<T> {
  readonly kind: string
  /** Undefined: the object is of no use here. Throws ObjectError. */
  readonly parse: (object: ObjectField) => T | undefined
  readonly target: RowTarget<T>
  /** Takes those that cannot be read. */
  readonly unusable?: RowTarget<UnusableObject>
}

export class RowSink<T> implements Sink {
  readonly #options: RowSinkOptions<T>
  /** Objects that cannot be read, by their names. */
  #unusable = new Map<string, UnusableObject>()
  /** A whole state that is coming in. */
  #coming: { readonly rows: Map<string, T>; readonly unusable: Map<string, UnusableObject> } | undefined

  constructor(options: RowSinkOptions<T>) {
    this.#options = options
  }

  get problems(): readonly SourceProblem[] {
    const { kind } = this.#options
    return [...this.#unusable].map(([name, { message }]) => ({ place: `${kind} ${name}`, message }))
  }

  begin(): void {
    this.#coming = { rows: new Map(), unusable: new Map() }
  }

  put(object: unknown): void {
    if (this.#coming === undefined) return
    const { rows, unusable } = this.#coming
    const { name } = nameAndVersion(object)
    const row = this.#read(name, object, unusable) ?? (unusable.has(name) ? this.#options.target.get(name) : undefined)
    if (row !== undefined) rows.set(name, row)
  }

  finish(): void {
    if (this.#coming === undefined) return
    const { rows, unusable } = this.#coming
    this.#coming = undefined
    this.#unusable = unusable
    this.#options.target.replace(rows)
    this.#options.unusable?.replace(unusable)
  }

  change(object: unknown): void {
    const { name } = nameAndVersion(object)
    const row = this.#read(name, object, this.#unusable)
    const problem = this.#unusable.get(name)
    if (row !== undefined) this.#options.target.put(name, row)
    else if (problem === undefined) this.#options.target.delete(name)
    if (problem === undefined) this.#options.unusable?.delete(name)
    else this.#options.unusable?.put(name, problem)
  }

  remove(object: unknown): void {
    const { name } = nameAndVersion(object)
    this.#unusable.delete(name)
    this.#options.target.delete(name)
    this.#options.unusable?.delete(name)
  }

  /** Undefined when the object is of no use, or cannot be read, which is then noted. */
  #read(name: string, object: unknown, unusable: Map<string, UnusableObject>): T | undefined {
    try {
      const row = this.#options.parse(new ObjectField(object, () => `${this.#options.kind} ${name}`))
      unusable.delete(name)
      return row
    } catch (error) {
      if (!(error instanceof ObjectError)) throw error
      unusable.set(name, unusableObject(object, `${error.field}: ${error.problem}`))
      return undefined
    }
  }
}

function unusableObject(object: unknown, message: string): UnusableObject {
  const { metadata } = Object(object) as { readonly metadata?: unknown }
  const { name, uid, generation } = Object(metadata) as Readonly<Record<string, unknown>>
  return {
    name: String(name),
    uid: typeof uid === 'string' ? uid : '',
    generation: typeof generation === 'number' ? generation : 0,
    message,
  }
}
