/** Plans paths and MTUs anew whenever nodes, pods, uplinks or addresses change, and writes `routes` and `ipcache`. */
import { familyIn } from '../kernel/ip.ts'
import type { Address, Family, Net, Prefix } from '../kernel/kernel.ts'
import type { Logger } from '../plugin.ts'
import { type Clock, systemClock } from '../state/clock.ts'
import { eachChange } from '../state/each-change.ts'
import { Nudge } from '../state/nudge.ts'
import { replaceRows } from '../state/replace.ts'
import type { Cloud, HostAddressRow, NodeRow, Tables } from '../state/tables.ts'
import { Attempts } from './attempts.ts'
import { Gateways } from './gateways.ts'
import { type MtuPlan, planMtu } from './mtu.ts'
import { findWays, PATH_ROUTES, planPaths, type RoutingMode, type Way, type Ways } from './paths.ts'
import { grantRanges, type Ranges } from './ranges.ts'
import { StrayPods, straysOf } from './stray-pods.ts'

export interface PathPlannerOptions {
  readonly tables: Tables
  readonly nodeName: string
  readonly mode: RoutingMode
  readonly families: readonly Family[]
  readonly mtu: 'auto' | number
  readonly encryptionOverhead: number
  /** Ranges of a CNI that is being replaced, whose pods need no routes. */
  readonly formerRanges?: readonly Prefix[]
  /** More than paths to pods goes through the overlay, to any node. */
  readonly overlay?: boolean
  /** The last daemon left ways by network interfaces whose addresses pods have. */
  readonly formerNics?: boolean
  /** The cloud of this node, whose row may not say it yet. */
  readonly cloud: () => Cloud | 'none'
  /** The node's own routes lead to other nodes. */
  readonly net: Pick<Net, 'routeTo' | 'link'>
  readonly log: Logger
  readonly clock?: Clock
}

/** After a failure the next try comes so much later, unless something changes before. */
const RETRY_MS = 2000
/** So often the devices of a plan are looked after without a reason. */
const REPAIR_MS = 30_000
/** Changes within this time are planned together: a source writes many nodes and pods, one after the other. */
const GATHER_MS = 30

export class PathPlanner implements Disposable {
  readonly #options: PathPlannerOptions
  readonly #clock: Clock
  readonly #initialized: (() => void)[]
  readonly #strays: StrayPods
  readonly #gateways: Gateways
  readonly #again = new Nudge()
  #ranges: Ranges = { of: new Map(), problems: [] }
  /** Of the uplinks, as long as they had some last. */
  #uplinkAddresses: readonly HostAddressRow[] = []
  /** Routes have changed, or devices, whose routes the kernel drops without a word. */
  #rerouted = false
  #devices = ''
  #cancelLook = (): void => {}
  /** What leads to other nodes, in `status`. */
  #ways: readonly Way[] = []
  /** Revisions of the tables the last plan was made from; undefined before it. */
  #seen: { readonly nodes: number; readonly ways: string } | undefined
  #mtu: MtuPlan | undefined
  #ownAddresses: Readonly<Record<Family, Address | undefined>> = { 4: undefined, 6: undefined }
  /** What on the devices the last call back was for; undefined when it is to be made again. */
  #carriedOut: string | undefined
  readonly #attempts: Attempts
  problems: readonly string[] = []

  constructor(options: PathPlannerOptions) {
    const { tables } = options
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#strays = new StrayPods(tables.pods, options.formerRanges)
    this.#gateways = new Gateways(options.net, this.#clock)
    this.#attempts = new Attempts('the plan of paths could not be carried out, the last one stays', options.log)
    this.#initialized = [tables.routes.initializer('paths'), tables.ipcache.initializer('paths')]
  }

  [Symbol.dispose](): void {
    this.#strays[Symbol.dispose]()
  }

  /** False while what was planned may rest on too little: the cluster or the uplinks are not known yet. */
  get informed(): boolean {
    const { nodes, pods, uplinks } = this.#options.tables
    const known = this.#options.mtu !== 'auto' || uplinks.size > 0
    return known && this.#grounded && [nodes, pods, uplinks].every(table => table.initialized)
  }

