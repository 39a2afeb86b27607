/**
 * What a look at the cloud changes. Clouds answer late: a look that began soon after a change may not show it, so what it
 * lacks counts only after a while, and what has been given back must be lacking twice. Pure.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Prefix } from '../../daemon/kernel/kernel.ts'
import type { Failure, NicId, SeenNic } from './model.ts'
import type { BlockState, Intent, NicPhase, NicState, NodeState } from './node-state.ts'
import { restMs } from './rest.ts'

/** A look that begins so long after a change shows it. EC2 gives no figure; changes are mostly seen within a second or two. */
export const LAG_MS = 10_000
/** So many looks must lack something before it is gone. */
const GONE_AFTER = 2

/** After something that works. */
export const WELL = { failures: 0, failing: undefined, failure: undefined, restUntilMs: 0 } as const

export interface Look {
  readonly startedMs: number
  /** Interfaces of the node's machine, and those that are tagged with the node. */
  readonly nics: readonly SeenNic[]
}

export function observed(state: NodeState, look: Look, nowMs: number): NodeState {
  if (state.observedMs !== undefined && look.startedMs < state.observedMs) return state
  const cleared = state.doubtMs !== undefined && look.startedMs >= state.doubtMs
  const { nics, intents } = mergeNics(state, look, nowMs)
  const { blocks, lastBorn } = mergeBlocks({ ...state, nics }, look, nowMs)
  const next: NodeState = {
    ...state,
    ...(state.failing === 'observe' ? WELL : {}),
    // What has not changed stays the same object: whoever publishes it goes by that.
    nics: same(state.nics, nics) ? state.nics : nics,
    blocks: same(state.blocks, blocks) ? state.blocks : blocks,
    intents: intents.size === state.intents.size ? state.intents : intents,
    lastBorn,
    observedMs: look.startedMs,
    doubtMs: cleared ? undefined : state.doubtMs,
  }
  return [...nics.values()].some(({ index }) => index === 0) ? next : unseen(next, state.failures + 1, nowMs)
}

/** Every machine has a first interface: where none is shown the machine is gone, or so new that looks do not show it. */
function unseen(state: NodeState, failures: number, nowMs: number): NodeState {
  const failure: Failure = { kind: 'gone', message: 'the cloud shows no interface of the machine' }
  const restUntilMs = Math.max(state.restUntilMs, nowMs + restMs(failures))
  return { ...state, observedMs: undefined, failing: 'observe', failures, failure, restUntilMs }
}

function mergeNics(state: NodeState, { startedMs, nics: seen }: Look, nowMs: number) {
  const nics = new Map<NicId, NicState>()
  const intents = new Map<string, Intent>(state.intents)
  for (const nic of seen) {
    const before = state.nics.get(nic.id)
    // One that nobody remembers and that is attached to nothing is a leftover, which is dealt with elsewhere.
    if (before === undefined && nic.status === 'available' && !intents.has(nic.token)) continue
    intents.delete(nic.token)
    nics.set(nic.id, merged(before, nic, startedMs, nowMs))
  }
  for (const before of state.nics.values()) {
    if (nics.has(before.id)) continue
    const lacking = missedOnce(before, startedMs)
    const gone = lacking.missed >= GONE_AFTER || (before.phase === 'detached' && lacking.missed > 0)
    if (!gone) nics.set(before.id, lacking)
  }
  return { nics, intents }
}

function merged(before: NicState | undefined, seen: SeenNic, startedMs: number, nowMs: number): NicState {
  const { id, mac, subnet, token, addresses } = seen
  const shown = phaseShown(seen, before?.phase)
  // Until it must show, a change that was made is believed more than a look.
  const early = before !== undefined && startedMs < before.sinceMs + LAG_MS && RANK[shown] < RANK[before.phase]
  const phase = early ? before.phase : shown
  const index = early ? before.index : phase === 'made' || phase === 'detached' ? -1 : seen.index
  const changed = before?.phase !== phase
  const sinceMs = changed ? nowMs : before.sinceMs
  const nic: NicState = { id, mac, subnet, token, addresses, index, phase, sinceMs, missed: 0, missedMs: 0 }
  return isDeepStrictEqual(nic, before) ? (before ?? nic) : nic
}

/** How far along its way an interface is. */
const RANK: Readonly<Record<NicPhase, number>> = { foreign: 0, made: 1, attached: 2, ready: 3, leaving: 4, detached: 5 }

function phaseShown(seen: SeenNic, before: NicPhase | undefined): NicPhase {
  const free = seen.status === 'available'
  if (!seen.forPods) return 'foreign'
  if (before === 'leaving' || before === 'detached') return free ? 'detached' : 'leaving'
  if (free) return 'made'
  if (seen.status === 'detaching') return 'leaving'
  return seen.token !== '' && !seen.deletedWithMachine ? 'attached' : 'ready'
}

function mergeBlocks(state: NodeState, { startedMs, nics }: Look, nowMs: number) {
  const blocks = new Map<Prefix, BlockState>()
  let born = state.lastBorn
  const shown = new Map(nics.map(nic => [nic.id, new Set(nic.blocks)]))
  for (const before of state.blocks.values()) {
    const next =
      shown.get(before.nic)?.has(before.block) === true
        ? shownAgain(before, startedMs, nowMs)
        : lacking(before, state, startedMs)
    if (next !== undefined) blocks.set(before.block, next)
  }
  for (const [nic, on] of shown) {
    const phase = state.nics.get(nic)?.phase
    if (phase === undefined || phase === 'foreign') continue
    for (const block of on)
      if (!blocks.has(block))
        blocks.set(block, { block, nic, phase: 'allocatable', born: ++born, sinceMs: nowMs, missed: 0, missedMs: 0 })
  }
  return { blocks, lastBorn: born }
}

/** Still there though it was given back, after so long: the cloud has given it anew, to a request that was answered late or never. */
function shownAgain(before: BlockState, startedMs: number, nowMs: number): BlockState {
  const late = startedMs >= before.sinceMs + LAG_MS
  if (late && before.phase === 'released')
    return { ...before, phase: 'releasing', sinceMs: nowMs, missed: 0, missedMs: 0 }
  return before.missed === 0 ? before : { ...before, missed: 0, missedMs: 0 }
}

/** Undefined once it is gone. */
function lacking(before: BlockState, state: NodeState, startedMs: number): BlockState | undefined {
  const next = missedOnce(before, startedMs)
  // With its interface goes what was on it, but not what is still to be seen gone.
  if (next.missed >= GONE_AFTER) return undefined
  if (!state.nics.has(before.nic) && before.phase !== 'released' && before.phase !== 'releasing') return undefined
  return next
}

/** With that look counted, if it began late enough. */
function missedOnce<T extends Pick<BlockState, 'sinceMs' | 'missed' | 'missedMs'>>(before: T, startedMs: number): T {
  const from = before.missed === 0 ? before.sinceMs : before.missedMs
  return startedMs < from + LAG_MS ? before : { ...before, missed: before.missed + 1, missedMs: startedMs }
}

function same<K, V>(a: ReadonlyMap<K, V>, b: ReadonlyMap<K, V>): boolean {
  if (a.size !== b.size) return false
  for (const [key, value] of a) if (b.get(key) !== value) return false
  return true
}
