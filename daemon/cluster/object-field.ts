/**
 * A place inside an object from outside the daemon: the value found there and the way to it, so that whoever reads the
 * value can say exactly what is wrong with it and where.
 */
import { CausewayError, messageOf } from '../errors.ts'

export type Path = readonly (string | number)[]

/** Where a path inside an object stands for people, such as `/etc/causeway/cluster/nodes.yaml:12`. */
export type Locate = (path: Path) => string

/** An object that cannot be used: `place` is file and line or the object's name, `field` such as `spec.podCIDRs[0]`. */
export class ObjectError extends CausewayError {
  readonly place: string
  readonly field: string
  readonly problem: string
  constructor(place: string, field: string, problem: string, options?: ErrorOptions) {
    super('BAD_OBJECT', `${place}: ${field === '' ? '' : `${field}: `}${problem}`, options)
    this.place = place
    this.field = field
    this.problem = problem
  }
}

/** Reads a value of unknown form. Absent and null are the same; every reader throws ObjectError on another form. */
export class ObjectField {
  readonly value: unknown
  readonly #locate: Locate
  /** The way is put together when somebody asks for it: an object has hundreds of places and rarely a wrong one. */
  readonly #parent: ObjectField | undefined
  readonly #key: string | number

  constructor(value: unknown, locate: Locate, parent?: ObjectField, key: string | number = '') {
    this.value = value
    this.#locate = locate
    this.#parent = parent
    this.#key = key
  }

  get absent(): boolean {
    return this.value === undefined || this.value === null
  }
  /** File and line, or what the source has instead. */
  get place(): string {
    return this.#locate(this.#path())
  }

  /** A member of an object; absent when the object is. */
  at(key: string): ObjectField {
    const object = this.#object()
    const value = Object.hasOwn(object, key) ? object[key] : undefined
    return new ObjectField(value, this.#locate, this, key)
  }
  /** The items of a list; none when the list is absent. */
  items(): ObjectField[] {
    if (this.absent) return []
    if (!Array.isArray(this.value)) this.fail('must be a list')
    return this.value.map((item: unknown, index) => new ObjectField(item, this.#locate, this, index))
  }
  /** Text, undefined when absent. */
  text(): string | undefined {
    if (this.absent) return undefined
    if (typeof this.value !== 'string') this.fail(`must be text, not ${JSON.stringify(this.value)}`)
    return this.value
  }
  flag(): boolean | undefined {
    if (this.absent) return undefined
    if (typeof this.value !== 'boolean') this.fail(`must be true or false, not ${JSON.stringify(this.value)}`)
    return this.value
  }
  /** A whole number, undefined when absent. */
  whole(): number | undefined {
    if (this.absent) return undefined
    if (typeof this.value === 'number' && Number.isSafeInteger(this.value)) return this.value
    return this.fail(`must be a whole number, not ${JSON.stringify(this.value)}`)
  }
  /** A number that may stand there as text, as in annotations; NaN for anything else. */
  numeric(): number {
    return typeof this.value === 'number' || typeof this.value === 'string' ? Number(this.value) : Number.NaN
  }
  /** An object whose members are text, such as labels; empty when absent. */
  texts(): Readonly<Record<string, string>> {
    const entries = Object.keys(this.#object()).map(key => [key, this.at(key).text() ?? ''] as const)
    return Object.fromEntries(entries)
  }
  /** Text as `convert` reads it; what `convert` throws becomes a problem of this field. */
  converted<T>(convert: (text: string) => T): T {
    const text = this.text() ?? this.fail('is missing')
    try {
      return convert(text)
    } catch (error) {
      this.fail(messageOf(error), { cause: error })
    }
  }

  fail(problem: string, options?: ErrorOptions): never {
    const field = this.#path()
      .map((part, i) => (typeof part === 'number' ? `[${part}]` : i > 0 ? `.${part}` : part))
      .join('')
    throw new ObjectError(this.place, field, problem, options)
  }

  #path(): (string | number)[] {
    return this.#parent === undefined ? [] : [...this.#parent.#path(), this.#key]
  }

  #object(): Readonly<Record<string, unknown>> {
    if (this.absent) return {}
    if (typeof this.value !== 'object' || Array.isArray(this.value)) this.fail('must be a group of fields')
    return this.value as Record<string, unknown>
  }
}
