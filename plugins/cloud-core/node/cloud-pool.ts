/**
 * Slot `ipam` with addresses that the cloud gave this node. What it may give stands in the tables `cloudNics` and
 * `cloudBlocks`; what it needs and has given up it writes into `cloudReports`, by which the operator goes.
 */
import { parseAddress } from '../../../daemon/kernel/ip.ts'
import type { Family, Prefix } from '../../../daemon/kernel/kernel.ts'
import {
  type AddressRequest,
  DEFAULT_POOL,
  type Host,
  type Ipam,
  type Lease,
  type Notes,
  PoolExhausted,
  type Problem,
  type Released,
  UnknownPool,
} from '../../../daemon/plugin.ts'
import type { Clock } from '../../../daemon/state/clock.ts'
import {
  BLOCK_PHASES,
  type CloudBlockRow,
  type CloudDemand,
  type CloudReportRow,
} from '../../../daemon/state/cloud-rows.ts'
import { replaceRows } from '../../../daemon/state/replace.ts'
import { Rest } from '../../../daemon/state/rest.ts'
import type { Cloud, PodRow } from '../../../daemon/state/tables.ts'
import { declarePoolGauges } from '../../pool-core/gauges.ts'
import { Pool, type Supply } from '../../pool-core/pool.ts'
import { BlockIndex, type Uses } from './block-index.ts'
import { countWaiting, lacksAddress, podKey } from './demand.ts'
import { GaveUp } from './gave-up.ts'
import { IdleBlocks } from './idle.ts'
import type { NodeOptions } from './options.ts'
import { CloudProblems } from './problems.ts'
import { type Assigned, supplyOf } from './supply.ts'

export interface CloudPoolOptions {
  readonly provider: Cloud
  readonly options: NodeOptions
  readonly host: Host
  readonly clock: Clock
}

/** Buckets of the time that requests wait, in seconds. */
const WAIT_BUCKETS = [0.005, 0.05, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120]
const DISTRUST =
  'the API server does not answer, and what this node gave up before is not known (its journal is lost or damaged)'

/** One pool of both families. */
export class CloudPool implements Ipam {
  readonly pools = [DEFAULT_POOL]
  readonly #provider: Cloud
  readonly #options: NodeOptions
  readonly #host: Host
  readonly #clock: Clock
  readonly #families: readonly Pool[]
  readonly #gaveUp: GaveUp
  readonly #idle: IdleBlocks
  readonly #problems: CloudProblems
  readonly #waited
  readonly #rest: Rest
  /** Pods by the owners of their leases, from the request until the address is given back. */
  readonly #pods = new Map<string, string>()
  #supply: Supply = { prefixes: [], known: false }
  /** Of all that the supply follows from; undefined when it is to be made again. */
  #seen: string | undefined
  #foreignSeen = ''
  #blocks: readonly CloudBlockRow[] = []
  #index: Readonly<Record<Family, BlockIndex>> = indexOf([])
  #network = ''
  #lacking: { readonly revision: number; readonly pods: readonly PodRow[] } | undefined

