/**
 * The node's own links and addresses, from the kernel into the tables `uplinks` and `hostAddresses`. A changed address,
 * a renamed or replaced uplink and another MTU are ordinary events: the tables follow and everything planned from them.
 */
import type { AddressInfo, LinkInfo, Net } from '../kernel/kernel.ts'
import type { Logger } from '../plugin.ts'
import { type Clock, systemClock } from '../state/clock.ts'
import { eachChange } from '../state/each-change.ts'
import { Nudge } from '../state/nudge.ts'
import { replaceRows } from '../state/replace.ts'
import type { HostAddressRow, NodeRow, Tables, UplinkRow } from '../state/tables.ts'
import type { Attempts } from './attempts.ts'
import { isOwnDevice } from './own-device.ts'
import { isPodDevice } from './pod-device.ts'

export interface UplinkChoice {
  /**
   * `auto`: links with an address of this node's Node object; while there is none, those of before, else those of the
   * default routes.
   */
  readonly configured: 'auto' | readonly string[]
  readonly self: NodeRow | undefined
  /** Uplinks as far as is known: of the last choice, or of the last daemon. */
  readonly former: readonly number[]
  /** Devices of network interfaces whose addresses pods have; undefined while these are not known. */
  readonly nics: readonly number[] | undefined
  /** Asked only when it decides: a node may have very many routes. */
  readonly defaultRouteLinks: () => readonly number[]
}

/** Which links lead to other nodes; configured names are patterns in which `*` and `?` stand for any characters. Pure. */
export function chooseUplinks(
  links: readonly LinkInfo[],
  addresses: readonly AddressInfo[],
  choice: UplinkChoice,
): UplinkRow[] {
  const candidates = links.filter(l => !l.loopback && !isOwnDevice(l.name) && l.up)
  const { configured, nics = choice.former } = choice
  const chosen =
    configured === 'auto'
      ? automatic(candidates, addresses, choice)
      : candidates.filter(l => configured.some(pattern => matches(l.name, pattern)))
  const more = candidates.filter(l => nics.includes(l.index) && !chosen.includes(l))
  return [...chosen, ...more].map(l => ({ name: l.name, index: l.index, mtu: l.mtu, mac: l.mac }))
}

/**
 * Addresses that are the node itself and can be sent to from elsewhere, of every device but pods' ones. One that several
 * devices have, as in unnumbered BGP, is told of the first. Pure.
 */
export function hostAddressRows(links: readonly LinkInfo[], addresses: readonly AddressInfo[]): HostAddressRow[] {
  const names = new Map(links.filter(l => !isPodDevice(l.name)).map(l => [l.index, l.name]))
  const rows = new Map<string, HostAddressRow>()
  for (const { address, prefixLength, scope, link } of addresses) {
    const device = names.get(link)
    if (device === undefined || /^(127\.|::1$|fe80:)/.test(address) || rows.has(address)) continue
    rows.set(address, { address, prefixLength, scope, device })
  }
  return [...rows.values()]
}

/** Configured uplinks that no device stands for, as problems for `status`. Pure. */
export function missingUplinks(configured: 'auto' | readonly string[], uplinks: readonly UplinkRow[]): string[] {
  const patterns = configured === 'auto' ? [] : configured
  return patterns
    .filter(pattern => !uplinks.some(u => matches(u.name, pattern)))
    .map(pattern => `uplinks: no device that is up is named ${pattern}`)
}

export interface NodeDevicesOptions {
  readonly net: Net
  readonly tables: Tables
  readonly nodeName: string
  readonly uplinks: 'auto' | readonly string[]
  /** Uplinks that the last daemon left its program on; they stay until the own Node object says otherwise. */
  readonly former?: readonly number[]
}

export interface FollowOptions extends NodeDevicesOptions {
  /** Called after each look at the kernel that changed a table. */
  readonly onChange: () => void
  /** Called when a device of the project other than pods' has changed. */
  readonly onOwnDevice: () => void
  /** Called once both tables hold what the kernel says; see `declareNodeDevices`. */
  readonly onFirst?: () => void
  /** Makes the looks; one that fails is made again after a second. */
  readonly attempts: Attempts
  readonly log: Logger
  readonly clock?: Clock
}

