/** What becomes of a node's state when a call has been answered, or has failed. Pure. */
import type { Prefix } from '../../daemon/kernel/kernel.ts'
import type { Failure, FailureKind, NicId, Reply, SeenNic, WriteCall } from './model.ts'
import { blocksOn, withPhase } from './node-blocks.ts'
import type { BlockState, Intent, NicState, NodeState, Pending } from './node-state.ts'
import { LAG_MS, observed, WELL } from './observed.ts'
import { restMs } from './rest.ts'

export function replied(state: NodeState, id: number, reply: Reply, nowMs: number): NodeState {
  const pending = state.pending.get(id)
  if (pending === undefined) return state
  // That a look has been had does not mean that changes work.
  const well = pending.call.kind === 'observe' ? {} : WELL
  return carriedOut({ ...without(state, id), ...well }, pending, reply, nowMs)
}

export function failed(state: NodeState, id: number, failure: Failure, nowMs: number): NodeState {
  const pending = state.pending.get(id)
  if (pending === undefined) return state
  const { call } = pending
  const { doubt, undone } = consequences(failure, nowMs)
  const before = without(state, id)
  const next =
    undone || (failure.kind === 'gone' && call.kind === 'create') ? reverted(before, pending, failure, nowMs) : before
  const failures = state.failures + 1
  // Of the subnet others are told; the budget sees to what was throttled.
  const rest = isOfOthers(failure) ? 0 : restMs(failures)
  return {
    ...next,
    failures,
    failing: call.kind,
    failure,
    restUntilMs: Math.max(next.restUntilMs, nowMs + Math.max(rest, failure.retryAfterMs ?? 0)),
    doubtMs: doubt === undefined ? next.doubtMs : Math.max(doubt, next.doubtMs ?? 0),
  }
}

function isOfOthers({ kind }: Failure): boolean {
  return kind === 'full' || kind === 'fragmented' || kind === 'throttled'
}

/** Whether the call is known not to have been carried out, and from when on a look must begin that tells. */
function consequences({ kind }: Failure, nowMs: number): { readonly undone: boolean; readonly doubt?: number } {
  switch (kind) {
    case 'throttled':
    case 'unreachable':
    case 'full':
    case 'fragmented':
    case 'denied':
    case 'invalid':
      return { undone: true }
    case 'limit':
    case 'conflict':
      return { undone: true, doubt: nowMs }
    case 'gone':
      return { undone: false, doubt: nowMs }
    case 'ambiguous':
      return { undone: false, doubt: nowMs + LAG_MS }
  }
}

function carriedOut(state: NodeState, { call, sinceMs }: Pending, { nics }: Reply, nowMs: number): NodeState {
  switch (call.kind) {
    case 'observe':
      return observed(state, { startedMs: sinceMs, nics }, nowMs)
    case 'write':
      return written(state, call, nics, nowMs)
    case 'assign':
      return withNew(state, call.nic, blocksOf(nics, call.nic), nowMs)
    case 'release':
      return { ...state, blocks: given(state, call.blocks, nowMs) }
    case 'create':
      return nics.reduce((made, nic) => withMade(made, nic, call.token, nowMs), state)
    case 'attach':
      return withNic(state, call.nic, { phase: 'attached', index: call.index }, nowMs)
    case 'protect':
      return withNic(state, call.nic, { phase: 'ready' }, nowMs)
    case 'detach':
      return withNic(state, call.nic, { phase: 'detached' }, nowMs)
    case 'delete':
      return withoutNic(state, call.nic, nowMs)
  }
}

/**
 * As before the call, which was not carried out. What an earlier call had asked for, too, may have been by that one: it stays
 * asked for.
 */
function reverted(state: NodeState, { call, sinceMs }: Pending, { kind }: Failure, nowMs: number): NodeState {
  switch (call.kind) {
    case 'release':
      return kept(state, call.blocks, sinceMs, nowMs)
    case 'write':
      return kept(
        state,
        call.remove.map(({ block }) => block),
        sinceMs,
        nowMs,
      )
    case 'create':
      return state.intents.get(call.token)?.sinceMs === sinceMs || ENDS_INTENT.has(kind)
        ? withoutIntent(state, call.token)
        : state
    case 'detach': {
      if (state.nics.get(call.nic)?.sinceMs !== sinceMs) return state
      const back = withNic(state, call.nic, { phase: 'ready' }, nowMs)
      const blocks = blocksOn(back, call.nic).map(({ block }) => block)
      return kept(back, blocks, sinceMs, nowMs)
    }
    case 'assign':
    case 'attach':
    case 'protect':
    case 'delete':
    case 'observe':
      return state
  }
}

