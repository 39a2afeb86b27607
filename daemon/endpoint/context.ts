/** What the operations on pods' interfaces share, and what they remember: `Held`, one for each key that holds anything. */
import type { Blocks } from '../datapath/blocks.ts'
import type { Family, Kernel, NetnsId } from '../kernel/kernel.ts'
import type { Lease, LinkShaper, Logger } from '../plugin.ts'
import type { Tables } from '../state/tables.ts'
import type { Attachment } from './attachment.ts'
import type { DeviceReaper } from './device-reaper.ts'
import type { Journal } from './journal.ts'
import type { KeyedMutex } from './keyed-mutex.ts'
import type { Leases } from './leases.ts'
import type { EndpointMetrics } from './metrics.ts'
import type { Fault } from './steps.ts'

/** Resolves when the datapath has what table `endpoints` held for the key at that revision; bounded by the signal. */
export type Settled = (key: string, revision: number, signal: AbortSignal) => Promise<void>

/** MTU of a pod's device and of its routes; the MTU planner's answer. */
export interface PodMtu {
  readonly device: number
  readonly route: number
  /** Planned before the cluster was known: good for new pods, no reason to change living ones. */
  readonly provisional?: boolean
}

/** What a key holds, from its first lease until the last thing of it is given back. */
export interface Held {
  readonly key: string
  leases: Lease[]
  /** Set when ADD was answered, or at restore. */
  attachment?: Attachment
}

export interface EndpointContext {
  readonly kernel: Kernel
  /** The namespace the daemon stands in, which is no pod's. */
  readonly ownNetns: NetnsId | undefined
  readonly tables: Pick<Tables, 'endpoints'>
  readonly settled: Settled
  readonly inDatapath: (attachment: Attachment) => boolean
  readonly leases: Leases
  readonly journal: Journal
  readonly reaper: DeviceReaper
  readonly locks: KeyedMutex
  readonly held: Map<string, Held>
  readonly blocks: () => Blocks
  readonly podMtu: () => PodMtu
  readonly shapers: readonly LinkShaper[]
  readonly families: readonly Family[]
  /** The highest id an attachment has had, so that a number in an old flow record does not soon mean another pod. */
  readonly ids: { last: number }
  readonly fault: Fault
  readonly log: Logger
  readonly metrics: EndpointMetrics
  /** Microseconds since 1970. */
  readonly now: () => number
}