  /** Why the last plan could not be carried out; undefined when it was. */
  get failure(): string | undefined {
    return this.#attempts.failure
  }

  /** Pods have addresses of network interfaces; before these are known, whether they had when the last daemon ended. */
  get nics(): boolean {
    const { cloudNics, cloudDevices } = this.#options.tables
    const known = cloudNics.initialized && cloudDevices.initialized
    return cloudNics.size + cloudDevices.size > 0 || (!known && this.#options.formerNics === true)
  }

  /** The network that routes this node's pods, as far as others know of it. */
  get nativeNetwork(): string | undefined {
    return this.#options.tables.nodes.get(this.#options.nodeName)?.nativeNetwork
  }

  /** Ways to the other nodes, as of the last plan. */
  get ways(): readonly Way[] {
    return this.#ways
  }

  /** What other nodes know this node by, as of the last plan. */
  get ownAddresses(): Readonly<Record<Family, Address | undefined>> {
    return this.#ownAddresses
  }

  /** The MTUs of the last plan, which is made if there was none. */
  get mtu(): MtuPlan {
    return this.#mtu ?? this.plan()
  }

  /** What is on-link can be told: some uplink has had an address, or the answer does not matter. */
  get #grounded(): boolean {
    return this.#options.mode !== 'auto' || this.#uplinkAddresses.length > 0
  }

