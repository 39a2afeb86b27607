/**
 * The overlay device: one collect-metadata VXLAN device for all peers. Its programs set and read the tunnel key; the
 * host's own packets to remote pods are routed to it through a gateway address that a permanent neighbour resolves.
 *
 * All nodes' devices share one MAC, so that an inner frame is "for us" wherever it arrives; the source MAC differs,
 * because the VXLAN driver discards frames that carry its own (drivers/net/vxlan, vxlan_set_mac).
 */
import type { Net, NetRequest } from '../kernel/kernel.ts'
import { OVERLAY_DEVICE, OVERLAY_GATEWAY } from './paths.ts'

/** MAC of every node's overlay device, and destination of every inner frame. */
export const OVERLAY_MAC = '02:ca:05:e0:00:01'

export interface OverlaySettings {
  readonly port: number
  /** Bytes, from the MTU plan. */
  readonly mtu: number
  /** The plan rests on too little yet: a device that is there keeps its MTU. */
  readonly provisional?: boolean
}

/** Makes the overlay device what it should be; its index and the MTU it has now. Throws NetlinkError, or Error when the name is taken. */
export function ensureOverlay(net: Net, settings: OverlaySettings): { index: number; mtu: number } {
  const have = net.link(OVERLAY_DEVICE)
  if (have !== undefined && have.kind !== 'vxlan') {
    throw new Error(`${OVERLAY_DEVICE} exists and is a ${have.kind} device: remove it, the overlay needs that name`)
  }
  const { port } = settings
  const mtu = settings.provisional && have !== undefined ? have.mtu : settings.mtu
  const requests: NetRequest[] = []
  if (have === undefined) {
    requests.push({
      op: 'link-add',
      link: {
        kind: 'vxlan',
        external: true,
        port,
        name: OVERLAY_DEVICE,
        mac: OVERLAY_MAC,
        mtu,
        addrGenMode: 'none',
        up: true,
      },
    })
  } else if (have.mtu !== mtu || !have.up || have.mac !== OVERLAY_MAC) {
    requests.push({ op: 'link-set', link: OVERLAY_DEVICE, mac: OVERLAY_MAC, mtu, up: true })
  }
  for (const address of Object.values(OVERLAY_GATEWAY)) {
    requests.push({ op: 'neighbour-add', link: OVERLAY_DEVICE, address, mac: OVERLAY_MAC, replace: true })
  }
  net.run(requests)
  const index = net.link(OVERLAY_DEVICE)?.index
  if (index === undefined) throw new Error(`${OVERLAY_DEVICE} vanished while it was set up`)
  return { index, mtu }
}

/** Removes the overlay device; absent is fine. */
export async function removeOverlay(net: Net): Promise<void> {
  if (net.link(OVERLAY_DEVICE)?.kind === 'vxlan') await net.runBlocking([{ op: 'link-delete', link: OVERLAY_DEVICE }])
}