const RETRY_MS = 1000

/** Declares the writer of both tables; the result says that it has finished its first sync. */
export function declareNodeDevices({ uplinks, hostAddresses }: Tables): () => void {
  const done = [uplinks, hostAddresses].map(table => table.initializer('kernel'))
  return () => {
    for (const finish of done.splice(0)) finish()
  }
}

/** Keeps both tables in step with the kernel until the signal aborts. */
export async function followNodeDevices(options: FollowOptions, signal: AbortSignal): Promise<void> {
  const { net, tables, nodeName, attempts, clock = systemClock } = options
  const events = new Nudge()
  let changed = true
  let self: NodeRow | undefined
  let nics = ''
  let missing: readonly string[] = []
  const nudge = (): void => {
    changed = true
    events.nudge()
  }
  using _watch = net.watch(['link', 'address4', 'address6'], event => {
    if (event.kind === 'link' && isPodDevice(event.name)) return
    if (event.kind === 'link' && isOwnDevice(event.name)) options.onOwnDevice()
    nudge()
  })
  const look = async (): Promise<void> => {
    const node = tables.nodes.get(nodeName)
    const known = `${tables.cloudDevices.revision} ${tables.cloudDevices.initialized}`
    // Other nodes come and go without a word about this one's devices.
    if (!changed && node === self && known === nics) return
    changed = false
    self = node
    nics = known
    const succeeded = await attempts.make(() => {
      if (readNodeDevices(options)) options.onChange()
      options.onFirst?.()
    })
    if (!succeeded) clock.after(RETRY_MS, nudge)
    missing = warnMissing(options, missing)
  }
  await eachChange([events, tables.nodes, tables.cloudDevices], look, signal)
}

/** Logs what is missing and was not before; answers what is. */
function warnMissing({ uplinks, tables, log }: FollowOptions, before: readonly string[]): readonly string[] {
  const missing = missingUplinks(uplinks, [...tables.uplinks.values()])
  for (const problem of missing) if (!before.includes(problem)) log.warn({}, problem)
  return missing
}

/** One look at the kernel; true when a table changed. */
export function readNodeDevices(options: NodeDevicesOptions): boolean {
  const { net, tables } = options
  const links = net.links()
  const addresses = net.addresses()
  const current = [...tables.uplinks.values()].map(u => u.index)
  const former = current.length > 0 ? current : (options.former ?? [])
  const self = tables.nodes.get(options.nodeName)
  const nics = nicDevices(tables)
  const choice = { configured: options.uplinks, self, former, nics, defaultRouteLinks: () => defaultRouteLinks(net) }
  const before = [tables.uplinks.revision, tables.hostAddresses.revision]
  const after = [
    replaceRows(tables.uplinks, chooseUplinks(links, addresses, choice)),
    replaceRows(tables.hostAddresses, hostAddressRows(links, addresses)),
  ]
  return String(before) !== String(after)
}

function nicDevices({ cloudDevices }: Tables): number[] | undefined {
  return cloudDevices.initialized ? [...cloudDevices.values()].filter(d => d.usable).map(d => d.index) : undefined
}

function defaultRouteLinks(net: Net): number[] {
  return net
    .routes()
    .filter(r => r.table === 254 && (r.dst === '0.0.0.0/0' || r.dst === '::/0'))
    .map(r => r.link)
}

function automatic(links: readonly LinkInfo[], addresses: readonly AddressInfo[], choice: UplinkChoice): LinkInfo[] {
  const own = new Set(choice.self?.addresses ?? [])
  const ways = [
    () => addresses.filter(a => own.has(a.address)).map(a => a.link),
    () => choice.former,
    choice.defaultRouteLinks,
  ]
  for (const way of ways) {
    const indices = new Set(way())
    const found = links.filter(l => indices.has(l.index))
    if (found.length > 0) return found
  }
  return []
}

/** Whether a device's name fits a pattern in which `*` stands for any characters and `?` for one. */
function matches(name: string, pattern: string): boolean {
  const literal = pattern.replaceAll(/[\\^$.|+()[\]{}]/g, '\\$&')
  return new RegExp(`^${literal.replaceAll('*', '.*').replaceAll('?', '.')}$`).test(name)
}
