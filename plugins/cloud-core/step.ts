/**
 * The one way in which a node's state changes: by an event at a time, without a clock and without doing anything. The calls
 * that come back are to be made once what the state publishes has been written.
 */
import type { Family, Prefix } from '../../daemon/kernel/kernel.ts'
import { NO_ARRIVALS, withArrivals } from './arrivals.ts'
import { cancelDraining, chooseDraining } from './draining.ts'
import type { Call, CallKind, Demand, Failure, Limits, Policy, Reply, SeenNic } from './model.ts'
import { withPhase } from './node-blocks.ts'
import { type NodeState, type Pending, type Published } from './node-state.ts'
import { LAG_MS, observed } from './observed.ts'
import { plan, type World } from './plan.ts'
import { failed, replied } from './settle.ts'
import { type Life, lifeKey } from './life.ts'

export type NodeEvent =
  | { readonly kind: 'limits'; readonly limits: Limits }
  | { readonly kind: 'policy'; readonly policy: Policy }
  | DemandEvent
  /** Whatever the cloud shows of the node's machine, by a look that began then. */
  | { readonly kind: 'observed'; readonly startedMs: number; readonly nics: readonly SeenNic[] }
  /** The node may make one call of a kind. */
  | { readonly kind: 'granted'; readonly call: CallKind; readonly world: World }
  | { readonly kind: 'replied'; readonly id: number; readonly reply: Reply }
  | { readonly kind: 'failed'; readonly id: number; readonly failure: Failure }
  /** Time has passed. */
  | { readonly kind: 'tick'; readonly world: World }

/** What the node's daemon says. */
export interface DemandEvent {
  readonly kind: 'demand'
  readonly demand: ReadonlyMap<Family, Demand>
  /** Blocks of which no address is in use or cooling. */
  readonly idle: readonly Prefix[]
  /** Draining blocks of which none will be given any more. */
  readonly drained: readonly Life[]
}

export interface Stepped {
  readonly state: NodeState
  readonly calls: readonly Pending[]
}

export function step(state: NodeState, event: NodeEvent, nowMs: number): Stepped {
  switch (event.kind) {
    case 'limits':
      return silent({ ...state, limits: event.limits })
    case 'policy':
      return silent({ ...state, policy: event.policy })
    case 'demand':
      return silent(demanded(state, event, nowMs))
    case 'observed':
      return silent(observed(state, event, nowMs))
    case 'granted':
      return granted(state, event.call, event.world, nowMs)
    case 'replied':
      return silent(replied(state, event.id, event.reply, nowMs))
    case 'failed':
      return silent(failed(state, event.id, event.failure, nowMs))
    case 'tick':
      return silent(passed(state, event.world, nowMs))
  }
}

/** A node of which nothing is known yet but what a leader before has published. */
export function firstState(
  node: { readonly name: string; readonly uid: string; readonly policy: Policy },
  published: Published,
  nowMs: number,
): NodeState {
  const since = { sinceMs: nowMs, missed: 0, missedMs: 0 }
  return {
    ...node,
    limits: undefined,
    demand: new Map(),
    arrivals: NO_ARRIVALS,
    waitingSinceMs: undefined,
    idle: [],
    nics: new Map(published.nics.map(nic => [nic.id, { ...nic, ...since }])),
    blocks: new Map(published.blocks.map(block => [block.block, { ...block, ...since }])),
    intents: new Map(published.intents.map(intent => [intent.token, { ...intent, sinceMs: nowMs }])),
    pending: new Map(),
    lastCall: 0,
    lastBorn: published.lastBorn,
    lastIntent: published.lastIntent,
    observedMs: undefined,
    // What a leader before has asked for may still be carried out.
    doubtMs: isUnderWay(published) ? nowMs + LAG_MS : undefined,
    restUntilMs: 0,
    failures: 0,
    failing: undefined,
    failure: undefined,
  }
}

/** What is written down of a state. Two states with the same maps of interfaces, blocks and intents publish the same. */
export function published(state: NodeState): Published {
  return {
    nics: [...state.nics.values()].map(({ sinceMs: _since, missed: _missed, missedMs: _at, ...nic }) => nic),
    blocks: [...state.blocks.values()].map(({ block, nic, phase, born }) => ({ block, nic, phase, born })),
    intents: [...state.intents.values()].map(({ sinceMs: _since, ...intent }) => intent),
    lastBorn: state.lastBorn,
    lastIntent: state.lastIntent,
  }
}

