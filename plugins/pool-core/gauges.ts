/** The figures of pools, under names that begin as the plugin says. */
import type { Metrics, PoolStatus } from '../../daemon/plugin.ts'
import type { Pool } from './pool.ts'

export interface ShownPools {
  status(): readonly PoolStatus[]
  /** Those that are meant to be here. */
  shown(): readonly Pick<Pool, 'name' | 'family' | 'waiting'>[]
}

/** `PREFIX_addresses` and `PREFIX_waiting_requests`. */
export function declarePoolGauges(metrics: Metrics, prefix: string, pools: ShownPools): void {
  const labels = ['pool', 'family']
  metrics.gauge(`${prefix}_addresses`, 'Addresses of a pool on this node', [...labels, 'state'], gauge => {
    for (const { pool, family, used, cooling, free, excluded } of pools.status())
      for (const [state, count] of Object.entries({ used, cooling, free, excluded }))
        gauge.set(count, { pool, family: `ipv${family}`, state })
  })
  metrics.gauge(`${prefix}_waiting_requests`, 'Requests that wait for an address', labels, gauge => {
    for (const { name, family, waiting } of pools.shown()) gauge.set(waiting, { pool: name, family: `ipv${family}` })
  })
}
