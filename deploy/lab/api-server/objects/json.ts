/** What a JSON text can hold, as the server works with it, and the few questions asked of it everywhere. */
import { isDeepStrictEqual } from 'node:util'

export type Json = null | boolean | number | string | Json[] | JsonObject

/** A member that is undefined is one that is not there: JSON.stringify leaves it out. */
export interface JsonObject {
  [key: string]: Json | undefined
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The object under a name; an empty one that belongs to nobody when there is none. */
export function objectAt(value: Json | undefined, ...path: readonly string[]): JsonObject {
  const found = valueAt(value, ...path)
  return isObject(found) ? found : {}
}

export function listAt(value: Json | undefined, ...path: readonly string[]): Json[] {
  const found = valueAt(value, ...path)
  return Array.isArray(found) ? found : []
}

/** The text under a path; empty when there is none. */
export function textAt(value: Json | undefined, ...path: readonly string[]): string {
  const found = valueAt(value, ...path)
  return typeof found === 'string' ? found : ''
}

export function valueAt(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  let at = value
  for (const name of path) {
    if (!isObject(at) || !Object.hasOwn(at, name)) return undefined
    at = at[name]
  }
  return at
}

export function equal(a: Json | undefined, b: Json | undefined): boolean {
  return a === b || isDeepStrictEqual(a, b)
}

export function texts(values: readonly Json[]): string[] {
  return values.filter(value => typeof value === 'string')
}

export function copy<T extends Json>(value: T): T {
  return structuredClone(value)
}

/** A value as a text: a text as it is, anything else as its JSON; nothing is empty. */
export function asText(value: Json | undefined): string {
  if (value === undefined) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}
