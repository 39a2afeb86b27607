/** What the leader knows of one node's addresses, and what it publishes of it. */
import type { Address, Family, Prefix } from '../../daemon/kernel/kernel.ts'
import type { Arrivals } from './arrivals.ts'
import type { Call, CallKind, Demand, Failure, Limits, NicId, Policy, SubnetId } from './model.ts'

/**
 * The way of a block: pods may get its addresses; the node was asked to give no more of them; the node has said that it
 * does not and that none is in use; the cloud was asked to take it back; it was, and must be seen gone. Once the cloud may
 * have been asked there is no way back: the request may be carried out late, whoever made it.
 */
export type BlockPhase = 'allocatable' | 'draining' | 'drained' | 'releasing' | 'released'

export interface BlockState {
  readonly block: Prefix
  readonly nic: NicId
  readonly phase: BlockPhase
  /** Which of those that ever had this text it is: an answer of the node's to an earlier one does not count. */
  readonly born: number
  /** Since when the phase. */
  readonly sinceMs: number
  /** Observations in a row that lacked it, each begun so long after the one before that it is no echo of that. */
  readonly missed: number
  /** When the last of them began. */
  readonly missedMs: number
}

/**
 * The way of an interface: made; attached; to be deleted with its machine, and so ready; to be given back; detached, to be
 * deleted. Somebody else's only takes up room.
 */
export type NicPhase = 'made' | 'attached' | 'ready' | 'leaving' | 'detached' | 'foreign'

export interface NicState {
  readonly id: NicId
  readonly mac: string
  readonly subnet: SubnetId
  readonly index: number
  readonly addresses: readonly Address[]
  readonly phase: NicPhase
  /** Of the request that made it; empty when it was not this project that did. */
  readonly token: string
  readonly sinceMs: number
  /** As of blocks. */
  readonly missed: number
  readonly missedMs: number
}

/** A call under way. */
export interface Pending {
  readonly id: number
  readonly call: Call
  readonly sinceMs: number
}

/** An interface that was asked for and has not been seen: written down before the call, asked for again with its token. */
export interface Intent {
  readonly token: string
  readonly subnet: SubnetId
  readonly length: number
  readonly count: number
  readonly sinceMs: number
}

export interface NodeState {
  readonly name: string
  /** Of the Node; tokens are made of it. */
  readonly uid: string
  readonly limits: Limits | undefined
  readonly policy: Policy
  readonly demand: ReadonlyMap<Family, Demand>
  readonly arrivals: Arrivals
  /** Since when requests have waited; undefined while none does. */
  readonly waitingSinceMs: number | undefined
  /** Blocks that the node has seen idle, oldest first. */
  readonly idle: readonly Prefix[]
  readonly nics: ReadonlyMap<NicId, NicState>
  readonly blocks: ReadonlyMap<Prefix, BlockState>
  readonly intents: ReadonlyMap<string, Intent>
  readonly pending: ReadonlyMap<number, Pending>
  /** Numbers given so far: of calls, of blocks' lives and of interfaces that were asked for. */
  readonly lastCall: number
  readonly lastBorn: number
  readonly lastIntent: number
  /** When the newest observation began; undefined before the first. */
  readonly observedMs: number | undefined
  /** From when on an observation must have begun before anything else is changed; undefined while nothing is in doubt. */
  readonly doubtMs: number | undefined
  /** Nothing is tried before. */
  readonly restUntilMs: number
  readonly failures: number
  /** What the last failed call was. */
  readonly failing: CallKind | undefined
  /** The last one, until something succeeds. */
  readonly failure: Failure | undefined
}

/** What a node's NodeNetwork says: what its daemon goes by, and what a new leader begins with. */
export interface Published {
  readonly nics: readonly Pick<NicState, 'id' | 'mac' | 'subnet' | 'index' | 'addresses' | 'phase' | 'token'>[]
  readonly blocks: readonly Pick<BlockState, 'block' | 'nic' | 'phase' | 'born'>[]
  readonly intents: readonly Omit<Intent, 'sinceMs'>[]
  readonly lastBorn: number
  readonly lastIntent: number
}

export const NOTHING_PUBLISHED: Published = { nics: [], blocks: [], intents: [], lastBorn: 0, lastIntent: 0 }
