/**
 * Rows of addresses that the cloud gave this node: what the operator has written into `spec.cloud` of its NodeNetwork,
 * and what the node's plugin has to say to that. docs/kinds.md describes both.
 */
import type { Address, Family, Prefix } from '../kernel/kernel.ts'
import type { Cloud } from './tables.ts'

/** Whose addresses they are; one row, and none while nothing is assigned. */
export interface CloudMachineRow {
  readonly provider: Cloud
  /** As the cloud calls this node's machine. */
  readonly machine: string
  /** Uid of the NodeNetwork, empty where objects have none: lives of blocks count within one. */
  readonly network: string
  /** Why no more addresses come, for people; empty while they do. */
  readonly shortage: string
}

/** A network interface that is ready: the cloud has attached it, and pods may have addresses of it. */
export interface CloudNicRow {
  /** As the cloud calls it. */
  readonly id: string
  /** In lower case, with colons. */
  readonly mac: string
  /** Its place in the machine. The first, 0, is what the machine was booted with: its addresses and routes are the host's. */
  readonly index: number
  /** Of the subnet that it is in; the first address of one after that of the network is its gateway. */
  readonly subnetCidrs: readonly Prefix[]
  /** Its own, which no pod gets. */
  readonly addresses: readonly Address[]
  /** What pods have or may have addresses of: neither released nor about to be. */
  readonly blocks: readonly Prefix[]
  /** Bytes; absent: that of the first. */
  readonly mtu?: number
  /** Routers of the subnet, at most one of each family; absent: the first address behind that of the subnet. */
  readonly gateways?: readonly Address[]
}

/** The way of a block; of `draining` ones the node gives no more and says when nothing of them is in use. */
export const BLOCK_PHASES = ['allocatable', 'draining', 'drained', 'releasing', 'released'] as const
export type CloudBlockPhase = (typeof BLOCK_PHASES)[number]

export interface CloudBlockRow {
  readonly block: Prefix
  /** The interface that it is on, whatever phase that is in. */
  readonly nic: string
  readonly phase: CloudBlockPhase
  /** Which of those that ever had this text it is: once given up a block comes back with a greater number only. */
  readonly born: number
}

/** What this node says of its addresses; one row, and none before pods of an earlier life are known. */
export interface CloudReportRow {
  /** Uid of the NodeNetwork whose spec this answers. */
  readonly network: string
  readonly demand: readonly CloudDemand[]
  /** Blocks of which nothing has been in use or cooling for a while, those idle longest first. */
  readonly idle: readonly Prefix[]
  /** Lives of draining blocks that nothing will be given of any more, whatever happens. */
  readonly drained: readonly Pick<CloudBlockRow, 'block' | 'born'>[]
}

/** Addresses of a family that pods have, wait for, or have given back lately. */
export interface CloudDemand {
  readonly family: Family
  readonly assigned: number
  readonly waiting: number
  readonly cooling: number
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
