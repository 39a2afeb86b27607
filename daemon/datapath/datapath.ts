/**
 * The datapath of this node: devices, programs and maps, and the loops that keep them in step with the tables. `start`
 * brings up what was there before (pins, blocks, devices) or makes it; `run` follows the tables until stopped; neither
 * ending takes anything down, since traffic goes on without the daemon.
 */
import { familiesOf, type Settings } from '../config/schema.ts'
import { conntrackRejected, type DatapathCounter } from '../flow/counters.ts'
import type { Kernel } from '../kernel/kernel.ts'
import type { Logger, Metrics } from '../plugin.ts'
import { Reconciler, type ReconcilerStatus } from '../state/reconcile.ts'
import type { EndpointRow, RouteRow, Tables } from '../state/tables.ts'
import { attachBlocks, type Blocks, ensureAnchor } from './blocks.ts'
import { type PinDirectories, preparePins } from './bpffs.ts'
import { keepConntrack } from './conntrack.ts'
import { programConstants } from './constants.ts'
import { readCounters, readEvents } from './events.ts'
import { type DeviceHook, DeviceHooks, hookedDevices } from './device-hooks.ts'
import { endpointTarget, hostAddressTarget, ipcacheTarget } from './map-targets.ts'
import type { MtuPlan } from './mtu.ts'
import { declareNodeDevices, followNodeDevices, readNodeDevices } from './node-devices.ts'
import { ensureOverlay, removeOverlay } from './overlay.ts'
import { OVERLAY_DEVICE } from './paths.ts'
import { PathPlanner } from './path-planner.ts'
import { loadProgramSet, type ProgramSet } from './program-set.ts'
import { watchRoutes } from './route-watch.ts'
import { routeTarget } from './route-target.ts'
import { applySysctls, desiredSysctls, keepSysctls } from './sysctls.ts'

export type DatapathSettings = Pick<
  Settings,
  'nodeName' | 'families' | 'uplinks' | 'mtu' | 'routing' | 'datapath' | 'paths'
>

export interface DatapathOptions {
  readonly settings: DatapathSettings
  readonly kernel: Kernel
  readonly tables: Tables
  /** Directory of the compiled programs. */
  readonly objects: string
  /** Load-time constants of plugins. */
  readonly constants?: Readonly<Record<string, number | bigint | boolean>>
  readonly encryptionOverhead?: number
  /** Called when pods' MTUs have changed. */
  readonly onPodMtu: () => void
  /** Called after routes of the node have changed, those of its pods perhaps among them. */
  readonly onRoutes: () => void
  readonly log: Logger
  readonly metrics: Metrics
}

export class Datapath implements Disposable {
  readonly blocks: Blocks
  /** Carries table `endpoints` into the map; ADD waits for it. */
  readonly endpoints: Reconciler<EndpointRow>
  readonly #options: DatapathOptions
  readonly #pins: PinDirectories
  readonly #tcx: boolean
  readonly #hooks: DeviceHooks
  readonly #planner: PathPlanner
  readonly #routes: Reconciler<RouteRow>
  readonly #reconcilers: readonly Pick<Reconciler<unknown>, 'start' | 'status'>[]
  readonly #devicesKnown: () => void
  #set: ProgramSet
  #loadedFor = ''

  /** Makes devices and sysctls, loads and attaches the programs. Throws what loading or the kernel throws. */
  static async start(options: DatapathOptions): Promise<Datapath> {
    const { kernel, settings } = options
    const pins = preparePins(settings.paths.bpf)
    readNodeDevices(nodeDevices(options, pins))
    setSysctls(options)
    ensureAnchor(kernel.net, blocksOf(settings))
    const datapath = new Datapath(options, pins)
    await datapath.#attach()
    return datapath
  }

