/**
 * The pieces a configuration schema is made of. A leaf carries all that is said about it anywhere: the check, the
 * default, the allowed values for error messages and the sentence for the reference page; zod does the checking.
 */
import * as z from 'zod/mini'

/** One key. `allowed` completes the sentence "allowed: …"; `about` is a sentence for the reference page. */
export interface Field<T> {
  readonly kind: 'field'
  readonly schema: z.ZodMiniType<T>
  readonly byDefault: () => T
  /** How the default is shown; needed where it is not the same everywhere. */
  readonly shownDefault: string
  readonly allowed: string
  readonly about: string
}
/** A group of keys. */
export interface Section<T extends Shape = Shape> {
  readonly kind: 'section'
  readonly fields: T
  readonly about: string
}
export interface Shape {
  readonly [key: string]: Field<unknown> | Section
}

/** The type of the value that a shape describes. */
export type ValueOf<T extends Shape> = {
  readonly [K in keyof T]: T[K] extends Field<infer V> ? V : T[K] extends Section<infer S> ? ValueOf<S> : never
}

/** What every constructor takes. */
interface About<T> {
  readonly byDefault: T | (() => T)
  readonly shownDefault?: string
  readonly allowed?: string
  readonly about: string
}

export function section<T extends Shape>(about: string, fields: T): Section<T> {
  return { kind: 'section', fields, about }
}

/** One of a few words. */
export function oneOf<const W extends string>(words: readonly W[], about: About<NoInfer<W>>): Field<W> {
  return field(z.enum(words), list(words), about)
}

/** A whole number within bounds, both included. */
export function whole(least: number, most: number, about: About<number>): Field<number> {
  return field(z.int().check(z.gte(least), z.lte(most)), `a whole number from ${least} to ${most}`, about)
}

/** The word `auto`, or a whole number within bounds. */
export function autoOrWhole(least: number, most: number, about: About<'auto' | number>): Field<'auto' | number> {
  const schema = z.union([z.literal('auto'), z.int().check(z.gte(least), z.lte(most))])
  return field(schema, `auto, or a whole number from ${least} to ${most}`, about)
}

export function flag(about: About<boolean>): Field<boolean> {
  return field(z.boolean(), 'true or false', about)
}

/** Text of a form; `allowed` says the form in words. */
export function text(form: RegExp, allowed: string, about: About<string>): Field<string> {
  return field(z.string().check(z.regex(form)), allowed, about)
}

/** An absolute path without a trailing slash. */
export function path(about: About<string>): Field<string> {
  return text(/^(\/[^/\0]+)+$/, 'an absolute path without a trailing slash', about)
}

/** A field whose check no other constructor makes. */
export function field<T>(schema: z.ZodMiniType<T>, allowed: string, about: About<T>): Field<T> {
  const { byDefault } = about
  return {
    kind: 'field',
    schema,
    byDefault: typeof byDefault === 'function' ? (byDefault as () => T) : () => byDefault,
    shownDefault: about.shownDefault ?? JSON.stringify(byDefault),
    allowed: about.allowed ?? allowed,
    about: about.about,
  }
}

/** `a`, `a or b`, `a, b or c`. */
export function list(words: readonly string[], last = 'or'): string {
  if (words.length < 2) return words.join('')
  return `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`
}
