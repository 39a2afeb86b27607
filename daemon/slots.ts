/** The slots that plugins fill: each pool of addresses by one plugin, encryption by at most one. */
import { ConfigError } from './errors.ts'
import { DEFAULT_POOL, type Encryption, type Ipam, type Parts } from './plugin.ts'

/** A part and the plugin it is from. */
export interface Filled<T> {
  readonly plugin: string
  readonly part: T
}
export interface Slots {
  /** By name of the pool. */
  readonly ipam: ReadonlyMap<string, Filled<Ipam>>
  readonly encryption?: Filled<Encryption>
}

/** Sorts the parts of all plugins into slots; throws ConfigError naming both plugins when a slot is filled twice. */
export function fillSlots(parts: ReadonlyMap<string, Parts>): Slots {
  const ipam = new Map<string, Filled<Ipam>>()
  let encryption: Filled<Encryption> | undefined
  for (const [plugin, made] of parts) {
    for (const pool of made.ipam?.pools ?? []) {
      refuseSecond(plugin, `the pool '${pool}'`, ipam.get(pool))
      if (made.ipam) ipam.set(pool, { plugin, part: made.ipam })
    }
    if (!made.encryption) continue
    refuseSecond(plugin, 'encryption', encryption)
    encryption = { plugin, part: made.encryption }
  }
  return encryption ? { ipam, encryption } : { ipam }
}

/** Throws ConfigError when no plugin serves DEFAULT_POOL, saying which pools there are. */
export function requireDefaultPool({ ipam }: Slots): void {
  if (ipam.has(DEFAULT_POOL)) return
  const others = [...ipam].map(([pool, { plugin }]) => `'${pool}' (${plugin})`).join(', ')
  const there = others === '' ? 'no plugin with pools is enabled' : `the pools are ${others}`
  throw new ConfigError('plugins', `no enabled plugin serves the pool '${DEFAULT_POOL}'; ${there}`)
}

/** Each implementation once, the one that serves DEFAULT_POOL first. */
export function ipamsOf({ ipam }: Slots): readonly Ipam[] {
  const all = [...ipam].toSorted(([a], [b]) => Number(b === DEFAULT_POOL) - Number(a === DEFAULT_POOL))
  return [...new Set(all.map(([, { part }]) => part))]
}

function refuseSecond(plugin: string, what: string, first: Filled<unknown> | undefined): void {
  if (!first) return
  throw new ConfigError(plugin, `plugins ${first.plugin} and ${plugin} both provide ${what}; disable one of them`)
}
