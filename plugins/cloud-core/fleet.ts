/**
 * All nodes of one cloud: whose turn it is when budgets allow a call, and what a look at everything means for each. Without
 * a clock and without I/O: times are given, and what is to be done comes out of `take`. Whoever carries it out writes what
 * a node publishes before it makes the node's calls, and tells the fleet what became of them.
 */
import { arrives } from './arrivals.ts'
import { Composure, type Mode } from './composure.ts'
import { Due } from './due.ts'
import { Leftovers } from './leftovers.ts'
import { byNeed, type Need, needOf } from './by-need.ts'
import { type CallKind, type Failure, type Limits, type NicId, type Policy, type Reply } from './model.ts'
import { isIn } from './node-blocks.ts'
import type { NodeState, Pending, Published } from './node-state.ts'
import { laterMs, plan, shortage, type World } from './plan.ts'
import type { Budget, Sweep } from './provider.ts'
import { type DemandEvent, firstState, type NodeEvent, published, step } from './step.ts'
import { Subnets } from './subnets.ts'
import { GROWING, Turns } from './turns.ts'

export interface FleetOptions {
  readonly budget: (kind: CallKind | 'sweep') => Budget
  /** Looks at everything come so often, a quarter more or less. */
  readonly sweepMs: number
  /** From 0 up to 1. */
  readonly random: () => number
  /** Whoever led before has not called for so long, and so budgets have filled; by default for long enough. */
  readonly quietMs?: number
  /** Called for each call that had its turn, with how long it waited. */
  readonly onTurn?: ((kind: CallKind, waitedMs: number) => void) | undefined
}

export interface FleetNode {
  readonly name: string
  readonly uid: string
  /** As the cloud calls it. */
  readonly machine: string
  readonly policy: Policy
  /** Subnets that its new interfaces may be in. */
  readonly subnets: readonly string[]
}

/** What is to be done for a node: first to publish, then to call. */
export interface NodeWork {
  readonly node: string
  readonly publish: Published | undefined
  readonly calls: readonly Pending[]
}

export interface Work {
  readonly nodes: readonly NodeWork[]
  readonly leftovers: readonly NicId[]
  /** Nodes whose limits are to be found out. */
  readonly limits: readonly string[]
  readonly sweep: boolean
}

/** Demands that come one after another are answered together. */
const WINDOW_MS = 20
/** So long a call takes, about, besides waiting for its turn. */
const CALL_MS = 1000
/** So many nodes that are to be looked at are looked at by a sweep. */
const SWEEP_FROM = 8
const LIMITS_RETRY_MS = 30_000
const COUNT_MS = 1000
/** More than a node makes. */
const CALLS_OF_LIFE = 2 ** 32

interface Member {
  readonly node: FleetNode
  state: NodeState
  /** As of when its plan was made. */
  need: Need
  /** What was published last. */
  told: NodeState | undefined
}

export class Fleet {
  readonly #options: FleetOptions
  readonly #members = new Map<string, Member>()
  readonly #turns: Turns
  readonly #subnets = new Subnets()
  readonly #leftovers = new Leftovers()
  readonly #composure = new Composure()
  /** Nodes whose plan is to be made anew, and when. */
  readonly #due = new Due()
  /** Nodes that may have something to publish. */
  readonly #changed = new Set<string>()
  readonly #unlimited = new Map<string, number>()
  #counted = { atMs: -Infinity, growing: 0 }
  #sweepDueMs: number
  #sweeping = false
  /** Nodes that the look at everything which is under way is about: of others it may show nothing. */
  #lookedAt = new Set<string>()
  #swept = true
  #lives = 0

  constructor(options: FleetOptions, nowMs: number) {
    this.#options = options
    this.#turns = new Turns(options.budget, nowMs, options.quietMs ?? Infinity)
    this.#sweepDueMs = nowMs
  }