  private constructor(options: DatapathOptions, pins: PinDirectories) {
    const { settings, kernel, tables, log, metrics } = options
    this.#options = options
    this.blocks = blocksOf(settings)
    this.#pins = pins
    this.#devicesKnown = declareNodeDevices(tables)
    this.#planner = new PathPlanner({
      tables,
      net: kernel.net,
      nodeName: settings.nodeName,
      mode: settings.routing.mode,
      families: familiesOf(settings),
      mtu: settings.mtu,
      encryptionOverhead: options.encryptionOverhead ?? 0,
      log,
    })
    this.#planner.plan()
    this.#set = this.#load()
    this.#tcx = usesTcx(kernel, settings)
    this.#hooks = new DeviceHooks(kernel.net, { tcx: this.#tcx, directory: this.#pins.links })
    const common = { log, metrics }
    this.endpoints = new Reconciler({
      ...common,
      name: 'endpoint-map',
      table: tables.endpoints,
      target: endpointTarget(
        () => this.#set.endpoints,
        () => this.#set.devices,
      ),
    })
    const hosts = new Reconciler({
      ...common,
      name: 'host-address-map',
      table: tables.hostAddresses,
      target: hostAddressTarget(() => this.#set.endpoints),
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
    this.#reconcilers = [this.endpoints, hosts, ipcache, this.#routes]
  }

  get mtu(): MtuPlan {
    return this.#planner.mtu
  }
  /** False while the MTUs may rest on too little: new pods get them, living ones keep what they have. */
  get informed(): boolean {
    return this.#planner.informed
  }
  get problems(): readonly string[] {
    const { problems, failure } = this.#planner
    return failure === undefined ? problems : [...problems, failure]
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
      routing: settings.routing.mode,
      mtu: `pods ${this.mtu.podDevice}, their routes ${this.mtu.podRoute}, overlay ${this.mtu.overlay}`,
      conntrack: `room for ${this.#set.conntrackCapacity} flows, grows to ${settings.datapath.conntrack.maxEntries}`,
    }
  }
  /** Whether the programs know this address as a pod's on that device. */
  knows(address: Uint8Array, ifindex: number): boolean {
    return this.#set.endpoints.lookup(address)?.ifindex === ifindex
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
      this.#planner.run(() => this.#follow(), signal),
      keepSysctls(() => setSysctls(this.#options), signal),
      watchRoutes(kernel.net, () => this.#followRoutes(), signal),
      keepConntrack(
        {
          log,
          metrics,
          expire: () => this.#set.expireConntrack(),
          capacity: () => this.#set.conntrackCapacity,
          rejected: () => conntrackRejected(this.counters()),
          limit: settings.datapath.conntrack.maxEntries,
          grow: capacity => this.#replace(capacity),
        },
        signal,
      ),
    ])
  }

  /** Closes descriptors; everything attached and pinned goes on. */
  [Symbol.dispose](): void {
    this.#set[Symbol.dispose]()
  }

  #followDevices(signal: AbortSignal): Promise<void> {
    const follow = { onChange: () => this.#routes.refresh(), onFirst: this.#devicesKnown }
    return followNodeDevices({ ...nodeDevices(this.#options, this.#pins), ...follow }, signal)
  }

  #followRoutes(): void {
    this.#routes.refresh()
    this.#options.onRoutes()
  }

  /** Brings devices and programs to a new plan. */
  async #follow(): Promise<void> {
    if (this.#settingsText() !== this.#loadedFor) await this.#replace(this.#set.conntrackCapacity)
    else await this.#attachDevices()
    this.#options.onPodMtu()
  }

  async #replace(conntrack: number): Promise<void> {
    const old = this.#set
    this.#set = this.#load(conntrack)
    await this.#attach()
    const late = this.#set.catchUp()
    old[Symbol.dispose]()
    this.#options.log.info({ conntrack: this.#set.conntrackCapacity, late }, 'programs were replaced')
  }

  #load(conntrack?: number): ProgramSet {
    const { settings, objects } = this.#options
    const { initialEntries, maxEntries } = settings.datapath.conntrack
    const set = loadProgramSet({
      objects,
      pins: this.#pins.maps,
      constants: this.#constants(),
      sizes: {
        conntrack: conntrack ?? Math.min(initialEntries, maxEntries),
        events: settings.datapath.ringBufferBytes,
      },
    })
    this.#loadedFor = this.#settingsText()
    return set
  }

  async #attach(): Promise<void> {
    this.#set.pin()
    attachBlocks(this.#options.kernel.net, this.blocks, {
      podOut: this.#set.programFd('pod_out'),
      podIn: this.#set.programFd('pod_in'),
    })
    await this.#attachDevices()
  }

  async #attachDevices(): Promise<void> {
    const uplinks = [...this.#options.tables.uplinks.values()]
    const hooks: DeviceHook[] = uplinks.map(device => ({ program: 'uplink_in', device, side: 'ingress' }))
    const overlay = this.#overlay()
    if (overlay === undefined) await removeOverlay(this.#options.kernel.net)
    else {
      const device = { name: OVERLAY_DEVICE, index: overlay.index }
      hooks.push({ program: 'overlay_in', device, side: 'ingress' }, { program: 'overlay_out', device, side: 'egress' })
    }
    await this.#hooks.apply(hooks, name => this.#set.programFd(name))
  }

  /** The overlay device, made or adjusted; undefined when all routing is native. */
  #overlay(): { readonly index: number; readonly mtu: number } | undefined {
    const { kernel, settings } = this.#options
    if (settings.routing.mode === 'native') return undefined
    const { port } = settings.routing.overlay
    return ensureOverlay(kernel.net, { port, mtu: this.mtu.overlay, provisional: !this.informed })
  }

  #constants(): Readonly<Record<string, number | bigint | boolean>> {
    const { settings, constants } = this.#options
    const device = this.#overlay()
    const overlay = device && { ifindex: device.index, mtu: device.mtu, vni: settings.routing.overlay.vni }
    return { ...programConstants({ overlay, datapath: settings.datapath }), ...constants }
  }

  /** Programs are replaced when this text changes. */
  #settingsText(): string {
    return JSON.stringify(this.#constants(), (_key, value: unknown) => (typeof value === 'bigint' ? `${value}` : value))
  }
}

function nodeDevices({ settings, kernel, tables }: DatapathOptions, pins: PinDirectories) {
  const { nodeName, uplinks } = settings
  return { net: kernel.net, tables, nodeName, uplinks, former: hookedDevices(kernel.net, pins.links, 'uplink_in') }
}

function setSysctls({ kernel, settings, tables, log }: DatapathOptions): void {
  const uplinks = [...tables.uplinks.values()].map(u => u.name)
  const changed = applySysctls(kernel, desiredSysctls(familiesOf(settings), uplinks))
  if (changed.length > 0) log.info({ changed }, 'sysctls of the node were changed')
}

function blocksOf(settings: DatapathSettings): Blocks {
  return { ingress: settings.datapath.ingressBlock, egress: settings.datapath.egressBlock }
}

function usesTcx(kernel: Pick<Kernel, 'feature'>, settings: DatapathSettings): boolean {
  const { tcx } = settings.datapath
  return tcx === 'on' || (tcx === 'auto' && kernel.feature('tcx').state === 'present')
}
