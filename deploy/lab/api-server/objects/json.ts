/** What a JSON text can hold, as the server works with it, and the few questions asked of it everywhere. */

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

/** Whether two values say the same: members in any order, and one that is undefined is one that is not there. */
export function equal(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((value, i) => equal(value, b[i]))
  return isObject(a) && isObject(b) && includes(a, b) && includes(b, a)
}

function includes(a: JsonObject, b: JsonObject): boolean {
  for (const name in a) if (a[name] !== undefined && !equal(a[name], b[name])) return false
  return true
}

export function texts(values: readonly Json[]): string[] {
  return values.filter(value => typeof value === 'string')
}

/** A value that shares nothing with this one; by way of its text, which is quicker than structuredClone. */
export function copy<T extends Json>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T
}

/** A value as a text: a text as it is, anything else as its JSON; nothing is empty. */
export function asText(value: Json | undefined): string {
  if (value === undefined) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}
