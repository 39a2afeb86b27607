/** What becomes of a node's state when a call has been answered, or has failed. Pure. */
import type { Prefix } from '../../daemon/kernel/kernel.ts'
import type { Call, Failure, NicId, Reply, SeenNic, WriteCall } from './model.ts'
import { blocksOn, withPhase } from './node-blocks.ts'
import type { BlockState, Intent, NicState, NodeState, Pending } from './node-state.ts'
import { LAG_MS, observed } from './observed.ts'

/** Rests between failures of a node double from the first to the last. */
const FIRST_REST_MS = 1000
const LONGEST_REST_MS = 300_000

export function replied(state: NodeState, id: number, reply: Reply, nowMs: number): NodeState {
  const pending = state.pending.get(id)
  if (pending === undefined) return state
  const rest = { ...without(state, id), failures: 0, failure: undefined, restUntilMs: 0 }
  return carriedOut(rest, pending, reply, nowMs)
}

export function failed(state: NodeState, id: number, failure: Failure, nowMs: number): NodeState {
  const pending = state.pending.get(id)
  if (pending === undefined) return state
  const { call } = pending
  const { doubt, undone } = consequences(failure, nowMs)
  const before = without(state, id)
  const next = undone || (failure.kind === 'gone' && call.kind === 'create') ? reverted(before, call, nowMs) : before
  const failures = state.failures + 1
  // Of the subnet others are told; the budget sees to what was throttled.
  const restMs = isOfOthers(failure) ? 0 : Math.min(LONGEST_REST_MS, FIRST_REST_MS * 2 ** Math.min(20, failures - 1))
  return {
    ...next,
    failures,
    failure,
    restUntilMs: Math.max(next.restUntilMs, nowMs + Math.max(restMs, failure.retryAfterMs ?? 0)),
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
      return { ...state, blocks: phases(state, call.blocks, 'released', nowMs) }
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

/** As before the call: it was not carried out. */
function reverted(state: NodeState, call: Call, nowMs: number): NodeState {
  switch (call.kind) {
    case 'release':
      return { ...state, blocks: phases(state, call.blocks, 'drained', nowMs) }
    case 'write':
      return {
        ...state,
        blocks: phases(
          state,
          call.remove.map(({ block }) => block),
          'drained',
          nowMs,
        ),
      }
    case 'create': {
      const intents = new Map<string, Intent>(state.intents)
      intents.delete(call.token)
      return { ...state, intents }
    }
    case 'detach': {
      const back = withNic(state, call.nic, { phase: 'ready' }, nowMs)
      const releasing = blocksOn(back, call.nic).filter(({ phase }) => phase === 'releasing')
      return {
        ...back,
        blocks: phases(
          back,
          releasing.map(({ block }) => block),
          'drained',
          nowMs,
        ),
      }
    }
    case 'assign':
    case 'attach':
    case 'protect':
    case 'delete':
    case 'observe':
      return state
  }
}

/** The reply shows the machine as it is after the write. */
function written(state: NodeState, { remove }: WriteCall, nics: readonly SeenNic[], nowMs: number): NodeState {
  const blocks = phases(
    state,
    remove.map(({ block }) => block),
    'released',
    nowMs,
  )
  const added = nics.reduce<NodeState>(
    (next, nic) => {
      const unknown = nic.blocks.filter(block => !next.blocks.has(block))
      return next.nics.has(nic.id) ? withNew(next, nic.id, unknown, nowMs) : next
    },
    { ...state, blocks },
  )
  return added
}

/** Blocks that the cloud has just given begin a new life, whatever was known of them. */
function withNew(state: NodeState, nic: NicId, given: readonly Prefix[], nowMs: number): NodeState {
  if (given.length === 0) return state
  const blocks = new Map<Prefix, BlockState>(state.blocks)
  let born = state.lastBorn
  for (const block of given)
    blocks.set(block, { block, nic, phase: 'allocatable', born: ++born, sinceMs: nowMs, missed: 0, missedMs: 0 })
  return { ...state, blocks, lastBorn: born }
}

function withMade(state: NodeState, seen: SeenNic, token: string, nowMs: number): NodeState {
  const { id, mac, subnet, addresses } = seen
  const intents = new Map<string, Intent>(state.intents)
  intents.delete(token)
  const since = { sinceMs: nowMs, missed: 0, missedMs: 0 }
  const nic: NicState = { id, mac, subnet, addresses, token, index: -1, phase: 'made', ...since }
  return withNew({ ...state, intents, nics: new Map(state.nics).set(id, nic) }, id, seen.blocks, nowMs)
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
