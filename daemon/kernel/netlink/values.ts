/** Values that several objects share: families, prefixes and scopes, between kernel.ts and the wire. */
import { bytesOf, parsePrefix } from '../ip.ts'
import type { Family, Prefix, RouteScope } from '../kernel.ts'
import { AF, RT_SCOPE } from './constants.ts'

/** AF number of an address by its size. */
export function afOf(bytes: Uint8Array): number {
  return bytes.length === 4 ? AF.INET : AF.INET6
}

/** AF number of a family. */
export function afOfFamily(family: Family): number {
  return family === 4 ? AF.INET : AF.INET6
}

/** Family of an AF number; undefined for any that is not IP. */
export function familyOfAf(af: number): Family | undefined {
  return af === AF.INET ? 4 : af === AF.INET6 ? 6 : undefined
}

/** Bytes and length of a prefix with the host bits it was given; throws InvalidAddress. */
export function prefixOf(prefix: Prefix): { readonly bytes: Uint8Array; readonly length: number } {
  const { length } = parsePrefix(prefix)
  return { bytes: bytesOf(prefix.slice(0, prefix.indexOf('/'))), length }
}

/** All addresses of a family: what a route without RTA_DST is for. */
export function defaultPrefix(family: Family): Prefix {
  return family === 4 ? '0.0.0.0/0' : '::/0'
}

/** Name of an rt_scope; numbers of an administrator's own (rtnetlink(7)) count as global. */
export function scopeOf(scope: number): RouteScope {
  for (const name of ['link', 'host', 'nowhere'] as const) if (RT_SCOPE[name] === scope) return name
  return 'global'
}
