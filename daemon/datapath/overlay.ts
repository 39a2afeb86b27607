/**
 * The overlay device: one collect-metadata VXLAN device for all peers. Its programs set and read the tunnel key; the
 * host's own packets to remote pods are routed to it through a gateway address that a permanent neighbour resolves.
 *
 * All nodes' devices share one MAC, so that an inner frame is "for us" wherever it arrives; the source MAC differs,
 * because the VXLAN driver discards frames that carry its own (drivers/net/vxlan, vxlan_set_mac).
 */
import type { Family, LinkSpec, Net, NetRequest } from '../kernel/kernel.ts'
import { OVERLAY_DEVICE, OVERLAY_GATEWAY } from './paths.ts'

/** MAC of every node's overlay device, and destination of every inner frame. */
export const OVERLAY_MAC = '02:ca:05:e0:00:01'

export interface OverlaySettings {
  readonly port: number
  /** Bytes, from the MTU plan. */
  readonly mtu: number
  /** Families that pods have. */
  readonly families: readonly Family[]
  /** The plan rests on too little yet: a device that is there keeps its MTU. */
  readonly provisional?: boolean
}

export interface Overlay {
  readonly index: number
  /** That the device has now. Bytes. */
  readonly mtu: number
}

/**
 * Makes the overlay device what it should be. One of another UDP port, which cannot be changed, is replaced and has another
 * index then. Throws NetlinkError, or Error when the name is taken.
 */
export function ensureOverlay(net: Net, settings: OverlaySettings): Overlay {
  const found = net.link(OVERLAY_DEVICE)
  if (found !== undefined && found.kind !== 'vxlan') {
    throw new Error(`${OVERLAY_DEVICE} exists and is a ${found.kind} device: remove it, the overlay needs that name`)
  }
  const fits = found?.vxlan?.external === true && found.vxlan.port === settings.port
  const have = fits ? found : undefined
  const mtu = settings.provisional && found !== undefined ? found.mtu : settings.mtu
  const requests: NetRequest[] = []
  if (found !== undefined && have === undefined) requests.push({ op: 'link-delete', link: found.index })
  if (have === undefined) requests.push({ op: 'link-add', link: overlayLink(settings.port, mtu) })
  else if (have.mtu !== mtu || !have.up || have.mac !== OVERLAY_MAC) {
    requests.push({ op: 'link-set', link: OVERLAY_DEVICE, mac: OVERLAY_MAC, mtu, up: true })
  }
  for (const family of settings.families) {
    const address = OVERLAY_GATEWAY[family]
    requests.push({ op: 'neighbour-add', link: OVERLAY_DEVICE, address, mac: OVERLAY_MAC, replace: true })
  }
  net.run(requests)
  const index = net.link(OVERLAY_DEVICE)?.index
  if (index === undefined) throw new Error(`${OVERLAY_DEVICE} vanished while it was set up`)
  return { index, mtu }
}

function overlayLink(port: number, mtu: number): LinkSpec {
  return {
    kind: 'vxlan',
    external: true,
    port,
    name: OVERLAY_DEVICE,
    mac: OVERLAY_MAC,
    mtu,
    addrGenMode: 'none',
    up: true,
  }
}

/** Removes the overlay device; absent is fine. */
export async function removeOverlay(net: Net): Promise<void> {
  if (net.link(OVERLAY_DEVICE)?.kind === 'vxlan') await net.runBlocking([{ op: 'link-delete', link: OVERLAY_DEVICE }])
}
