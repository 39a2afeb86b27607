/** The pools of one plugin on this node, kept in step with the pod ranges of the node's row. */
import { InvalidAddress, type IpPrefix, networkOf, parseAddress, parsePrefix } from '../../daemon/kernel/ip.ts'
import {
  DEFAULT_POOL,
  type Host,
  type Ipam,
  type Lease,
  type Problem,
  type Released,
  UnknownPool,
} from '../../daemon/plugin.ts'
import type { Clock } from '../../daemon/state/clock.ts'
import { eachChange } from '../../daemon/state/each-change.ts'
import type { NodeRow } from '../../daemon/state/tables.ts'
import { declarePoolGauges } from './gauges.ts'
import type { PoolOptions } from './options.ts'
import { noRanges, Pool } from './pool.ts'

/** A node may be new; what assigns its ranges has this long before somebody is to be told. */
const PATIENCE_MS = 30_000

export interface NodePoolsOptions {
  readonly pools: readonly PoolOptions[]
  readonly host: Host
  readonly clock: Clock
  /** What the names of its metrics begin with, such as `cluster_pool`. */
  readonly metrics: string
}

/** Slot `ipam` for any number of pools. */
export class NodePools implements Ipam {
  readonly pools: readonly string[]
  readonly #host: Pick<Host, 'tables' | 'log' | 'nodeName'>
  readonly #clock: Clock
  readonly #families: readonly Pool[]
  #node: NodeRow | undefined
  /** Of the tables that tell what somebody else on the node has. */
  #foreignSeen = ''
  /** Since when the node has had no pod ranges. */
  #lackingSince: number | undefined

  constructor({ pools, host, clock, metrics }: NodePoolsOptions) {
    this.pools = pools.map(pool => pool.name)
    this.#host = host
    this.#clock = clock
    this.#lackingSince = clock.now()
    this.#families = pools.flatMap(pool =>
      ([4, 6] as const).map(family => new Pool(pool, family, host.nodeName, clock)),
    )
    declarePoolGauges(host.metrics, metrics, {
      status: () => this.status(),
      shown: () => this.#families.filter(pool => pool.present),
    })
    host.defer({
      [Symbol.asyncDispose]: async () => {
        for (const pool of this.#families) pool.close()
      },
    })
  }

  /** Follows the node's row, and what others on the node have, until the signal aborts. */
  run(signal: AbortSignal): Promise<void> {
    const { nodes, hostAddresses, formerPods } = this.#host.tables
    return eachChange([nodes, hostAddresses, formerPods], () => this.#followNode(), signal)
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

  /** One problem once the node has been without pod ranges for a while; `wayOut` says who assigns them. */
  lack(wayOut: string): readonly Problem[] {
    this.#followNode()
    const sinceMs = this.#lackingSince === undefined ? 0 : this.#clock.now() - this.#lackingSince
    if (sinceMs < PATIENCE_MS) return []
    const what = this.#node ? 'it has no pod ranges (spec.podCIDRs)' : 'there is no Node object of this name'
    const message = `${what} since ${Math.floor(sinceMs / 1000)} s, so that new pods wait for addresses; ${wayOut}`
    return [{ place: `node ${this.#host.nodeName}`, message }]
  }

  #poolOf(lease: Lease): Pool | undefined {
    return this.#families.find(pool => pool.name === lease.pool && pool.family === lease.family)
  }

  #followNode(): void {
    const { nodes, formerPods } = this.#host.tables
    const node = nodes.get(this.#host.nodeName)
    const others = this.#followForeign()
    if (node === this.#node && !others) return
    this.#node = node
    const podCidrs = (node?.podCidrs ?? []).flatMap(text => this.#podCidrOf(text))
    // A node without pod ranges is one that has not got them yet.
    this.#lackingSince = podCidrs.length > 0 ? undefined : (this.#lackingSince ?? this.#clock.now())
    for (const pool of this.#families) {
      if (podCidrs.length === 0) pool.setPodCidrs(noRanges(this.#host.nodeName))
      else pool.setPodCidrs(formerPods.initialized ? podCidrs : 'addresses of pods of another CNI are not known yet')
    }
  }

  /** True when somebody else has other addresses than before, or all of them are known now. */
  #followForeign(): boolean {
    const { hostAddresses, formerPods } = this.#host.tables
    const seen = `${hostAddresses.revision} ${formerPods.revision} ${formerPods.initialized}`
    if (seen === this.#foreignSeen) return false
    this.#foreignSeen = seen
    const addresses = [...hostAddresses.values(), ...formerPods.values()].map(row => parseAddress(row.address))
    for (const pool of this.#families) pool.setForeign(addresses)
    return true
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
}
