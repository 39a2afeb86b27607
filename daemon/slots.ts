/** The slots that plugins fill: each pool of addresses by one plugin, encryption by at most one. */
import { ConfigError, UnknownPool } from './errors.ts'
import { DEFAULT_POOL, type Encryption, type Ipam, type Lease, type Parts } from './plugin.ts'

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

/** All pools behind one Ipam. A lease of a pool that nobody serves any more is released by forgetting it. */
export function joinIpam({ ipam }: Slots): Ipam {
  const byPlugin = new Map([...ipam.values()].map(({ plugin, part }) => [plugin, part]))
  const leasesOf = (part: Ipam, leases: readonly Lease[]): Lease[] =>
    leases.filter(lease => ipam.get(lease.pool)?.part === part)
  return {
    pools: [...ipam.keys()],
    async allocate(request, signal) {
      const pool = request.pool ?? DEFAULT_POOL
      const filled = ipam.get(pool)
      if (!filled) throw new UnknownPool(`no plugin serves the pool '${pool}'; pools: ${[...ipam.keys()].join(', ')}`)
      return filled.part.allocate(request, signal)
    },
    async release(lease) {
      await ipam.get(lease.pool)?.part.release(lease)
    },
    async restore(leases) {
      for (const part of byPlugin.values()) await part.restore(leasesOf(part, leases))
    },
    status: () => [...byPlugin.values()].flatMap(part => part.status()),
  }
}

function refuseSecond(plugin: string, what: string, first: Filled<unknown> | undefined): void {
  if (!first) return
  throw new ConfigError(plugin, `plugins ${first.plugin} and ${plugin} both provide ${what}; disable one of them`)
}
