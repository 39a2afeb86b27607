/**
 * Rows of network interfaces of the machine (NICs) whose addresses pods have. Who writes `cloudNics` declares itself
 * (`initializer`) in its set-up: the programs then go by interfaces from their first packet on.
 */
import type { Address, Prefix } from '../kernel/kernel.ts'

/** A NIC that the cloud has attached and that pods may have addresses of. */
export interface CloudNicRow {
  /** By the cloud's name. */
  readonly id: string
  /** Colon-separated. */
  readonly mac: string
  /** Its place in the machine. The first, 0, is what the machine was booted with: its addresses and routes are the host's. */
  readonly index: number
  readonly subnetCidrs: readonly Prefix[]
  /** Its own, which no pod gets. */
  readonly addresses: readonly Address[]
  /** Pods have addresses of these, or may have. */
  readonly blocks: readonly Prefix[]
  /** Bytes; absent: that of the first. */
  readonly mtu?: number
  /** Routers of the subnet, at most one of each family; absent: the first address behind that of the subnet. */
  readonly gateways?: readonly Address[]
}

/** The device of a NIC, and what leaves by it. */
export interface CloudDeviceRow {
  readonly id: string
  /** The device is there and configured: its addresses may be given. */
  readonly usable: boolean
  /** Why it is not, for people; empty when it is. */
  readonly why: string
  /** Empty and 0 while there is no device. */
  readonly name: string
  readonly index: number
  /** Bytes. */
  readonly mtu: number
  /** Its place in the machine. */
  readonly place: number
  readonly gateways: readonly Address[]
  /** Its own and those of pods. */
  readonly addresses: readonly Address[]
  readonly blocks: readonly Prefix[]
}
