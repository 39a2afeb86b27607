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

interface State<T> {
  /** The row of each object, by its name. */
  readonly rows: Map<string, T>
  readonly unusable: Map<string, UnusableObject>
}

export class RowSink<T> implements Sink {
  readonly #options: RowSinkOptions<T>
  #state: State<T> = { rows: new Map(), unusable: new Map() }
  /** A whole state that is coming in. */
  #coming: State<T> | undefined

  constructor(options: RowSinkOptions<T>) {
    this.#options = options
  }

  get problems(): readonly SourceProblem[] {
    const { kind } = this.#options
    return [...this.#state.unusable].map(([name, { message }]) => ({ place: `${kind} ${name}`, message }))
  }

  begin(): void {
    this.#coming = { rows: new Map(), unusable: new Map() }
  }

  put(object: unknown): void {
    if (this.#coming !== undefined) this.#read(object, this.#coming)
  }

  finish(): void {
    if (this.#coming === undefined) return
    this.#state = this.#coming
    this.#coming = undefined
    this.#options.target.replace([...this.#state.rows.values()])
    this.#options.unusable?.replace([...this.#state.unusable.values()])
  }

  change(object: unknown): void {
    const { name } = nameAndVersion(object)
    const { rows, unusable } = this.#state
    const [row, problem] = [rows.get(name), unusable.get(name)]
    this.#read(object, this.#state)
    apply(this.#options.target, row, rows.get(name))
    apply(this.#options.unusable, problem, unusable.get(name))
  }

  remove(object: unknown): void {
    const { name } = nameAndVersion(object)
    const { rows, unusable } = this.#state
    const [row, problem] = [rows.get(name), unusable.get(name)]
    rows.delete(name)
    unusable.delete(name)
    apply(this.#options.target, row, undefined)
    apply(this.#options.unusable, problem, undefined)
  }

  #read(object: unknown, { rows, unusable }: State<T>): void {
    const { name } = nameAndVersion(object)
    const { kind, parse } = this.#options
    try {
      const row = parse(new ObjectField(object, () => `${kind} ${name}`))
      unusable.delete(name)
      if (row === undefined) rows.delete(name)
      else rows.set(name, row)
    } catch (error) {
      if (!(error instanceof ObjectError)) throw error
      unusable.set(name, unusableObject(object, `${error.field}: ${error.problem}`))
      const last = this.#state.rows.get(name)
      if (last !== undefined) rows.set(name, last)
    }
  }
}

/** Brings a target from one row of an object to the next. */
function apply<T>(target: RowTarget<T> | undefined, before: T | undefined, now: T | undefined): void {
  if (now === before) return
  if (now !== undefined) target?.put(now)
  else if (before !== undefined) target?.delete(before)
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