  /**
   * One plan from the tables as they are; without a difference to the last one it costs the pods that changed. Uplinks
   * that have lost all addresses for the moment, as when a lease is renewed, count as having the last ones. Throws
   * RangeError when the uplinks are too small; the tables stay.
   */
  plan(): MtuPlan {
    const { tables, nodeName } = this.#options
    const seen = {
      nodes: tables.nodes.revision,
      ways: `${tables.uplinks.revision} ${tables.hostAddresses.revision} ${tables.cloudDevices.revision} ${this.#gateways.revision}`,
    }
    if (seen.nodes !== this.#seen?.nodes) this.#ranges = grantRanges(tables.nodes.values(), nodeName)
    const strayed = this.#strays.update(this.#ranges.of)
    const same = seen.nodes === this.#seen?.nodes && seen.ways === this.#seen.ways
    if (this.#mtu !== undefined && same && !strayed) return this.#mtu
    this.#seen = undefined
    const ways = this.#findWays()
    this.#ownAddresses = ways.sources
    const mtu = this.#planMtu(ways)
    if (this.#grounded) this.#write(ways, mtu)
    this.#mtu = mtu
    this.#seen = seen
    return mtu
  }

  /** Has the next plan carried out on the devices also when it is the same, as after one of them was changed. */
  repair(): void {
    this.#carriedOut = undefined
    this.#again.nudge()
  }

  /** Routes of the node have changed: they may lead to other nodes by other gateways than before. */
  reroute(): void {
    this.#rerouted = true
    this.#again.nudge()
  }

  /**
   * Plans after each change until the signal aborts, and calls back when MTUs or uplinks are others than at the last call,
   * and for a repair. Failures are logged, not fatal.
   */
  async run(onPlan: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const { nodes, pods, uplinks, hostAddresses, cloudNics, cloudDevices } = this.#options.tables
    let cancel = (): void => {}
    let first = true
    const follow = async (): Promise<void> => {
      if (!first) await this.#gather(signal)
      first = false
      if (signal.aborted) return
      cancel()
      const succeeded = await this.#carryOut(onPlan)
      cancel = this.#clock.after(succeeded ? REPAIR_MS : RETRY_MS, () => this.repair())
    }
    try {
      await eachChange([nodes, pods, uplinks, hostAddresses, cloudNics, cloudDevices, this.#again], follow, signal)
    } finally {
      cancel()
      this.#cancelLook()
    }
  }

  async #carryOut(onPlan: () => Promise<void>): Promise<boolean> {
    const { nodes, pods, uplinks } = this.#options.tables
    const succeeded = await this.#attempts.make(async () => {
      if (this.#looksForGateways()) await this.#gateways.look()
      const wanted = JSON.stringify([
        this.plan(),
        this.#ownAddresses,
        this.nativeNetwork,
        this.informed,
        this.nics,
        [...uplinks.values()],
      ])
      if (wanted === this.#carriedOut) return
      // Before the call: a repair that is asked for during it comes after it.
      this.#carriedOut = wanted
      await onPlan()
    })
    if (!succeeded) this.#carriedOut = undefined
    else if (nodes.initialized && pods.initialized && uplinks.initialized)
      for (const finish of this.#initialized.splice(0)) finish()
    return succeeded
  }

  /** Whether other gateways may be in use by now; where the last look is not long past, the next comes by itself. */
  #looksForGateways(): boolean {
    const { uplinks, hostAddresses } = this.#options.tables
    const devices = `${uplinks.revision} ${hostAddresses.revision}`
    if (!this.#rerouted && devices === this.#devices) return false
    const { restMs } = this.#gateways
    this.#cancelLook()
    if (restMs > 0) {
      this.#cancelLook = this.#clock.after(restMs, () => this.#again.nudge())
      return false
    }
    this.#rerouted = false
    this.#devices = devices
    return this.#gateways.any
  }

  async #gather(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = this.#clock.after(GATHER_MS, resolve)
    const onAbort = (): void => resolve()
    signal.addEventListener('abort', onAbort)
    await promise
    signal.removeEventListener('abort', onAbort)
    cancel()
  }

  #findWays(): Ways {
    const { tables, nodeName, mode, families } = this.#options
    const uplinks = new Set([...tables.uplinks.values()].map(u => u.name))
    const hostAddresses = [...tables.hostAddresses.values()]
    const current = hostAddresses.filter(a => uplinks.has(a.device))
    if (current.length > 0) this.#uplinkAddresses = current
    this.#gateways.begin()
    return findWays({
      self: nodeName,
      mode,
      families,
      nodes: this.#nodes(),
      hostAddresses,
      uplinkAddresses: this.#uplinkAddresses,
      ranges: this.#ranges.of,
      strays: straysOf(this.#strays.byNode(), this.#ranges.of, tables.nodes.values(), nodeName),
      blocks: [...tables.cloudDevices.values()].flatMap(device => device.blocks),
      gateway: this.#gateways.to,
    })
  }

  /** With what this node knows of itself before it has told the others. */
  #nodes(): NodeRow[] {
    const { tables, nodeName, cloud } = this.#options
    return Array.from(tables.nodes.values(), row => (row.name === nodeName ? { ...row, cloud: cloud() } : row))
  }

  #planMtu({ overlay }: Ways): MtuPlan {
    const { tables, mode, families, mtu, encryptionOverhead } = this.#options
    const onlyIpv6 = [...tables.nodes.values()].some(({ addresses: [first, second] }) => {
      return first !== undefined && familyIn(first) === 6 && (second === undefined || familyIn(second) === 6)
    })
    return planMtu({
      ...(this.#options.overlay && onlyIpv6 && { besides: 6 }),
      uplinks: [...tables.uplinks.values()].map(u => u.mtu),
      configured: mtu,
      families,
      encryption: encryptionOverhead,
      overlay: overlay ?? (mode === 'overlay' ? 4 : undefined),
    })
  }

  #write(ways: Ways, mtu: MtuPlan): void {
    const { tables } = this.#options
    const paths = planPaths(ways, mtu)
    this.#ways = ways.ways
    replaceRows(tables.routes, paths.routes, row => row.owner === PATH_ROUTES)
    replaceRows(tables.ipcache, paths.ipcache)
    this.#report([...this.#ranges.problems, ...ways.problems])
  }

  #report(problems: readonly string[]): void {
    for (const problem of problems)
      if (!this.problems.includes(problem)) this.#options.log.warn({ problem }, 'a node cannot be reached as it should')
    this.problems = problems
  }
}
