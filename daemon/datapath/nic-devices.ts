/**
 * The devices of network interfaces whose addresses pods have: configured when the kernel shows them, put right when
 * somebody else configures them, forgotten when they go. Table `cloudNics` comes in, `cloudDevices` goes out.
 */
import type { Family, Kernel, LinkInfo, Net } from '../kernel/kernel.ts'
import { type Clock, systemClock } from '../state/clock.ts'
import { eachChange } from '../state/each-change.ts'
import type { CloudDeviceRow, CloudNicRow } from '../state/cloud-rows.ts'
import { Nudge } from '../state/nudge.ts'
import { replaceRows } from '../state/replace.ts'
import type { Tables } from '../state/tables.ts'
import type { Logger } from '../plugin.ts'
import { messageOf } from '../errors.ts'
import { deviceOf, gatewaysOf, planNic } from './nic-plan.ts'
import { isPodDevice } from './pod-device.ts'
import { applySysctls } from './sysctls.ts'

export interface NicDevicesOptions {
  readonly net: Net
  readonly sysctls: Pick<Kernel, 'sysctl' | 'setSysctl'>
  readonly tables: Pick<Tables, 'cloudNics' | 'cloudDevices' | 'uplinks'>
  readonly families: readonly Family[]
  /** Whether the programs in use go by interfaces: before that, packets of pods would leave by any. */
  readonly ready: () => boolean
  readonly log: Logger
  readonly clock?: Clock
}

/** Events within this time after the first are one: each ADD of a pod brings routes. Milliseconds. */
const GATHER_MS = 100
/** After a failure the next look comes so much later. */
const RETRY_MS = 1000

/** Declares the writer of `cloudDevices`; the result says that it has finished its first sync. */
export function declareNicDevices({ cloudDevices }: Pick<Tables, 'cloudDevices'>): () => void {
  return cloudDevices.initializer('kernel')
}

/** Keeps devices and table in step until the signal aborts; `onFirst` is called once both are what `cloudNics` says. */
export async function followNicDevices(
  options: NicDevicesOptions,
  onFirst: () => void,
  signal: AbortSignal,
): Promise<void> {
  const { net, tables, clock = systemClock } = options
  const events = new Nudge()
  let cancel: (() => void) | undefined
  const lookIn = (ms: number): void => {
    cancel ??= clock.after(ms, () => {
      cancel = undefined
      events.nudge()
    })
  }
  using _watch = net.watch(['link', 'address4', 'address6', 'route4', 'route6'], event => {
    if (tables.cloudNics.size === 0 || (event.kind === 'link' && isPodDevice(event.name))) return
    lookIn(GATHER_MS)
  })
  const look = (): void => {
    const ready = options.ready()
    if (!lookAtNics(options)) lookIn(RETRY_MS)
    else if (!ready && tables.cloudNics.size > 0) lookIn(GATHER_MS)
    if (tables.cloudNics.initialized) onFirst()
  }
  try {
    await eachChange([events, tables.cloudNics], look, signal)
  } finally {
    cancel?.()
  }
}

/** One look at the kernel. False when some device could not be configured. */
export function lookAtNics(options: NicDevicesOptions): boolean {
  const { net, tables } = options
  const nics = [...tables.cloudNics.values()].sort((a, b) => a.index - b.index)
  // What is known of before the NICs are must stay: packets of pods leave by it.
  if (nics.length === 0 && !tables.cloudNics.initialized) return true
  let failed = false
  const links = nics.length === 0 ? [] : net.links()
  const mtu = mtuOf(options, nics, links)
  const rows = nics.map((nic): CloudDeviceRow => {
    const device = deviceOf(nic, links)
    if (device === undefined) return rowOf(nic, undefined, `no device has its MAC address ${nic.mac}`)
    try {
      return configure(options, { nic, device, mtu: nic.mtu ?? mtu ?? device.mtu })
    } catch (error) {
      failed = true
      const before = tables.cloudDevices.get(nic.id)
      const why = `device ${device.name}: ${messageOf(error)}`
      if (before?.why !== why)
        options.log.warn({ error, nic: nic.id, device: device.name }, 'a network interface could not be configured')
      return rowOf(nic, device, why)
    }
  })
  tell(options, rows)
  replaceRows(tables.cloudDevices, rows)
  return !failed
}

/** That of the first interface, else of the uplinks. */
function mtuOf(
  { tables }: NicDevicesOptions,
  nics: readonly CloudNicRow[],
  links: readonly LinkInfo[],
): number | undefined {
  const first = nics.find(nic => nic.index === 0)
  const device = first === undefined ? undefined : deviceOf(first, links)
  if (device !== undefined) return device.mtu
  const own = new Set(nics.map(nic => nic.mac.toLowerCase()))
  return [...tables.uplinks.values()].find(uplink => !own.has(uplink.mac))?.mtu
}

interface NicOnDevice {
  readonly nic: CloudNicRow
  readonly device: LinkInfo
  readonly mtu: number
}

function configure(
  { net, sysctls, families, ready, log }: NicDevicesOptions,
  { nic, device, mtu }: NicOnDevice,
): CloudDeviceRow {
  const routes = nic.index === 0 ? [] : net.routes()
  const plan = planNic({ nic, device, addresses: net.addresses(), routes, mtu, families })
  const changed = applySysctls(sysctls, plan.sysctls)
  net.run(plan.requests)
  if (changed.length > 0 || plan.requests.length > 0)
    log.info(
      { nic: nic.id, device: device.name, requests: plan.requests, sysctls: changed },
      'a network interface was configured',
    )
  const now = plan.requests.length === 0 ? device : net.link(device.index)
  if (now === undefined) return rowOf(nic, undefined, `device ${device.name} has just gone`)
  const why = now.up ? '' : `device ${now.name} is down`
  return rowOf(nic, now, ready() ? why : 'the programs that know it are not in place yet')
}

function rowOf(nic: CloudNicRow, device: LinkInfo | undefined, why: string): CloudDeviceRow {
  return {
    id: nic.id,
    usable: why === '',
    why,
    name: device?.name ?? '',
    index: device?.index ?? 0,
    mtu: device?.mtu ?? 0,
    place: nic.index,
    gateways: gatewaysOf(nic),
    addresses: nic.addresses,
    blocks: nic.blocks,
  }
}

/** What is usable now and was not before, and the other way round. */
function tell({ tables, log }: NicDevicesOptions, rows: readonly CloudDeviceRow[]): void {
  for (const { id, name, usable, why } of rows) {
    const before = tables.cloudDevices.get(id)
    if (before?.usable === usable) continue
    if (usable) log.info({ nic: id, device: name }, 'a network interface is in use')
    else if (before !== undefined)
      log.warn({ nic: id, device: name, why }, 'a network interface is not usable any more')
  }
}

/** Interfaces that are not usable, as problems for `status`. Pure. */
export function nicProblems(rows: Iterable<CloudDeviceRow>): string[] {
  return [...rows].filter(row => !row.usable).map(row => `network interface ${row.id}: ${row.why}`)
}
