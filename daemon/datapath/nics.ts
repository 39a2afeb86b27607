/** Network interfaces of the machine whose addresses pods have: their devices, and how packets leave by the right one. */
import { familiesOf } from '../config/schema.ts'
import type { Kernel } from '../kernel/kernel.ts'
import type { Logger, Metrics } from '../plugin.ts'
import { eachChange } from '../state/each-change.ts'
import type { CloudDeviceRow } from '../state/cloud-rows.ts'
import { Reconciler } from '../state/reconcile.ts'
import { replaceRows } from '../state/replace.ts'
import type { Tables } from '../state/tables.ts'
import { Attempts } from './attempts.ts'
import type { DatapathSettings } from './datapath.ts'
import { recordedSysctls } from './former-sysctls.ts'
import { followNicDevices, nicProblems } from './nic-devices.ts'
import { NIC_ROUTES, nicRoutes, nicRules, nicRuleTarget } from './nic-rules.ts'
import { type NicWayMap, nicWayTarget } from './nic-ways.ts'
import { watchNet } from './route-watch.ts'
import { tellManagers } from './unmanaged-nics.ts'

export interface NicsOptions {
  readonly kernel: Kernel
  readonly settings: DatapathSettings
  readonly tables: Tables
  readonly current: () => NicWayMap
  /** Whether the programs in use go by interfaces. */
  readonly ready: () => boolean
  /** Called once `cloudDevices` holds what there is. */
  readonly known: () => void
  readonly log: Logger
  readonly metrics: Metrics
}

const RETRY_MS = 10_000

export class Nics {
  readonly reconcilers: readonly Reconciler<CloudDeviceRow>[]
  /** Carries table `cloudDevices`; ADD waits for those that a pod's packets leave by. */
  readonly ways: Reconciler<CloudDeviceRow>
  readonly #options: NicsOptions
  readonly #rules: Reconciler<CloudDeviceRow>
  readonly #routesKnown: () => void
  readonly #managers: Attempts

  constructor(options: NicsOptions) {
    const { kernel, tables, log, metrics } = options
    this.#options = options
    this.#managers = new Attempts('managers of the host’s network could not be told which interfaces are pods’', log)
    this.#routesKnown = tables.routes.initializer(NIC_ROUTES)
    const table = tables.cloudDevices
    this.ways = new Reconciler({
      log,
      metrics,
      name: 'nic-way-map',
      table,
      target: nicWayTarget(options.current, table),
    })
    // Also without any wanted: a daemon with another configuration may have left some.
    this.#rules = new Reconciler({
      log,
      metrics,
      name: 'nic-rules',
      table,
      target: nicRuleTarget(kernel.net, row => (this.#byRules ? nicRules(row) : [])),
    })
    this.reconcilers = [this.ways, this.#rules]
  }

  get problems(): readonly string[] {
    const { failure } = this.#managers
    return [...nicProblems(this.#options.tables.cloudDevices.values()), ...(failure === undefined ? [] : [failure])]
  }

  /** For `status`, in words: `eni-1 on ens6 (2 blocks); egress by ebpf`; undefined where there are none. */
  get fact(): string | undefined {
    const rows = [...this.#options.tables.cloudDevices.values()].filter(row => row.usable)
    const said = rows.map(({ id, name, blocks }) => `${id} on ${name} (${blocks.length} blocks)`)
    return said.length === 0 ? undefined : `${said.join(', ')}; egress by ${this.#options.settings.routing.cloudEgress}`
  }

  /** Follows table and kernel until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { kernel, settings, tables, log, known, ready } = this.#options
    const sysctls = recordedSysctls(kernel, settings.paths.state)
    const devices = { net: kernel.net, sysctls, tables, families: familiesOf(settings), ready, log }
    await Promise.all([
      followNicDevices(devices, known, signal),
      eachChange([tables.cloudDevices], () => this.#planRoutes(), signal),
      eachChange([tables.cloudNics], () => this.#tellManagers(), signal),
      watchNet(kernel.net, { groups: ['rule4', 'rule6'], gatherMs: 100 }, () => this.#rules.refresh(), signal),
    ])
  }

  /** As soon as an interface is known: a manager may look before its device comes. */
  async #tellManagers(): Promise<number | void> {
    const { settings, tables } = this.#options
    if (!tables.cloudNics.initialized) return
    const ours = [...tables.cloudNics.values()].filter(nic => nic.index > 0)
    const told = await this.#managers.make(() =>
      tellManagers(
        settings.paths,
        ours.map(nic => nic.mac),
      ),
    )
    return told ? undefined : RETRY_MS
  }

  get #byRules(): boolean {
    return this.#options.settings.routing.cloudEgress === 'rules'
  }

  #planRoutes(): void {
    const { routes, cloudDevices } = this.#options.tables
    replaceRows(routes, this.#byRules ? nicRoutes(cloudDevices.values()) : [], row => row.owner === NIC_ROUTES)
    if (cloudDevices.initialized) this.#routesKnown()
  }
}
