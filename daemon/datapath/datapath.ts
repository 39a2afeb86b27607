/**
 * The datapath of this node: devices, programs and maps, and the loops that keep them in step with the tables. `start`
 * brings up what was there before (pins, blocks, devices) or makes it; `run` follows the tables until stopped; neither
 * ending takes anything down, since traffic goes on without the daemon.
 */
import type { CloudFinding } from '../cloud.ts'
import { familiesOf, type Settings } from '../config/schema.ts'
import type { Address, Kernel } from '../kernel/kernel.ts'
import type { Logger, Metrics } from '../plugin.ts'
import { Reconciler, type ReconcilerStatus } from '../state/reconcile.ts'
import type { FrontendRow } from '../state/service-rows.ts'
import type { EgressPathRow } from '../state/egress-rows.ts'
import type { EndpointRow, RouteRow, Tables } from '../state/tables.ts'
import { Attempts } from './attempts.ts'
import { type Blocks, ensureAnchor } from './blocks.ts'
import { type PinDirectories, preparePins } from './bpffs.ts'
import { type ExpiryCount, keepConntrack } from './conntrack.ts'
import type { ProgramConstants } from './constants.ts'
import { conntrackRejected, type DatapathCounter, readCounters } from './counters.ts'
import { readEvents } from './events.ts'
import { choosesTcx, hookedDevices } from './device-hooks.ts'
import { egressPathTarget } from './egress-paths.ts'
import { egressReconcilers } from './egress.ts'
import { FormerPods } from './former-pods.ts'
import { endpointTarget, formerPodTarget, hostAddressTarget, ipcacheTarget } from './map-targets.ts'
import { recordedSysctls } from './former-sysctls.ts'
import type { MtuPlan } from './mtu.ts'
import { Departed } from './departed.ts'
import { declareNicDevices } from './nic-devices.ts'
import { Nics } from './nics.ts'
import { declareNodeDevices, followNodeDevices, missingUplinks, readNodeDevices } from './node-devices.ts'
import { removeOverlay } from './overlay.ts'
import { hasOverlay, planPrograms } from './program-plan.ts'
import { PathPlanner } from './path-planner.ts'
import type { ProgramSet } from './program-set.ts'
import { hasPinnedEntries } from './map-pins.ts'
import { conntrackSizes, firstSizes } from './map-sizes.ts'
import { Programs } from './programs.ts'
import { blocksOf, programsOptions } from './programs-options.ts'
import { watchRoutes } from './route-watch.ts'
import { DatapathServices } from './services.ts'
import { XdpHooks } from './xdp-hooks.ts'
import { routeTarget } from './route-target.ts'
import { cloudFact, routingFact, routingProblems } from './routing-facts.ts'
import { applySysctls, desiredSysctls, keepSysctls, requireFamilies, reservedNodePorts } from './sysctls.ts'

export type DatapathSettings = Pick<
  Settings,
  'nodeName' | 'families' | 'uplinks' | 'mtu' | 'routing' | 'datapath' | 'services' | 'paths'
>

export interface DatapathOptions {
  readonly settings: DatapathSettings
  readonly kernel: Kernel
  readonly tables: Tables
  /** Directory of the compiled programs. */
  readonly objects: string
  /** Load-time constants of plugins. */
  readonly constants?: ProgramConstants
  readonly encryptionOverhead?: number
  /** Of this machine; it may be known better once the own Node is. */
  readonly cloud: () => CloudFinding
  /** There is an overlay device whatever the routing mode, for what takes ways of its own. */
  readonly overlay?: boolean
  /** Called after each plan that was carried out: pods' MTUs may be others than before. */
  readonly onPodMtu: () => void
  /** Called after routes of the node have changed, those of its pods perhaps among them. */
  readonly onRoutes: () => void
  readonly log: Logger
  readonly metrics: Metrics
}

