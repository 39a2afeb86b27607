/**
 * The MTU planner: the one place that knows what each encapsulation costs. Everything that needs an MTU (pods' devices
 * and routes, the overlay device, host routes, load-time constants) takes it from a plan made here.
 */
import type { Family } from '../kernel/kernel.ts'

/** Bytes a VXLAN header costs by underlay family: outer IP, UDP 8, VXLAN 8, inner Ethernet 14 (RFC 7348 section 5). */
export const VXLAN_OVERHEAD: Readonly<Record<Family, number>> = { 4: 20 + 8 + 8 + 14, 6: 40 + 8 + 8 + 14 }

/** What links must carry at least: every IPv6 packet of 1280 bytes (RFC 8200 section 5), every IPv4 one of 576 (RFC 791). */
const MINIMUM_MTU: Readonly<Record<Family, number>> = { 4: 576, 6: 1280 }
const ETHERNET_MTU = 1500

export interface MtuInput {
  /** MTUs of all uplinks; none before they are known. */
  readonly uplinks: readonly number[]
  /** `auto` follows the uplinks; a number overrides what they say. */
  readonly configured: 'auto' | number
  /** Families that pods have. */
  readonly families: readonly Family[]
  /** Underlay family of the overlay, undefined when no path uses it. */
  readonly overlay: Family | undefined
  /** Underlay family of what goes through the overlay besides paths to pods; it costs pods' routes nothing. */
  readonly besides?: Family
  /** What encryption adds to each packet between nodes. Bytes. */
  readonly encryption?: number
}

/** All MTUs of a node, in bytes of the IP packet. */
export interface MtuPlan {
  /** A packet between nodes without encapsulation. */
  readonly native: number
  /** A packet inside the overlay; also the overlay device's MTU. */
  readonly overlay: number
  /** MTU of pods' devices: what the largest path carries. */
  readonly podDevice: number
  /** MTU of pods' default route: what every path in use carries. */
  readonly podRoute: number
}

/** Plans all MTUs. Throws RangeError naming the figures when a path would carry less than a family requires. */
export function planMtu(input: MtuInput): MtuPlan {
  const underlay =
    input.configured === 'auto'
      ? Math.min(...(input.uplinks.length > 0 ? input.uplinks : [ETHERNET_MTU]))
      : input.configured
  const native = underlay - (input.encryption ?? 0)
  const overlay = native - Math.max(VXLAN_OVERHEAD[input.overlay ?? 4], VXLAN_OVERHEAD[input.besides ?? 4])
  const podRoute = input.overlay === undefined ? native : overlay
  const family = input.families.includes(6) ? 6 : 4
  if (podRoute < MINIMUM_MTU[family]) {
    throw new RangeError(
      `an uplink MTU of ${underlay} leaves ${podRoute} bytes for pods, IPv${family} needs ${MINIMUM_MTU[family]}: raise the MTU of the uplinks`,
    )
  }
  return { native, overlay, podDevice: native, podRoute }
}
