/**
 * The node's own links and addresses, from the kernel into the tables `uplinks` and `hostAddresses`. A changed address,
 * a renamed or replaced uplink and another MTU are ordinary events: the tables follow and everything planned from them.
 */
import type { AddressInfo, LinkInfo, Net } from '../kernel/kernel.ts'
import { eachChange } from '../state/each-change.ts'
import { Nudge } from '../state/nudge.ts'
import { replaceRows } from '../state/replace.ts'
import type { HostAddressRow, NodeRow, Tables, UplinkRow } from '../state/tables.ts'
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
  readonly defaultRouteLinks: readonly number[]
}

/** Which links lead to other nodes. Configured names may end in `*`. Pure. */
export function chooseUplinks(
  links: readonly LinkInfo[],
  addresses: readonly AddressInfo[],
  choice: UplinkChoice,
): UplinkRow[] {
  const candidates = links.filter(l => !l.loopback && !isOwnDevice(l.name) && l.up)
  const chosen =
    choice.configured === 'auto'
      ? automatic(candidates, addresses, choice)
      : candidates.filter(l => matches(l.name, choice.configured))
  return chosen.map(l => ({ name: l.name, index: l.index, mtu: l.mtu, mac: l.mac }))
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

export interface NodeDevicesOptions {
  readonly net: Net
  readonly tables: Tables
  readonly nodeName: string
  readonly uplinks: 'auto' | readonly string[]
  /** Uplinks that the last daemon left its program on; they stay until the own Node object says otherwise. */
  readonly former?: readonly number[]
  /** Called after each look at the kernel that changed a table. */
  readonly onChange: () => void
  /** Called once both tables hold what the kernel says; see `declareNodeDevices`. */
  readonly onFirst?: () => void
}

/** Declares the writer of both tables; the result says that it has finished its first sync. */
export function declareNodeDevices({ uplinks, hostAddresses }: Tables): () => void {
  const done = [uplinks, hostAddresses].map(table => table.initializer('kernel'))
  return () => {
    for (const finish of done.splice(0)) finish()
  }
}

/** Keeps both tables in step with the kernel until the signal aborts. */
export async function followNodeDevices(options: NodeDevicesOptions, signal: AbortSignal): Promise<void> {
  const events = new Nudge()
  using _watch = options.net.watch(['link', 'address4', 'address6'], event => {
    if (event.kind !== 'link' || !isPodDevice(event.name)) events.nudge()
  })
  const look = (): void => {
    if (readNodeDevices(options)) options.onChange()
    options.onFirst?.()
  }
  await eachChange([events, options.tables.nodes], look, signal)
}

/** One look at the kernel; true when a table changed. */
export function readNodeDevices(options: Omit<NodeDevicesOptions, 'onChange'>): boolean {
  const { net, tables } = options
  const links = net.links()
  const addresses = net.addresses()
  const defaultRouteLinks = net
    .routes()
    .filter(r => r.table === 254 && (r.dst === '0.0.0.0/0' || r.dst === '::/0'))
    .map(r => r.link)
  const current = [...tables.uplinks.values()].map(u => u.index)
  const former = current.length > 0 ? current : (options.former ?? [])
  const self = tables.nodes.get(options.nodeName)
  const choice = { configured: options.uplinks, self, former, defaultRouteLinks }
  const before = [tables.uplinks.revision, tables.hostAddresses.revision]
  const after = [
    replaceRows(tables.uplinks, chooseUplinks(links, addresses, choice)),
    replaceRows(tables.hostAddresses, hostAddressRows(links, addresses)),
  ]
  return String(before) !== String(after)
}

function automatic(links: readonly LinkInfo[], addresses: readonly AddressInfo[], choice: UplinkChoice): LinkInfo[] {
  const own = new Set(choice.self?.addresses ?? [])
  const holding = new Set(addresses.filter(a => own.has(a.address)).map(a => a.link))
  const ways = [holding, new Set(choice.former), new Set(choice.defaultRouteLinks)]
  return ways.map(indices => links.filter(l => indices.has(l.index))).find(found => found.length > 0) ?? []
}

function matches(name: string, patterns: 'auto' | readonly string[]): boolean {
  if (patterns === 'auto') return true
  return patterns.some(p => (p.endsWith('*') ? name.startsWith(p.slice(0, -1)) : name === p))
}