export class Datapath implements AsyncDisposable {
  readonly blocks: Blocks
  /** Carries table `endpoints` into the map; ADD waits for it. */
  readonly endpoints: Reconciler<EndpointRow>
  /** Carries table `egressPaths`; ADD waits for a pod's. */
  readonly egressPaths: Reconciler<EgressPathRow>
  readonly #options: DatapathOptions
  readonly #pins: PinDirectories
  readonly #tcx: boolean
  readonly #xdp: XdpHooks
  readonly #planner: PathPlanner
  readonly #programs: Programs<ProgramSet>
  readonly #routes: Reconciler<RouteRow>
  readonly #reconcilers: readonly Pick<Reconciler<unknown>, 'start' | 'status'>[]
  readonly #services: DatapathServices
  readonly #devicesKnown: () => void
  readonly #nics: Nics
  readonly #formerPods: FormerPods
  readonly #looks: Attempts
  readonly #sysctls: Attempts
  readonly #departed = new Departed(() => this.#set.departed)

  get nicWays(): Nics['ways'] {
    return this.#nics.ways
  }

  /** Makes devices and sysctls, loads and attaches the programs. Throws what loading or the kernel throws. */
  static async start(options: DatapathOptions): Promise<Datapath> {
    await using stack = new AsyncDisposableStack()
    const { kernel, settings } = options
    const tcx = choosesTcx(kernel, settings.datapath.tcx)
    requireFamilies(kernel, familiesOf(settings))
    const pins = preparePins(settings.paths.bpf)
    const nicsKnown = declareNicDevices(options.tables)
    readNodeDevices(nodeDevices(options, pins))
    setSysctls(options)
    ensureAnchor(kernel.net, blocksOf(settings))
    const xdp = new XdpHooks(kernel.net, { directory: pins.xdp, mode: settings.services.xdp })
    const planner = newPlanner(options, pins)
    planner.plan()
    const programs = stack.use(
      await Programs.start(
        programsOptions(options, pins, { tcx, xdp }),
        planPrograms(options, planner),
        firstSizes(settings),
      ),
    )
    programs.current.setNodeAddresses(planner.ownAddresses)
    // Only now, with no program left that sends packets there.
    if (!hasOverlay(options)) await removeOverlay(kernel.net)
    stack.move()
    return new Datapath(options, { pins, tcx, xdp, planner, programs, nicsKnown })
  }

  private constructor(options: DatapathOptions, parts: Parts) {
    const { kernel, tables, log, metrics } = options
    this.#options = options
    this.blocks = blocksOf(options.settings)
    this.#pins = parts.pins
    this.#tcx = parts.tcx
    this.#xdp = parts.xdp
    this.#devicesKnown = declareNodeDevices(tables)
    const { nodeName, routing } = options.settings
    this.#formerPods = new FormerPods({ tables, nodeName, ranges: routing.formerRanges })
    this.#looks = new Attempts('links and addresses of the node could not be read', log)
    this.#sysctls = new Attempts('sysctls of the node could not be set', log)
    this.#planner = parts.planner
    this.#programs = parts.programs
    const common = { log, metrics }
    this.endpoints = new Reconciler({
      ...common,
      name: 'endpoint-map',
      table: tables.endpoints,
      target: endpointTarget(
        () => this.#set.endpoints,
        () => this.#set.devices,
        address => this.#departed.add(address),
      ),
    })
    const hosts = new Reconciler({
      ...common,
      name: 'host-address-map',
      table: tables.hostAddresses,
      target: hostAddressTarget(() => this.#set.endpoints),
    })
    const former = new Reconciler({
      ...common,
      name: 'former-pod-map',
      table: tables.formerPods,
      target: formerPodTarget(() => this.#set.endpoints),
    })
    const ipcache = new Reconciler({
      ...common,
      name: 'ipcache-map',
      table: tables.ipcache,
      target: ipcacheTarget(() => this.#set.ipcache),
    })
    this.#routes = new Reconciler({
      ...common,
      name: 'kernel-routes',
      table: tables.routes,
      target: routeTarget(kernel.net),
    })
    this.#services = new DatapathServices({
      ...common,
      current: () => this.#set,
      grow: sizes => this.#programs.grow(sizes),
      tables,
      seed: options.settings.services.maglev.seed,
    })
    this.egressPaths = new Reconciler({
      ...common,
      name: 'egress-path-map',
      table: tables.egressPaths,
      target: egressPathTarget(() => this.#set.egressPaths),
    })
    const egress = [...egressReconcilers({ ...common, current: () => this.#set, tables }), this.egressPaths]
    this.#nics = new Nics({
      ...common,
      kernel,
      settings: options.settings,
      tables,
      current: () => this.#set.nicWays,
      ready: () => this.#set.constants['nic_flags'] !== 0,
      known: parts.nicsKnown,
    })
    this.#reconcilers = [
      this.endpoints,
      hosts,
      former,
      ipcache,
      ...this.#nics.reconcilers,
      ...egress,
      this.#services.reconciler,
      this.#routes,
    ]
  }