  get nodes(): readonly { readonly node: FleetNode; readonly state: NodeState }[] {
    return [...this.#members.values()]
  }
  state(name: string): NodeState | undefined {
    return this.#members.get(name)?.state
  }
  get subnets(): Subnets {
    return this.#subnets
  }
  get leftovers(): number {
    return this.#leftovers.count
  }
  mode(nowMs: number): Mode {
    return this.#composure.mode(nowMs)
  }
  /** The last error of the cloud while there are only errors. */
  get failure(): Failure | undefined {
    return this.#composure.failure
  }
  /** Budgets, and who waits for which. */
  get turns(): Turns {
    return this.#turns
  }
  shortage(name: string, nowMs: number): ReturnType<typeof shortage> {
    const member = this.#members.get(name)
    return member && shortage(member.state, this.#world(member.node, nowMs), nowMs)
  }

  /** A node that is new, or that is to have another policy or other subnets. */
  put(node: FleetNode, before: Published, nowMs: number): void {
    const member = this.#members.get(node.name)
    if (member?.node.uid === node.uid && member.node.machine === node.machine) {
      this.#members.set(node.name, { ...member, node })
      this.#apply(node.name, { kind: 'policy', policy: node.policy }, nowMs)
      return
    }
    // An answer to a node that was there before under this name must not be taken for this one's.
    const state = { ...firstState(node, before, nowMs), lastCall: this.#lives++ * CALLS_OF_LIFE }
    this.#lookedAt.delete(node.name)
    this.#members.set(node.name, { node, state, need: needOf(state, 0, nowMs), told: state })
    this.#unlimited.set(node.name, nowMs)
    this.#due.at(node.name, nowMs)
  }

  /** What it leaves in the cloud is collected by later looks. */
  delete(name: string): void {
    this.#members.delete(name)
    this.#unlimited.delete(name)
    this.#due.delete(name)
    this.#turns.want(name, new Set(), 0)
  }

  /** What the node was to publish last could not be written: it is to be published again, whatever changes. */
  unpublished(name: string, nowMs: number): void {
    const member = this.#members.get(name)
    if (member === undefined) return
    member.told = undefined
    this.#due.at(name, nowMs)
  }

  demand(name: string, event: DemandEvent, nowMs: number): void {
    this.#apply(name, event, nowMs)
  }

  limits(name: string, limits: Limits | Failure, nowMs: number): void {
    if ('kind' in limits) {
      if (this.#members.has(name)) this.#unlimited.set(name, nowMs + LIMITS_RETRY_MS)
    } else this.#apply(name, { kind: 'limits', limits }, nowMs)
  }

  replied(name: string, id: number, reply: Reply, nowMs: number): void {
    this.#settled(name, id, undefined, nowMs)
    this.#apply(name, { kind: 'replied', id, reply }, nowMs)
  }

  failed(name: string, id: number, failure: Failure, nowMs: number): void {
    this.#settled(name, id, failure, nowMs)
    this.#apply(name, { kind: 'failed', id, failure }, nowMs)
  }

  swept({ nics, subnets, machines }: Sweep, startedMs: number, nowMs: number): void {
    this.#sweepEnded(undefined, nowMs)
    const changed = this.#subnets.saw(subnets)
    const byMachine = Map.groupBy(nics, nic => nic.machine)
    const byNode = Map.groupBy(
      nics.filter(nic => nic.machine === ''),
      nic => nic.node,
    )
    const seen = machines && new Set(machines)
    for (const member of this.#members.values()) {
      const { name, machine } = member.node
      // Of one that has joined since, or whose account could not be looked at, the look says nothing.
      if (!this.#lookedAt.has(name) || seen?.has(machine) === false) continue
      const own = [...(byMachine.get(machine) ?? []), ...(byNode.get(name) ?? [])]
      this.#apply(name, { kind: 'observed', startedMs, nics: own }, nowMs)
      // With an interface the ranges of its subnet are published.
      if (isIn(member.state, changed)) member.told = undefined
    }
    this.#leftovers.look(nics, new Map([...this.#members].map(([name, { state }]) => [name, state])), startedMs)
  }

  sweepFailed(failure: Failure, nowMs: number): void {
    this.#sweepEnded(failure, nowMs)
  }

  leftoverSettled(id: NicId, failure: Failure | undefined, nowMs: number): void {
    this.#count('delete', failure, nowMs)
    this.#leftovers.settled(id, failure === undefined || failure.kind === 'gone')
  }

  /** When `take` has something to say without anything else happening; undefined when never. */
  nextMs(nowMs: number): number {
    let next = this.#sweeping ? Infinity : Math.max(this.#sweepDueMs, this.#turns.bucket('sweep', nowMs).readyMs(nowMs))
    next = Math.min(next, this.#due.nextMs() ?? Infinity)
    for (const kind of this.#turns.kinds())
      if (this.#mayMake(kind, nowMs)) next = Math.min(next, this.#turns.bucket(kind, nowMs).readyMs(nowMs))
    if (this.#leftovers.due) next = Math.min(next, this.#turns.bucket('delete', nowMs).readyMs(nowMs))
    for (const atMs of this.#unlimited.values()) next = Math.min(next, atMs)
    return Math.max(nowMs, next)
  }

  /** All that is to be done now; it is under way from here on. */
  take(nowMs: number): Work {
    for (const name of this.#due.take(nowMs)) this.#replan(name, nowMs)
    const sweep = this.#takeSweep(nowMs)
    const calls = new Map<string, Pending[]>()
    for (const kind of this.#turns.kinds()) this.#grant(kind, calls, nowMs)
    const leftovers = this.#takeLeftovers(nowMs)
    return { nodes: this.#work(calls), leftovers, limits: this.#takeUnlimited(nowMs), sweep }
  }

  #apply(name: string, event: NodeEvent, nowMs: number): void {
    const member = this.#members.get(name)
    if (member === undefined) return
    const { state } = step(member.state, event, nowMs)
    member.state = state
    if (!this.#sweeping && this.#subnets.seek(state)) this.#sweepDueMs = nowMs
    const soon = event.kind === 'demand' ? nowMs + WINDOW_MS : nowMs
    this.#due.at(name, soon)
  }

  /** Lets time pass for a node and finds out what it wants. */
  #replan(name: string, nowMs: number): void {
    const member = this.#members.get(name)
    if (member === undefined) return
    this.#changed.add(name)
    const world = this.#world(member.node, nowMs)
    member.state = step(member.state, { kind: 'tick', world }, nowMs).state
    this.#turns.want(name, new Set(plan(member.state, world, nowMs).map(({ kind }) => kind)), nowMs)
    member.need = needOf(member.state, world.refillMs, nowMs)
    const later = laterMs(member.state, nowMs)
    if (later !== undefined) this.#due.at(name, later)
  }

  #grant(kind: CallKind, calls: Map<string, Pending[]>, nowMs: number): void {
    if (!this.#mayMake(kind, nowMs)) return
    const bucket = this.#turns.bucket(kind, nowMs)
    const reserve = this.#turns.reserve(kind)
    let growing = GROWING.has(kind) ? this.#composure.growthCalls(nowMs) : Infinity
    if (bucket.tokens(nowMs) <= reserve) return
    for (const member of byNeed(this.#wanting(kind))) {
      const world = this.#world(member.node, nowMs)
      while (growing > 0 && bucket.tokens(nowMs) > reserve) {
        const next = step(member.state, { kind: 'granted', call: kind, world }, nowMs)
        if (next.calls.length === 0) break
        bucket.take(nowMs, reserve)
        this.#options.onTurn?.(kind, this.#turns.had(member.node.name, kind, nowMs))
        member.state = next.state
        calls.set(member.node.name, [...(calls.get(member.node.name) ?? []), ...next.calls])
        growing--
        if (GROWING.has(kind)) this.#composure.grew(nowMs)
      }
      this.#replan(member.node.name, nowMs)
      if (growing <= 0 || bucket.tokens(nowMs) <= reserve) return
    }
  }

  #wanting(kind: CallKind): Member[] {
    const members: Member[] = []
    for (const name of this.#turns.wanting.get(kind)?.keys() ?? []) {
      const member = this.#members.get(name)
      if (member !== undefined) members.push(member)
    }
    return members
  }

  #work(calls: ReadonlyMap<string, readonly Pending[]>): NodeWork[] {
    const work: NodeWork[] = []
    const changed = [...this.#changed].sort()
    this.#changed.clear()
    for (const name of changed) {
      const member = this.#members.get(name)
      if (member === undefined) continue
      const made = calls.get(name) ?? []
      const news = member.told === undefined || publishesOther(member.told, member.state)
      if (!news && made.length === 0) continue
      work.push({ node: name, publish: news ? published(member.state) : undefined, calls: made })
      member.told = member.state
    }
    return work
  }

  #takeSweep(nowMs: number): boolean {
    if (this.#sweeping) return false
    // After one that failed nodes are looked at one by one.
    const many = this.#swept && this.#turns.count('observe') >= SWEEP_FROM
    if (nowMs < this.#sweepDueMs && !many) return false
    if (!this.#turns.bucket('sweep', nowMs).take(nowMs)) return false
    this.#sweeping = true
    this.#lookedAt = new Set(this.#members.keys())
    return true
  }

  #sweepEnded(failure: Failure | undefined, nowMs: number): void {
    this.#sweeping = false
    this.#count('sweep', failure, nowMs)
    this.#swept = failure === undefined
    const share = failure === undefined ? 0.75 + this.#options.random() / 2 : 0.1
    this.#sweepDueMs = nowMs + Math.floor(this.#options.sweepMs * share)
  }

  #takeLeftovers(nowMs: number): readonly NicId[] {
    if (this.#composure.mode(nowMs) !== 'normal') return []
    return this.#leftovers.take(() => this.#turns.bucket('delete', nowMs).take(nowMs))
  }

  #takeUnlimited(nowMs: number): string[] {
    const taken = [...this.#unlimited].filter(([, atMs]) => atMs <= nowMs).map(([name]) => name)
    for (const name of taken) this.#unlimited.delete(name)
    return taken
  }

  #settled(name: string, id: number, failure: Failure | undefined, nowMs: number): void {
    const state = this.#members.get(name)?.state
    const call = state?.pending.get(id)?.call
    if (state === undefined || call === undefined) return
    this.#count(call.kind, failure, nowMs)
    const again = failure && this.#subnets.failed(state, call, failure, nowMs)
    // Whoever could not have some of it since wants it then.
    if (again !== undefined)
      for (const other of this.#members.keys()) this.#due.at(other, other === name ? nowMs : again)
  }

  #count(kind: CallKind | 'sweep', failure: Failure | undefined, nowMs: number): void {
    const bucket = this.#turns.bucket(kind, nowMs)
    if (failure?.kind === 'throttled') bucket.throttled(nowMs, failure.retryAfterMs)
    else bucket.answered()
    if (failure === undefined) this.#composure.answered()
    else this.#composure.failed(failure, nowMs)
  }

  /** While everything is being looked at, nobody is looked at alone. */
  #mayMake(kind: CallKind, nowMs: number): boolean {
    if (kind === 'observe') return !this.#sweeping
    return !GROWING.has(kind) || this.#composure.growthCalls(nowMs) > 0
  }

  #world(node: FleetNode, nowMs: number): World {
    const mode = this.#composure.mode(nowMs)
    return {
      subnets: this.#subnets.all,
      choices: this.#subnets.byRoom(node.subnets),
      refillMs: this.#refillMs(nowMs),
      growth: this.#composure.growthCalls(nowMs) > 0,
      releases: mode === 'normal',
    }
  }

  /** When a node that gets a call now can get the next: all that grow take turns. */
  #refillMs(nowMs: number): number {
    return CALL_MS + this.#turns.waitMs(this.#growing(nowMs), nowMs)
  }

  /** Nodes that pods have come to lately; counted once a second, for there may be thousands. */
  #growing(nowMs: number): number {
    if (nowMs - this.#counted.atMs >= COUNT_MS) {
      let growing = 0
      for (const { state } of this.#members.values()) if (arrives(state.arrivals, nowMs)) growing++
      this.#counted = { atMs: nowMs, growing }
    }
    return this.#counted.growing
  }
}

function publishesOther(a: NodeState, b: NodeState): boolean {
  return a.nics !== b.nics || a.blocks !== b.blocks || a.intents !== b.intents
}
