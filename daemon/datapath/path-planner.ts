/** Plans paths and MTUs anew whenever nodes, pods, uplinks or addresses change, and writes `routes` and `ipcache`. */
import type { Family, Net } from '../kernel/kernel.ts'
import type { Logger } from '../plugin.ts'
import { eachChange } from '../state/each-change.ts'
import { Nudge } from '../state/nudge.ts'
import { replaceRows } from '../state/replace.ts'
import type { Tables } from '../state/tables.ts'
import { type MtuPlan, planMtu } from './mtu.ts'
import { planPaths, type RoutingMode } from './paths.ts'

export interface PathPlannerOptions {
  readonly tables: Tables
  readonly net: Pick<Net, 'addresses'>
  readonly nodeName: string
  readonly mode: RoutingMode
  readonly families: readonly Family[]
  readonly mtu: 'auto' | number
  readonly encryptionOverhead: number
  readonly log: Logger
}

/** After a failure the next try comes so much later, unless something changes before. */
const RETRY_MS = 2000

export class PathPlanner {
  readonly #options: PathPlannerOptions
  readonly #initialized: (() => void)[]
  #mtu: MtuPlan | undefined
  /** What is on-link can be told: some uplink has an address, or the answer does not matter. */
  #grounded = false
  problems: readonly string[] = []
  /** Why the last plan could not be carried out; undefined when it was. */
  failure: string | undefined

  /** False while what was planned may rest on too little: the cluster or the uplinks are not known yet. */
  get informed(): boolean {
    const { nodes, pods, uplinks } = this.#options.tables
    const known = this.#options.mtu !== 'auto' || uplinks.size > 0
    return known && this.#grounded && [nodes, pods, uplinks].every(table => table.initialized)
  }

  constructor(options: PathPlannerOptions) {
    this.#options = options
    this.#initialized = [options.tables.routes.initializer('paths'), options.tables.ipcache.initializer('paths')]
  }

  /** The MTUs of the last plan; call `plan` first. */
  get mtu(): MtuPlan {
    return this.#mtu ?? this.plan()
  }

  /**
   * One plan from the tables as they are. An uplink that has lost its addresses for the moment, as when its lease is
   * renewed, changes no way. Throws RangeError when the uplinks are too small; the tables stay.
   */
  plan(): MtuPlan {
    const { tables, mode, families, nodeName, net } = this.#options
    const uplinks = [...tables.uplinks.values()]
    const uplinkAddresses = net.addresses().filter(a => uplinks.some(u => u.index === a.link))
    const common = {
      self: nodeName,
      mode,
      families,
      nodes: tables.nodes.values(),
      pods: tables.pods.values(),
      uplinkAddresses,
    }
    // Which paths there are does not depend on MTUs, but MTUs on whether the overlay is one of them.
    const { overlay } = planPaths({ ...common, mtu: { native: 0, overlay: 0 } })
    const mtu = planMtu({
      uplinks: uplinks.map(u => u.mtu),
      configured: this.#options.mtu,
      encryption: this.#options.encryptionOverhead,
      overlay: overlay ?? (mode === 'overlay' ? 4 : undefined),
    })
    const paths = planPaths({ ...common, nodes: tables.nodes.values(), pods: tables.pods.values(), mtu })
    this.#grounded = mode !== 'auto' || uplinkAddresses.length > 0
    if (this.#grounded) {
      replaceRows(tables.routes, paths.routes)
      replaceRows(tables.ipcache, paths.ipcache)
      this.#report(paths.problems)
    }
    this.#mtu = mtu
    return mtu
  }

  /** Plans after each change until the signal aborts, and calls back after each plan. Failures are logged, not fatal. */
  async run(onPlan: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const { nodes, pods, uplinks, hostAddresses } = this.#options.tables
    const again = new Nudge()
    let timer: NodeJS.Timeout | undefined
    const follow = async (): Promise<void> => {
      clearTimeout(timer)
      try {
        this.plan()
        await onPlan()
        this.failure = undefined
        if (nodes.initialized && pods.initialized && uplinks.initialized)
          for (const finish of this.#initialized.splice(0)) finish()
      } catch (error) {
        this.failure = error instanceof Error ? error.message : String(error)
        this.#options.log.error({ error }, 'the plan of paths could not be carried out; the last one stays for now')
        timer = setTimeout(() => again.nudge(), RETRY_MS)
      }
    }
    try {
      await eachChange([nodes, pods, uplinks, hostAddresses, again], follow, signal)
    } finally {
      clearTimeout(timer)
    }
  }

  #report(problems: readonly string[]): void {
    for (const problem of problems)
      if (!this.problems.includes(problem)) this.#options.log.warn({ problem }, 'a node cannot be reached')
    this.problems = problems
  }
}