/** Had an interface been made for the token, the answer would have been that. */
const ENDS_INTENT: ReadonlySet<FailureKind> = new Set(['full', 'fragmented', 'limit', 'invalid', 'gone'])

/** Of those that the cloud was asked to take back for the first time then. */
function kept(state: NodeState, blocks: readonly Prefix[], sinceMs: number, nowMs: number): NodeState {
  const first = blocks.filter(block => {
    const known = state.blocks.get(block)
    return known?.phase === 'releasing' && known.sinceMs === sinceMs
  })
  return { ...state, blocks: phases(state, first, 'drained', nowMs) }
}

/** Those that were to go have gone; one that the cloud has given anew meanwhile has not. */
function given(state: NodeState, blocks: readonly Prefix[], nowMs: number): NodeState['blocks'] {
  const gone = blocks.filter(block => state.blocks.get(block)?.phase === 'releasing')
  return phases(state, gone, 'released', nowMs)
}

/** The reply shows the machine as it is after the write. */
function written(state: NodeState, { remove }: WriteCall, nics: readonly SeenNic[], nowMs: number): NodeState {
  const removed = remove.map(({ block }) => block)
  return nics.reduce<NodeState>(
    (next, nic) => {
      // One that was taken back, by this write too, and is there has been given again.
      const came = nic.blocks.filter(block => (next.blocks.get(block)?.phase ?? 'released') === 'released')
      return next.nics.has(nic.id) ? withNew(next, nic.id, came, nowMs) : next
    },
    { ...state, blocks: given(state, removed, nowMs) },
  )
}

/**
 * Blocks that the cloud has just given begin a new life. One that a look has shown before the answer came has begun it; one
 * that is still asked to be taken back may be taken by that, and goes its way.
 */
function withNew(state: NodeState, nic: NicId, came: readonly Prefix[], nowMs: number): NodeState {
  if (came.length === 0) return state
  const blocks = new Map<Prefix, BlockState>(state.blocks)
  let born = state.lastBorn
  const since = { sinceMs: nowMs, missed: 0, missedMs: 0 }
  for (const block of came) {
    const before = blocks.get(block)
    if (before?.nic !== nic || before.phase === 'released')
      blocks.set(block, { block, nic, phase: 'allocatable', born: ++born, ...since })
  }
  return { ...state, blocks, lastBorn: born }
}

/** One that a look has shown before may be further on its way already. */
function withMade(state: NodeState, seen: SeenNic, token: string, nowMs: number): NodeState {
  const { id, mac, subnet, addresses } = seen
  const without = withoutIntent(state, token)
  if (state.nics.has(id)) return withNew(without, id, seen.blocks, nowMs)
  const since = { sinceMs: nowMs, missed: 0, missedMs: 0 }
  const nic: NicState = { id, mac, subnet, addresses, token, index: -1, phase: 'made', ...since }
  return withNew({ ...without, nics: new Map(state.nics).set(id, nic) }, id, seen.blocks, nowMs)
}

function withoutIntent(state: NodeState, token: string): NodeState {
  const intents = new Map<string, Intent>(state.intents)
  return intents.delete(token) ? { ...state, intents } : state
}

function withNic(state: NodeState, id: NicId, change: Partial<NicState>, nowMs: number): NodeState {
  const before = state.nics.get(id)
  if (before === undefined) return state
  const nic = { ...before, ...change, sinceMs: nowMs, missed: 0, missedMs: 0 }
  return { ...state, nics: new Map(state.nics).set(id, nic) }
}

function withoutNic(state: NodeState, id: NicId, nowMs: number): NodeState {
  const nics = new Map<NicId, NicState>(state.nics)
  nics.delete(id)
  const left = blocksOn(state, id).map(({ block }) => block)
  return { ...state, nics, blocks: phases(state, left, 'released', nowMs) }
}

function without(state: NodeState, id: number): NodeState {
  const pending = new Map<number, Pending>(state.pending)
  pending.delete(id)
  return { ...state, pending }
}

function phases(state: NodeState, blocks: readonly Prefix[], phase: BlockState['phase'], nowMs: number) {
  return blocks.length === 0
    ? state.blocks
    : withPhase(
        state.blocks,
        blocks.map(block => ({ block, phase })),
        nowMs,
      )
}

function blocksOf(nics: readonly SeenNic[], id: NicId): readonly Prefix[] {
  return nics.filter(nic => nic.id === id).flatMap(nic => nic.blocks)
}
