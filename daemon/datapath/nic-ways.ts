/** Carries the table `cloudDevices` into the map by which packets leave by the network interface that has their source. */
import type { Family } from '../kernel/kernel.ts'
import { Family as SharedFamily, type RangeKey } from './shared.gen.ts'

/** What an interface is found by when only its index is known (bpf/lib/shared-egress.h, nic_ways). */
export function nicKey(ifindex: number, family: Family): RangeKey {
  const address = new Uint8Array(16)
  const view = new DataView(address.buffer)
  view.setUint32(4, 1 + (family === 4 ? SharedFamily.FAMILY_IPV4 : SharedFamily.FAMILY_IPV6))
  view.setUint32(12, ifindex)
  return { prefixLength: 128, address }
}
