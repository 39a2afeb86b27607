/**
 * What addresses from a cloud are made of, alike for all clouds. The unit is a block: a secondary address or prefix of an
 * EC2 network interface, an IP configuration of an Azure one, an alias range of a Google one. Times are milliseconds of the
 * leader's clock, of which only differences mean something.
 */
import type { Address, Family, Prefix } from '../../daemon/kernel/kernel.ts'

/** A network interface of a machine, by the name that the cloud gives it. */
export type NicId = string
export type SubnetId = string

/** What a machine of a type can hold. */
export interface Limits {
  /** Interfaces, with the first. */
  readonly nics: number
  /** Blocks of an interface, of each family. The interface's own address is none. */
  readonly slots: number
  /** Prefix lengths that a block can have, longest prefix last; IPv4 first asked for by the first of them. */
  readonly lengths: Readonly<Record<Family, readonly number[]>>
  /** A change writes the whole object: one at a time for a machine, with all that is to change on it. */
  readonly wholeWrites: boolean
}

/** How many addresses a node is to have. */
export interface Policy {
  readonly families: readonly Family[]
  /** Free addresses beyond those in use, being asked for or cooling down. */
  readonly preAllocate: number
  readonly min: number
  /** Free addresses beyond the target before some are given back. */
  readonly maxAbove: number
  /** Pods that the node takes at most. */
  readonly maxPods: number
  /** A block must have been idle for so long before it is given back. */
  readonly releaseDelayMs: number
  /** Interfaces below this index are not for pods. */
  readonly firstNic: number
  /** Blocks larger than an address, where machine and subnet can. */
  readonly prefixes: boolean
}

/** What a node wants of one family, as its daemon counts it. */
export interface Demand {
  readonly assigned: number
  /** Requests that wait, and pods bound to the node that have no address yet. */
  readonly waiting: number
  /** Given back by a pod and not to be given again yet. */
  readonly cooling: number
}

export const NO_DEMAND: Demand = { assigned: 0, waiting: 0, cooling: 0 }

/** An interface as the cloud shows it. */
export interface SeenNic {
  readonly id: NicId
  readonly mac: string
  readonly subnet: SubnetId
  readonly status: 'available' | 'attaching' | 'attached' | 'detaching'
  /** Of the machine that it is attached to; empty when it is to none. */
  readonly machine: string
  /** Its place in the machine, 0 for the first. */
  readonly index: number
  /** The cloud deletes it with its machine. */
  readonly deletedWithMachine: boolean
  /** Pods may have addresses of it: the first of a machine, those that this project made, and those that a cloud has no others of. */
  readonly forPods: boolean
  /** By tags that this project gave it; empty on others. */
  readonly token: string
  readonly node: string
  /** Its own, which no pod gets. */
  readonly addresses: readonly Address[]
  readonly blocks: readonly Prefix[]
}

export interface SeenSubnet {
  readonly id: SubnetId
  readonly zone: string
  readonly cidrs: readonly Prefix[]
  /** IPv4 addresses that nobody has. */
  readonly free: number
  /** New interfaces may be in it; others are shown because machines have interfaces there. */
  readonly forNics: boolean
  /** Parts that may be used for prefixes, or for none (CIDR reservations). */
  readonly reserved: readonly { readonly cidr: Prefix; readonly kind: 'prefix' | 'explicit' }[]
}

/** A request to the cloud for one node. */
export type Call =
  | AssignCall
  | ReleaseCall
  | CreateCall
  | { readonly kind: 'attach'; readonly nic: NicId; readonly index: number; readonly token: string }
  | { readonly kind: 'protect' | 'detach' | 'delete'; readonly nic: NicId }
  | WriteCall
  | { readonly kind: 'observe' }

export interface Request {
  readonly nic: NicId
  readonly length: number
  readonly family: Family
  readonly count: number
}
export type AssignCall = { readonly kind: 'assign' } & Request
export interface ReleaseCall {
  readonly kind: 'release'
  readonly nic: NicId
  readonly blocks: readonly Prefix[]
}
/** An interface with its first blocks; `token` makes a repeated request find the first one's interface. */
export interface CreateCall {
  readonly kind: 'create'
  readonly token: string
  readonly subnet: SubnetId
  readonly length: number
  readonly count: number
}
/** All changes of a machine at once. */
export interface WriteCall {
  readonly kind: 'write'
  readonly add: readonly Request[]
  readonly remove: readonly { readonly nic: NicId; readonly block: Prefix }[]
}
export type CallKind = Call['kind']

/** What a call brought: the interfaces that it concerned, as they are now. */
export interface Reply {
  readonly nics: readonly SeenNic[]
}

/**
 * Why a call failed: `throttled` and `unreachable` may be tried again as they are; `full` and `fragmented` are of the subnet,
 * `limit` of the machine; `gone`: what it named is not there; `conflict`: somebody changed it meanwhile; `ambiguous`: it may
 * have been carried out; `denied` and `invalid` need a person.
 */
export type FailureKind =
  | 'throttled'
  | 'unreachable'
  | 'full'
  | 'fragmented'
  | 'limit'
  | 'gone'
  | 'conflict'
  | 'ambiguous'
  | 'denied'
  | 'invalid'

export interface Failure {
  readonly kind: FailureKind
  /** For people: what was asked and what the cloud answered. */
  readonly message: string
  /** The cloud said when to come back, or 0. */
  readonly retryAfterMs?: number
}
