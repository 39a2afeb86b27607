/**
 * Functions of rules, as far as they are known here: those of the language, and of Kubernetes' extensions those on texts,
 * lists and addresses (kubernetes documentation, "Common Expression Language in Kubernetes"). The first argument of a
 * method is what it is called on.
 */
import { isIP } from 'node:net'
import { asText, equal, isObject, type Json } from '../objects/json.ts'

type Function = (...args: Json[]) => Json

export const FUNCTIONS: Readonly<Record<string, Function>> = {
  size: value => {
    if (typeof value === 'string') return Array.from(value).length
    if (Array.isArray(value)) return value.length
    if (isObject(value)) return Object.keys(value).length
    throw noOverload()
  },
  int: value => {
    const number = typeof value === 'string' ? (/^-?\d+$/.test(value) ? Number(value) : Number.NaN) : value
    if (typeof number !== 'number' || Number.isNaN(number))
      throw new Error(`type conversion error from ${asText(value)} to int`)
    return Math.trunc(number)
  },
  double: value => Number(asText(value)),
  string: value => asText(value),
  contains: (value, part) => text(value).includes(text(part)),
  startsWith: (value, part) => text(value).startsWith(text(part)),
  endsWith: (value, part) => text(value).endsWith(text(part)),
  matches: (value, pattern) => new RegExp(text(pattern), 'u').test(text(value)),
  find: (value, pattern) => new RegExp(text(pattern), 'u').exec(text(value))?.[0] ?? '',
  split: (value, by) => text(value).split(text(by)),
  join: (value, by = '') => list(value).map(text).join(text(by)),
  replace: (value, from, to) => text(value).replaceAll(text(from), text(to)),
  trim: value => text(value).trim(),
  lowerAscii: value => text(value).replaceAll(/[A-Z]/g, letter => letter.toLowerCase()),
  upperAscii: value => text(value).replaceAll(/[a-z]/g, letter => letter.toUpperCase()),
  substring: (value, from, to) => text(value).substring(Number(from), to === undefined ? undefined : Number(to)),
  indexOf: (value, part) =>
    Array.isArray(value) ? value.findIndex(item => equal(item, part)) : text(value).indexOf(text(part)),
  isSorted: value => list(value).every((item, i, all) => i === 0 || compare(all[i - 1] ?? null, item) <= 0),
  sum: value => list(value).reduce<number>((sum, item) => sum + Number(item), 0),
  min: value => list(value).toSorted(compare)[0] ?? null,
  max: value => list(value).toSorted(compare).at(-1) ?? null,
  isIP: value => isIP(text(value)) !== 0,
  isCIDR: value => {
    const [, address = '', length = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text(value)) ?? []
    const family = isIP(address)
    return family !== 0 && Number(length) <= (family === 4 ? 32 : 128)
  },
}

export function noOverload(): Error {
  return new Error('no such overload')
}

export function compare(a: Json, b: Json): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0
  throw noOverload()
}

function text(value: Json | undefined): string {
  if (typeof value !== 'string') throw noOverload()
  return value
}

function list(value: Json | undefined): Json[] {
  if (!Array.isArray(value)) throw noOverload()
  return value
}
