/** Addresses from ranges of the cluster, as far as they are pod ranges of this node. */
import { InvalidAddress, type IpPrefix, networkOf, parsePrefix } from '../../daemon/kernel/ip.ts'
import {
  DEFAULT_POOL,
  type Host,
  type Ipam,
  type Lease,
  type Plugin,
  type Released,
  UnknownPool,
} from '../../daemon/plugin.ts'
import { type Clock, systemClock } from '../../daemon/state/clock.ts'
import { eachChange } from '../../daemon/state/each-change.ts'
import type { NodeRow } from '../../daemon/state/tables.ts'
import { parseOptions, type PoolOptions } from './options.ts'
import { Pool } from './pool.ts'

/** The plugin with a clock of the caller's choice; the daemon uses `clusterPool`. */
export function clusterPoolWith(clock: Clock): Plugin {
  return {
    name: 'cluster-pool',
    configure(raw) {
      const options = parseOptions(raw)
      return host => {
        const pools = new ClusterPools(options, host, clock)
        return { ipam: pools, run: signal => pools.run(signal) }
      }
    },
  }
}

export const clusterPool: Plugin = clusterPoolWith(systemClock)

/** All pools of the plugin, kept in step with the node's row. */
class ClusterPools implements Ipam {
  readonly pools: readonly string[]
  readonly #host: Pick<Host, 'tables' | 'log' | 'nodeName'>
  readonly #families: readonly Pool[]
  #node: NodeRow | undefined

  constructor(options: readonly PoolOptions[], host: Host, clock: Clock) {
    this.pools = options.map(pool => pool.name)
    this.#host = host
    this.#families = options.flatMap(pool =>
      ([4, 6] as const).map(family => new Pool(pool, family, host.nodeName, clock)),
    )
    this.#declareGauges(host)
    host.defer({
      [Symbol.asyncDispose]: async () => {
        for (const pool of this.#families) pool.close()
      },
    })
  }

  /** Follows the node's row until the signal aborts. */
  run(signal: AbortSignal): Promise<void> {
    return eachChange([this.#host.tables.nodes], () => this.#followNode(), signal)
  }

  async allocate(request: Parameters<Ipam['allocate']>[0], signal: AbortSignal): Promise<Lease> {
    this.#followNode()
    const name = request.pool ?? DEFAULT_POOL
    const pool = this.#families.find(p => p.name === name && p.family === request.family)
    if (!pool) throw new UnknownPool(`there is no pool '${name}'; pools: ${this.pools.join(', ')}`)
    return pool.allocate(request, signal)
  }

  async release(lease: Lease): Promise<void> {
    this.#poolOf(lease)?.release(lease)
  }

  async restore(leases: readonly Lease[], released: readonly Released[]): Promise<void> {
    for (const lease of leases) {
      const problem = this.#poolOf(lease)?.restore(lease) ?? undefined
      if (problem !== undefined) this.#host.log.error({ ...lease }, `lease was not restored: ${problem}`)
    }
    for (const each of released.toSorted((a, b) => b.agoMs - a.agoMs)) this.#poolOf(each.lease)?.restoreReleased(each)
  }

  status(): ReturnType<Ipam['status']> {
    this.#followNode()
    return this.#families.filter(pool => pool.present).map(pool => pool.status())
  }

  #poolOf(lease: Lease): Pool | undefined {
    return this.#families.find(pool => pool.name === lease.pool && pool.family === lease.family)
  }

  #followNode(): void {
    const node = this.#host.tables.nodes.get(this.#host.nodeName)
    if (node === this.#node) return
    this.#node = node
    const podCidrs = (node?.podCidrs ?? []).flatMap(text => this.#podCidrOf(text))
    // A node without pod ranges is one that has not got them yet.
    for (const pool of this.#families) pool.setPodCidrs(podCidrs.length > 0 ? podCidrs : undefined)
  }

  #podCidrOf(text: string): IpPrefix[] {
    try {
      return [networkOf(parsePrefix(text))]
    } catch (error) {
      if (!(error instanceof InvalidAddress)) throw error
      this.#host.log.warn({ node: this.#host.nodeName, error }, 'a pod range of the node was left out')
      return []
    }
  }

  #declareGauges({ metrics }: Pick<Host, 'metrics'>): void {
    const labels = ['pool', 'family']
    metrics.gauge('cluster_pool_addresses', 'Addresses of a pool on this node', [...labels, 'state'], gauge => {
      for (const { pool, family, used, cooling, free, excluded } of this.status())
        for (const [state, count] of Object.entries({ used, cooling, free, excluded }))
          gauge.set(count, { pool, family: `ipv${family}`, state })
    })
    metrics.gauge('cluster_pool_waiting_requests', 'Requests that wait for an address', labels, gauge => {
      for (const pool of this.#families.filter(p => p.present))
        gauge.set(pool.waiting, { pool: pool.name, family: `ipv${pool.family}` })
    })
  }
}
