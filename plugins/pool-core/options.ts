/** What a pool is made from, and the parts of a configuration that every plugin with pools reads in the same way. */
import * as z from 'zod/mini'
import { formatPrefix, type IpPrefix, networkOf, parseAddress, parsePrefix, widthOf } from '../../daemon/kernel/ip.ts'
import { ConfigError } from '../../daemon/plugin.ts'

/** A pool as it is configured. */
export interface PoolOptions {
  readonly name: string
  /** Cluster-wide; absent: whatever pod ranges the node has. */
  readonly ranges?: readonly IpPrefix[]
  /** Never given. A single address is a prefix of full length. */
  readonly exclude: readonly IpPrefix[]
  /** How long a released address is not given again. */
  readonly cooldownMs: number
  /** Its ranges are blocks of a cloud: every address of one can be given, and the fullest gives first. */
  readonly blocks?: true
}

/** Schemas of the keys that a pool has wherever it is configured. */
export const POOL_KEYS = {
  exclude: z.optional(z.array(z.string())),
  cooldownSeconds: z.optional(z.int().check(z.gte(0), z.lte(3600))),
}

/** What those keys allow, in words. */
export const POOL_KEYS_ALLOWED = {
  exclude: 'a list of prefixes and addresses such as 10.64.0.0/28 or 10.64.0.1',
  cooldownSeconds: 'a whole number from 0 to 3600',
} as const

const DEFAULT_COOLDOWN_SECONDS = 30

/** Both keys of the section or list entry `key`, checked; throws ConfigError. */
export function poolKeys(
  key: string,
  raw: { readonly exclude?: readonly string[] | undefined; readonly cooldownSeconds?: number | undefined },
): Pick<PoolOptions, 'exclude' | 'cooldownMs'> {
  return {
    exclude: (raw.exclude ?? []).map((text, n) => exclusionOf(`${key}.exclude.${n}`, text)),
    cooldownMs: (raw.cooldownSeconds ?? DEFAULT_COOLDOWN_SECONDS) * 1000,
  }
}

/** A prefix without host bits; throws ConfigError that ends with what is allowed. */
export function prefixOf(key: string, text: string, allowed: string): IpPrefix {
  let prefix: IpPrefix
  try {
    prefix = parsePrefix(text)
  } catch (cause) {
    const reason = cause instanceof Error ? `${cause.message}; ` : ''
    throw new ConfigError(key, `${reason}allowed: ${allowed}`, { cause })
  }
  const network = networkOf(prefix)
  if (network.value !== prefix.value)
    throw new ConfigError(key, `${text} has host bits set; allowed: ${formatPrefix(network)}`)
  return prefix
}

/** The value at a path of a section, as an error shows it. */
export function shownAt(raw: unknown, path: readonly PropertyKey[]): string {
  const value = path.reduce<unknown>((at, key) => (Object(at) as Readonly<Record<PropertyKey, unknown>>)[key], raw)
  return value === undefined || value === null ? 'an empty value' : JSON.stringify(value)
}

function exclusionOf(key: string, text: string): IpPrefix {
  const allowed = 'a prefix such as 10.64.0.0/28 or an address such as 10.64.0.1'
  if (text.includes('/')) return prefixOf(key, text, allowed)
  try {
    const address = parseAddress(text)
    return { ...address, length: widthOf(address.family) }
  } catch (cause) {
    throw new ConfigError(key, `${JSON.stringify(text)} is not allowed; allowed: ${allowed}`, { cause })
  }
}