  constructor({ provider, options, host, clock }: CloudPoolOptions) {
    this.#provider = provider
    this.#options = options
    this.#host = host
    this.#clock = clock
    const pool = { name: DEFAULT_POOL, exclude: [], cooldownMs: options.cooldownMs, blocks: true } as const
    this.#families = ([4, 6] as const).map(family => new Pool(pool, family, host.nodeName, clock))
    this.#rest = new Rest(clock)
    this.#gaveUp = new GaveUp(clock, () => this.#again())
    this.#idle = new IdleBlocks(options.releaseDelayMs)
    this.#problems = new CloudProblems(provider, host, clock)
    this.#waited = host.metrics.histogram(
      'cloud_address_wait_seconds',
      'Time from the request for an address to the address',
      WAIT_BUCKETS,
      ['pool', 'family'],
    )
    this.#declareGauges()
    host.defer({ [Symbol.asyncDispose]: async () => this.#families.forEach(each => each.close()) })
  }

  /** Follows what the cloud gives, and says what is needed, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { hostAddresses, formerPods, pods, endpoints } = this.#host.tables
    const rest = this.#rest
    signal.addEventListener('abort', rest.wake, { once: true })
    try {
      while (!signal.aborted) {
        const tables = [...this.#sources(), hostAddresses, formerPods, pods, endpoints]
        rest.begin(...tables.map(table => table.changed()))
        await rest.until(this.#round())
      }
    } finally {
      rest.end()
      signal.removeEventListener('abort', rest.wake)
    }
  }

  async allocate(request: AddressRequest, signal: AbortSignal): Promise<Lease> {
    this.#follow()
    const name = request.pool ?? DEFAULT_POOL
    const pool = this.#families.find(each => each.name === name && each.family === request.family)
    if (!pool) throw new UnknownPool(`there is no pool '${name}'; pools: ${this.pools.join(', ')}`)
    const began = this.#clock.now()
    const answer = pool.allocate(request, signal)
    this.#rest.wake()
    try {
      const lease = await answer
      this.#pods.set(ownerOf(lease), request.pod.name === '' ? '' : podKey(request.pod))
      const seconds = (this.#clock.now() - began) / 1000
      this.#waited.observe(seconds, { pool: name, family: `ipv${request.family}` })
      return lease
    } catch (error) {
      throw this.#elsewhere(request, error)
    } finally {
      this.#rest.wake()
    }
  }

  async release(lease: Lease): Promise<void> {
    if (this.#poolOf(lease)?.release(lease) !== true) return
    this.#pods.delete(ownerOf(lease))
    this.#rest.wake()
  }

  async restore(leases: readonly Lease[], released: readonly Released[], notes: Notes): Promise<void> {
    this.#gaveUp.open(notes)
    for (const lease of leases) {
      const problem = this.#poolOf(lease)?.restore(lease)
      if (problem !== undefined) this.#host.log.error({ ...lease }, `lease was not restored: ${problem}`)
    }
    for (const each of released.toSorted((a, b) => b.agoMs - a.agoMs)) this.#poolOf(each.lease)?.restoreReleased(each)
    this.#again()
  }

  status(): ReturnType<Ipam['status']> {
    this.#follow()
    return this.#shown().map(pool => {
      const own = this.#blocks.filter(({ block }) => (block.includes(':') ? 6 : 4) === pool.family)
      const counts = BLOCK_PHASES.map(phase => [phase, own.filter(row => row.phase === phase).length] as const)
      const blocks = Object.fromEntries(counts.filter(([, count]) => count > 0))
      return { ...pool.status(), ...this.#standIn(), blocks }
    })
  }

  #standIn(): { readonly more?: string } {
    const { fallbackPool } = this.#options
    return this.#supply.end === undefined || fallbackPool === ''
      ? {}
      : { more: `pool ${fallbackPool}, for pods that allow it` }
  }

  problems(): readonly Problem[] {
    this.#follow()
    const outside = this.#families.flatMap(pool => this.#usesOf(pool).outside.map(address => ({ pool, address })))
    return this.#problems.list({
      assigned: this.#assigned(),
      waiting: this.#families.reduce((sum, pool) => sum + pool.waiting, 0),
      strayed: outside.flatMap(({ pool, address }) => [...pool.leases].filter(lease => lease.address === address)),
      notGivenBack: this.#gaveUp.problem,
    })
  }

  /** Another pool may stand in where this one has nothing to wait for, and the pod allows it. */
  #elsewhere(request: AddressRequest, error: unknown): unknown {
    const { fallbackPool } = this.#options
    if (!(error instanceof PoolExhausted) || !error.final || fallbackPool === '' || !this.#mayStray(request))
      return error
    return new PoolExhausted(error.message, { final: true, fallback: fallbackPool, cause: error })
  }

  #mayStray({ pod }: AddressRequest): boolean {
    const { pods, namespaces } = this.#host.tables
    const wish = pods.get(podKey(pod))?.fallbackPool ?? namespaces.get(pod.namespace)?.fallbackPool
    return wish ?? this.#options.fallbackForAll
  }