function isUnderWay({ blocks, nics }: Published): boolean {
  return blocks.some(({ phase }) => phase === 'releasing') || nics.some(({ phase }) => phase === 'leaving')
}

function silent(state: NodeState): Stepped {
  return { state, calls: [] }
}

function demanded(state: NodeState, { demand, idle, drained }: DemandEvent, nowMs: number): NodeState {
  const [before, now] = [state.demand.get(4), demand.get(4)]
  const busy = (d: Demand | undefined): number => (d === undefined ? 0 : d.assigned + d.waiting)
  // What a leader finds when it begins has not just arrived.
  const came = before === undefined ? 0 : Math.max(0, busy(now) - busy(before))
  const waits = [...demand.values()].some(({ waiting }) => waiting > 0)
  const lives = new Set(drained.map(lifeKey))
  const confirmed = [...state.blocks.values()].filter(b => b.phase === 'draining' && lives.has(lifeKey(b)))
  return {
    ...state,
    demand,
    idle,
    arrivals: came > 0 ? withArrivals(state.arrivals, came, nowMs) : state.arrivals,
    waitingSinceMs: waits ? (state.waitingSinceMs ?? nowMs) : undefined,
    blocks:
      confirmed.length === 0
        ? state.blocks
        : withPhase(
            state.blocks,
            confirmed.map(({ block }) => ({ block, phase: 'drained' })),
            nowMs,
          ),
  }
}

/** The node's first call of that kind, if it still wants one: how much is asked for is decided now. */
function granted(state: NodeState, kind: CallKind, world: World, nowMs: number): Stepped {
  const call = plan(state, world, nowMs).find(c => c.kind === kind)
  if (call === undefined) return silent(state)
  const id = state.lastCall + 1
  const pending: Pending = { id, call, sinceMs: nowMs }
  const next = begun(state, call, nowMs)
  return { state: { ...next, lastCall: id, pending: new Map(next.pending).set(id, pending) }, calls: [pending] }
}

/** With what must be written down before the call is made. */
function begun(state: NodeState, call: Call, nowMs: number): NodeState {
  switch (call.kind) {
    case 'create': {
      if (state.intents.has(call.token)) return state
      const { token, subnet, length, count } = call
      const intents = new Map(state.intents).set(token, { token, subnet, length, count, sinceMs: nowMs })
      return { ...state, intents, lastIntent: state.lastIntent + 1 }
    }
    case 'detach':
      return leaving(state, call.nic, nowMs)
    case 'release':
      return releasing(state, call.blocks, nowMs)
    case 'write':
      return releasing(
        state,
        call.remove.map(({ block }) => block),
        nowMs,
      )
    case 'delete':
      return deleting(state, call.nic, nowMs)
    case 'assign':
    case 'attach':
    case 'protect':
    case 'observe':
      return state
  }
}

/** One that could not be attached is not to be attached any more. */
function deleting(state: NodeState, id: string, nowMs: number): NodeState {
  const nic = state.nics.get(id)
  if (nic === undefined || nic.phase === 'detached') return state
  const nics = new Map(state.nics).set(id, { ...nic, phase: 'detached', sinceMs: nowMs, missed: 0, missedMs: 0 })
  return { ...state, nics }
}

function leaving(state: NodeState, id: string, nowMs: number): NodeState {
  const nic = state.nics.get(id)
  if (nic === undefined || nic.phase === 'leaving') return state
  const nics = new Map(state.nics).set(id, { ...nic, phase: 'leaving', sinceMs: nowMs, missed: 0, missedMs: 0 })
  const blocks = [...state.blocks.values()].filter(b => b.nic === id && b.phase === 'drained').map(({ block }) => block)
  return { ...releasing(state, blocks, nowMs), nics }
}

/** Those that were asked for before stay as they are: since when tells whether this request is the first. */
function releasing(state: NodeState, blocks: readonly Prefix[], nowMs: number): NodeState {
  const first = blocks.filter(block => state.blocks.get(block)?.phase === 'drained')
  if (first.length === 0) return state
  return {
    ...state,
    blocks: withPhase(
      state.blocks,
      first.map(block => ({ block, phase: 'releasing' })),
      nowMs,
    ),
  }
}

function passed(state: NodeState, world: World, nowMs: number): NodeState {
  const wanted = cancelDraining(state, world, nowMs)
  return world.releases ? chooseDraining(wanted, world, nowMs) : wanted
}