  get mtu(): MtuPlan {
    return this.#planner.mtu
  }
  /** False while the MTUs may rest on too little: new pods get them, living ones keep what they have. */
  get informed(): boolean {
    return this.#planner.informed
  }
  get problems(): readonly string[] {
    const { settings, tables } = this.#options
    const failures = [this.#planner, this.#looks, this.#sysctls].flatMap(of => of.failure ?? [])
    return [
      ...missingUplinks(settings.uplinks, [...tables.uplinks.values()]),
      ...routingProblems(settings.routing, this.#options.cloud(), tables.nodes.get(settings.nodeName)),
      ...this.#nics.problems,
      ...this.#planner.problems,
      ...this.#xdp.problems,
      ...failures,
    ]
  }
  /** Gives the handler each event record, valid during the call only, until disposed. */
  events(handler: (record: Uint8Array) => void): Disposable {
    return readEvents(this.#set.mapFd('events'), handler)
  }
  counters(): DatapathCounter[] {
    return readCounters({ metrics: this.#set.mapFd('metrics'), forwarded: this.#set.mapFd('forwarded') })
  }
  /** Facts for `status`, in words. */
  facts(): Readonly<Record<string, string>> {
    const { settings, tables } = this.#options
    const uplinks = [...tables.uplinks.values()].map(u => `${u.name} (mtu ${u.mtu})`).join(', ')
    return {
      uplinks: uplinks === '' ? 'none' : uplinks,
      hooks: this.#tcx ? 'pods: shared tc block, uplinks: tcx' : 'pods: shared tc block, uplinks: clsact',
      xdp: this.#xdp.fact,
      ...(this.#nics.fact === undefined ? {} : { nics: this.#nics.fact }),
      cloud: cloudFact(this.#options.cloud(), tables.nodes.get(settings.nodeName)),
      routing: routingFact(settings.routing.mode, this.#planner.ways),
      mtu: `pods ${this.mtu.podDevice}, their routes ${this.mtu.podRoute}, overlay ${this.mtu.overlay}`,
      conntrack: `room for ${this.#set.capacity('conntrack')} flows, grows to ${settings.datapath.conntrack.maxEntries}`,
    }
  }
  /** Whether the programs know this address as a pod's on that device. */
  knows(address: Uint8Array, ifindex: number): boolean {
    return this.#set.endpoints.lookup(address)?.ifindex === ifindex
  }
  /** Whom packets of a client were given last by a frontend, while that still counts. */
  affinity(row: FrontendRow, client: Address): { readonly address: Address; readonly port: number } | undefined {
    return this.#services.affinity(row, client)
  }
  /** New flows of frontends, and why some are not in the maps as they should be. */
  get services(): Pick<DatapathServices, 'hits' | 'failures'> {
    return this.#services
  }
  /** Works on the programs and maps in use, which are not replaced meanwhile. */
  async use<T>(work: (set: ProgramSet) => Promise<T>): Promise<T> {
    return await this.#programs.use(work)
  }
  /** What each reconciler has not carried yet. */
  status(): readonly ReconcilerStatus[] {
    return this.#reconcilers.map(r => r.status())
  }

  /** Follows tables and kernel until the signal aborts. Rejects when a loop fails for good. */
  async run(signal: AbortSignal): Promise<void> {
    const { kernel, settings, log, metrics } = this.#options
    await Promise.all([
      ...this.#reconcilers.map(r => r.start(signal)),
      this.#followDevices(signal),
      this.#nics.run(signal),
      this.#formerPods.run(signal),
      this.#planner.run(() => this.#follow(), signal),
      keepSysctls(() => this.#sysctls.make(() => setSysctls(this.#options)), signal),
      watchRoutes(kernel.net, () => this.#followRoutes(), signal),
      keepConntrack(
        {
          log,
          metrics,
          expire: () => this.#expireConntrack(),
          departed: () => this.#departed.any,
          watched: () => this.#options.tables.backendLoads.size > 0,
          capacity: () => this.#set.capacity('conntrack'),
          rejected: () => conntrackRejected(this.counters()),
          limit: settings.datapath.conntrack.maxEntries,
          grow: capacity => this.#programs.grow(conntrackSizes(capacity)),
        },
        signal,
      ),
    ])
  }

  /** Closes descriptors; everything attached and pinned goes on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#planner[Symbol.dispose]()
    await this.#programs[Symbol.asyncDispose]()
  }

  get #set(): ProgramSet {
    return this.#programs.current
  }

  /** A run over a map that was copied already would end flows that live on in the copy. */
  async #expireConntrack(): Promise<ExpiryCount> {
    return await this.#programs.use(async set => {
      const ended = this.#departed.beginRun()
      const counts = this.#services.loads.begin()
      const count = await set.expireConntrack(counts)
      ended()
      this.#services.loads.end()
      return count
    })
  }

  #followDevices(signal: AbortSignal): Promise<void> {
    const follow = {
      log: this.#options.log,
      attempts: this.#looks,
      onChange: () => this.#routes.refresh(),
      onOwnDevice: () => this.#planner.repair(),
      onFirst: this.#devicesKnown,
    }
    return followNodeDevices({ ...nodeDevices(this.#options, this.#pins), ...follow }, signal)
  }

  #followRoutes(): void {
    this.#planner.reroute()
    this.#routes.refresh()
    this.#options.onRoutes()
  }

  /** Brings devices and programs to a plan, whatever has become of them meanwhile. */
  async #follow(): Promise<void> {
    ensureAnchor(this.#options.kernel.net, this.blocks)
    await this.#programs.follow(planPrograms(this.#options, this.#planner))
    this.#set.setNodeAddresses(this.#planner.ownAddresses)
    // IPv4 says nothing of routes that went with their device.
    this.#routes.refresh()
    this.#options.onPodMtu()
  }
}

interface Parts {
  readonly pins: PinDirectories
  readonly tcx: boolean
  readonly xdp: XdpHooks
  readonly planner: PathPlanner
  readonly programs: Programs<ProgramSet>
  readonly nicsKnown: () => void
}

function newPlanner(options: DatapathOptions, pins: PinDirectories): PathPlanner {
  const { settings, tables, kernel, log, cloud } = options
  return new PathPlanner({
    tables,
    net: kernel.net,
    cloud: () => cloud().cloud,
    nodeName: settings.nodeName,
    mode: settings.routing.mode,
    families: familiesOf(settings),
    mtu: settings.mtu,
    encryptionOverhead: options.encryptionOverhead ?? 0,
    overlay: options.overlay ?? false,
    formerNics: hasPinnedEntries(pins.maps, 'nic_ways'),
    formerRanges: settings.routing.formerRanges,
    log,
  })
}

function nodeDevices({ settings, kernel, tables }: DatapathOptions, pins: PinDirectories) {
  const { nodeName, uplinks } = settings
  return { net: kernel.net, tables, nodeName, uplinks, former: hookedDevices(kernel.net, pins.links, 'uplink_in') }
}

function setSysctls({ kernel, settings, tables, constants, log }: DatapathOptions): void {
  const uplinks = [...tables.uplinks.values()].map(u => u.name)
  const changed = applySysctls(recordedSysctls(kernel, settings.paths.state), [
    ...desiredSysctls(familiesOf(settings), uplinks, constants),
    ...reservedNodePorts(kernel),
  ])
  if (changed.length > 0) log.info({ changed }, 'sysctls of the node were changed')
}