  #again(): void {
    this.#seen = undefined
    this.#rest.wake()
  }

  /** One look at everything; answers when the next is due though nothing changes. */
  #round(): number {
    this.#follow()
    this.#problems.look(this.#assigned())
    const uses = this.#families.map(pool => ({ pool, ...this.#usesOf(pool) }))
    const inUse = new Set(uses.flatMap(({ byBlock }) => [...byBlock.keys()]))
    this.#giveUpUnused(inUse)
    const candidates = this.#blocks.filter(
      row => row.phase === 'allocatable' && !inUse.has(row.block) && !this.#gaveUp.has(this.#network, row),
    )
    const { idle, changesAt } = this.#idle.update(
      candidates.map(row => row.block),
      this.#clock.now(),
    )
    if (this.#gaveUp.opened && this.#informed) this.#report(uses, idle)
    return Math.min(changesAt, ...uses.map(use => use.changesAt ?? Infinity))
  }

  /** Before anything is known of blocks, nothing of them would seem to be in use. */
  get #informed(): boolean {
    const { cloudMachines, cloudBlocks } = this.#host.tables
    return cloudBlocks.initialized || cloudMachines.size > 0
  }

  #giveUpUnused(inUse: ReadonlySet<Prefix>): void {
    if (!this.#gaveUp.opened) return
    for (const row of this.#blocks)
      if (row.phase === 'draining' && !inUse.has(row.block)) this.#gaveUp.giveUp(this.#network, row)
    this.#gaveUp.prune(this.#network, new Set(this.#blocks.map(row => row.block)))
  }

  #report(uses: readonly (Uses & { readonly pool: Pool })[], idle: readonly Prefix[]): void {
    const drained = this.#blocks.filter(
      row => row.phase !== 'releasing' && row.phase !== 'released' && this.#gaveUp.isDurable(this.#network, row),
    )
    const row: CloudReportRow = {
      network: this.#network,
      demand: uses.filter(({ pool }) => this.#shown().includes(pool)).map(use => this.#demandOf(use)),
      idle,
      drained: drained.map(({ block, born }) => ({ block, born })),
    }
    replaceRows(this.#host.tables.cloudReports, [row])
  }

  #demandOf({ pool, byBlock }: Uses & { readonly pool: Pool }): CloudDemand {
    let [assigned, cooling] = [0, 0]
    for (const use of byBlock.values()) {
      assigned += use.assigned
      cooling += use.cooling
    }
    const holders = new Set([...pool.leases].map(lease => this.#pods.get(ownerOf(lease)) ?? ''))
    const { endpoints } = this.#host.tables
    const waiting = countWaiting({
      lacking: this.#lackingPods(),
      endpoints: endpoints.values(),
      parked: pool.requests,
      holders,
    })
    return { family: pool.family, assigned, waiting, cooling }
  }

  #lackingPods(): readonly PodRow[] {
    const { tables, nodeName } = this.#host
    const { revision } = tables.pods
    if (this.#lacking?.revision !== revision) {
      const pods = [...tables.pods.values()].filter(pod => lacksAddress(pod, nodeName))
      this.#lacking = { revision, pods }
    }
    return this.#lacking.pods
  }

  #usesOf(pool: Pool): Uses & { readonly changesAt: number | undefined } {
    const { addresses, changesAt } = pool.occupied()
    return { ...this.#index[pool.family].uses(addresses), changesAt }
  }

  #assigned(): Assigned {
    const { cloudMachines, cloudNics, cloudBlocks } = this.#host.tables
    const [machine] = cloudMachines.values()
    return { machine, nics: [...cloudNics.values()], blocks: [...cloudBlocks.values()] }
  }

  /** Tables that the supply follows from. */
  #sources() {
    const { cloudMachines, cloudNics, cloudBlocks, cloudDevices } = this.#host.tables
    return [cloudMachines, cloudNics, cloudBlocks, cloudDevices]
  }

  #follow(): void {
    this.#followForeign()
    const { cloudBlocks, formerPods } = this.#host.tables
    const known = [cloudBlocks, formerPods].map(table => table.initialized).join(' ')
    const seen = `${this.#sources()
      .map(table => table.revision)
      .join(' ')} ${known}`
    if (seen === this.#seen) return
    this.#seen = seen
    const assigned = this.#assigned()
    this.#blocks = assigned.blocks
    this.#index = indexOf(assigned.blocks)
    this.#network = assigned.machine?.network ?? ''
    this.#supply = this.#supplyOf(assigned)
    for (const pool of this.#families) pool.setSupply(this.#supply)
  }

  #supplyOf(assigned: Assigned): Supply {
    const { cloudBlocks, formerPods } = this.#host.tables
    if (!formerPods.initialized)
      return { prefixes: [], known: false, awaited: 'addresses of pods of another CNI are not known yet' }
    const forgotten = !this.#gaveUp.complete && !cloudBlocks.initialized
    const carried = this.#carried()
    return supplyOf(assigned, {
      provider: this.#provider,
      firstInterface: this.#options.firstInterface,
      carries: row => carried.has(`${row.nic} ${row.block}`),
      gaveUp: row => this.#gaveUp.has(this.#network, row),
      distrust: forgotten ? DISTRUST : undefined,
    })
  }

  /** Blocks by their interfaces, where the datapath has a device that is configured. */
  #carried(): ReadonlySet<string> {
    const usable = [...this.#host.tables.cloudDevices.values()].filter(row => row.usable)
    return new Set(usable.flatMap(({ id, blocks }) => blocks.map(block => `${id} ${block}`)))
  }

  /** What the node itself has, and pods of another CNI. */
  #followForeign(): void {
    const { hostAddresses, formerPods } = this.#host.tables
    const seen = `${hostAddresses.revision} ${formerPods.revision}`
    if (seen === this.#foreignSeen) return
    this.#foreignSeen = seen
    const addresses = [...hostAddresses.values(), ...formerPods.values()].map(row => parseAddress(row.address))
    for (const pool of this.#families) pool.setForeign(addresses)
  }

  #shown(): readonly Pool[] {
    return this.#families.filter(pool => this.#host.families.includes(pool.family) || pool.present)
  }

  #poolOf(lease: Lease): Pool | undefined {
    return this.#families.find(pool => pool.name === lease.pool && pool.family === lease.family)
  }

  #declareGauges(): void {
    const { metrics } = this.#host
    declarePoolGauges(metrics, 'cloud', { status: () => this.status(), shown: () => this.#shown() })
    metrics.gauge('cloud_blocks', 'Blocks of addresses that the cloud gave to this node', ['phase'], gauge => {
      for (const phase of BLOCK_PHASES) gauge.set(this.#blocks.filter(row => row.phase === phase).length, { phase })
    })
  }
}

function ownerOf({ owner, family }: Lease): string {
  return `${owner} ${family}`
}

function indexOf(rows: readonly CloudBlockRow[]): Readonly<Record<Family, BlockIndex>> {
  const blocks = rows.map(row => row.block)
  return { 4: new BlockIndex(4, blocks), 6: new BlockIndex(6, blocks) }
}
