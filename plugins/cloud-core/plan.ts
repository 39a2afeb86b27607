/** What a node's state asks of the cloud right now: every call that it would make if none cost anything. Pure. */
import type { Family } from '../../daemon/kernel/kernel.ts'
import type { AssignCall, Call, CreateCall, Limits, NicId, Request, SubnetId } from './model.ts'
import { ANSWER_MS, blocksOn, isUsable, sizeOfLength } from './node-blocks.ts'
import type { BlockState, NicState, NodeState } from './node-state.ts'
import { LAG_MS } from './observed.ts'
import { have, slotsTaken, spare, target } from './target.ts'
import { tokenOf } from './token.ts'

export interface SubnetState {
  readonly id: SubnetId
  /** IPv4 addresses that nobody has, as far as is known. */
  readonly free: number
  /** It has no address left until then, or no whole prefix. */
  readonly fullUntilMs: number
  readonly fragmentedUntilMs: number
}

/** What a node's plan depends on besides its own state. */
export interface World {
  /** Those that the node's interfaces can be in, by name. */
  readonly subnets: ReadonlyMap<SubnetId, SubnetState>
  /** Those that new interfaces of the node may be in, best first. */
  readonly choices: readonly SubnetId[]
  /** How long a call waits for its turn and takes. */
  readonly refillMs: number
  /** Nothing more is asked for, or given back, while the cloud answers with errors. */
  readonly growth: boolean
  readonly releases: boolean
}

/** An interface without a block is kept for so long: it may just have come. */
const EMPTY_MS = 60_000

/** A detached interface can be deleted after about so long; before, the cloud refuses. */
const DETACH_MS = 5000

/** In the order in which they are made. */
export function plan(state: NodeState, world: World, nowMs: number): readonly Call[] {
  const { limits, observedMs, doubtMs, restUntilMs } = state
  if (limits === undefined || nowMs < restUntilMs) return []
  if (observedMs === undefined) return observation(state)
  if (doubtMs !== undefined) return nowMs < doubtMs ? [] : observation(state)
  const look = looksForRoom(state, world, nowMs, limits) ? observation(state) : []
  if (limits.wholeWrites) return state.pending.size > 0 ? [] : [...wholeWrite(state, world, nowMs, limits), ...look]
  return [
    ...sagas(state, nowMs, limits),
    ...growth(state, world, nowMs, limits),
    ...(world.releases ? releases(state, nowMs) : []),
    ...look,
  ]
}

/** More is needed, and the only room for it is that of blocks that were given back and could have been seen gone by now. */
function looksForRoom(state: NodeState, world: World, nowMs: number, limits: Limits): boolean {
  if (!world.growth || target(state, world.refillMs, nowMs) <= have(state)) return false
  const vacated = [...state.blocks.values()].filter(block => isVacated(state, block))
  return vacated.some(({ sinceMs }) => nowMs >= sinceMs + LAG_MS) && growth(state, world, nowMs, limits).length === 0
}

/** It was given back, and nobody has looked whether it is gone: its room on an interface is not free yet. */
function isVacated({ nics }: Pick<NodeState, 'nics'>, { nic, phase, missed }: BlockState): boolean {
  return phase === 'released' && missed === 0 && nics.has(nic)
}

/** When a plan may change without anything happening; undefined when it cannot. */
export function laterMs({ restUntilMs, doubtMs = 0, nics, blocks }: NodeState, nowMs: number): number | undefined {
  const times = [restUntilMs, doubtMs]
  for (const { phase, sinceMs } of nics.values())
    if (phase === 'detached') times.push(sinceMs + DETACH_MS)
    else if (phase === 'ready') times.push(sinceMs + EMPTY_MS)
  for (const block of blocks.values())
    if (block.phase === 'draining') times.push(block.sinceMs + ANSWER_MS)
    else if (isVacated({ nics }, block)) times.push(block.sinceMs + LAG_MS)
  const later = times.filter(ms => ms > nowMs)
  return later.length === 0 ? undefined : Math.min(...later)
}

/** Nothing is left for a pod that comes, and no call brings more: for want of what. Undefined while all is well or under way. */
export function shortage(state: NodeState, world: World, nowMs: number): 'machine' | 'subnets' | undefined {
  const { limits } = state
  if (limits === undefined || state.observedMs === undefined || state.doubtMs !== undefined) return undefined
  if (spare(state) > 0 || target(state, world.refillMs, nowMs) <= have(state)) return undefined
  if (growth(state, { ...world, growth: true }, nowMs, limits).length > 0 || state.pending.size > 0) return undefined
  if ([...state.blocks.values()].some(block => isVacated(state, block))) return undefined
  return hasRoom(state, limits) ? 'subnets' : 'machine'
}

/** Whether the machine could hold more than it does. */
function hasRoom(state: NodeState, limits: Limits): boolean {
  if (!limits.wholeWrites && state.nics.size + state.intents.size < limits.nics) return true
  return [...state.nics.values()].some(nic => isUsable(state, nic) && slotsTaken(state, nic.id, 4) < limits.slots)
}

function observation(state: NodeState): readonly Call[] {
  const asked = [...state.pending.values()].some(({ call }) => call.kind === 'observe')
  return asked ? [] : [{ kind: 'observe' }]
}

/** The next step of each interface that comes or goes. */
function sagas(state: NodeState, nowMs: number, limits: Limits): Call[] {
  const calls: Call[] = []
  for (const { token, subnet, length, count } of state.intents.values())
    if (!isPending(state, call => call.kind === 'create' && call.token === token))
      calls.push({ kind: 'create', token, subnet, length, count })
  const taken = indicesTaken(state)
  let room = limits.nics - taken.size
  const full = room <= 0 && ![...state.nics.values()].some(({ phase }) => phase === 'leaving')
  for (const nic of byIndex(state)) {
    if (isPending(state, call => 'nic' in call && call.nic === nic.id && isSaga(call))) continue
    // Somebody else's interfaces have come to be where this one was to be.
    if (nic.phase === 'made' && full) calls.push({ kind: 'delete', nic: nic.id })
    if (nic.phase === 'made' && room-- > 0)
      calls.push({ kind: 'attach', nic: nic.id, index: lowestFree(taken, state.policy.firstNic), token: nic.token })
    if (nic.phase === 'attached') calls.push({ kind: 'protect', nic: nic.id })
    if (nic.phase === 'leaving') calls.push({ kind: 'detach', nic: nic.id })
    if (nic.phase === 'detached' && nowMs - nic.sinceMs >= DETACH_MS) calls.push({ kind: 'delete', nic: nic.id })
  }
  return calls
}

/** Where room is first, in new interfaces then, all at once. */
function growth(state: NodeState, world: World, nowMs: number, limits: Limits): Call[] {
  if (!world.growth) return []
  const single = new Single(world)
  const wanted = requests(state, world, nowMs, limits, single)
  const calls: Call[] = wanted.requests.map((request): AssignCall => ({ kind: 'assign', ...request }))
  let { need } = wanted
  let count = state.nics.size + state.intents.size
  for (let n = 1; need > 0 && count < limits.nics; n++, count++) {
    const create = creation(state, world, nowMs, limits, single, need, n)
    if (create === undefined) break
    calls.push(create)
    need -= create.count * sizeOfLength(4, create.length)
  }
  return calls
}

function creation(
  state: NodeState,
  world: World,
  nowMs: number,
  limits: Limits,
  single: Single,
  need: number,
  n: number,
): CreateCall | undefined {
  for (const subnet of world.choices) {
    const [length] = lengthsIn(state, world, nowMs, limits, subnet)
    if (length === undefined) continue
    const count = Math.min(limits.slots, Math.ceil(need / sizeOfLength(4, length)), single.atMost(subnet, length))
    if (count <= 0) continue
    single.asked(subnet, length, count)
    return { kind: 'create', token: tokenOf(state.uid, state.lastIntent + n), subnet, length, count }
  }
  return undefined
}

/** What existing interfaces have room for, and how many addresses are still needed beyond that. */
function requests(state: NodeState, world: World, nowMs: number, limits: Limits, single = new Single(world)) {
  const found: Request[] = []
  let need = target(state, world.refillMs, nowMs) - have(state)
  for (const nic of byIndex(state)) {
    if (!isUsable(state, nic) || nic.phase !== 'ready') continue
    if (state.policy.families.includes(6)) found.push(...firstOf6(state, nic, limits))
    const [length] = lengthsIn(state, world, nowMs, limits, nic.subnet)
    if (need <= 0 || length === undefined) continue
    const room = Math.min(limits.slots - slotsTaken(state, nic.id, 4), single.atMost(nic.subnet, length))
    const count = Math.min(room, Math.ceil(need / sizeOfLength(4, length)))
    if (count <= 0) continue
    single.asked(nic.subnet, length, count)
    // One that is being given something is asked again afterwards: nothing else is needed for what it has room for.
    if (!isAsked(state, nic.id, 4)) found.push({ nic: nic.id, length, family: 4, count })
    need -= count * sizeOfLength(4, length)
  }
  return { requests: found, need }
}

/** One block of IPv6 is more than any node needs; the lowest interface has it. */
function firstOf6(state: NodeState, nic: NicState, limits: Limits): Request[] {
  const [length] = limits.lengths[6]
  const first = byIndex(state).find(other => isUsable(state, other) && other.phase === 'ready')
  if (length === undefined || first?.id !== nic.id || isAsked(state, nic.id, 6)) return []
  const has = [...state.blocks.values()].some(({ block, phase }) => block.includes(':') && phase === 'allocatable')
  return has ? [] : [{ nic: nic.id, length, family: 6, count: 1 }]
}

/** What the node gives back, interface by interface; one that nothing is left on goes as a whole. */
function releases(state: NodeState, nowMs: number): Call[] {
  return byIndex(state).flatMap((nic): Call[] => {
    if (nic.phase !== 'ready' || isAsked(state, nic.id, undefined)) return []
    const blocks = blocksOn(state, nic.id).filter(({ phase }) => phase !== 'released')
    const drained = blocks.filter(isToGo)
    const empty = drained.length === blocks.length && (blocks.length > 0 || nowMs - nic.sinceMs >= EMPTY_MS)
    if (nic.token !== '' && empty) return [{ kind: 'detach', nic: nic.id }]
    return drained.length === 0 ? [] : [{ kind: 'release', nic: nic.id, blocks: drained.map(b => b.block).sort() }]
  })
}

/** All that is to change on the machine, in one request. */
function wholeWrite(state: NodeState, world: World, nowMs: number, limits: Limits): Call[] {
  const add = world.growth ? requests(state, world, nowMs, limits).requests : []
  const remove = world.releases
    ? [...state.blocks.values()].filter(isToGo).map(({ nic, block }) => ({ nic, block }))
    : []
  return add.length + remove.length === 0 ? [] : [{ kind: 'write', add, remove }]
}

/** Lengths that a block of a subnet can have now, the one to ask for first. */
function lengthsIn(state: NodeState, world: World, nowMs: number, limits: Limits, id: SubnetId): readonly number[] {
  const subnet = world.subnets.get(id)
  if (subnet !== undefined && nowMs < subnet.fullUntilMs) return []
  const whole = state.policy.prefixes && !(subnet !== undefined && nowMs < subnet.fragmentedUntilMs)
  return whole ? limits.lengths[4] : limits.lengths[4].filter(length => length === 32)
}

/** How many single addresses can be asked for in one plan: a request for more than a subnet has is refused as a whole. */
class Single {
  readonly #subnets: World['subnets']
  readonly #asked = new Map<SubnetId, number>()

  constructor({ subnets }: Pick<World, 'subnets'>) {
    this.#subnets = subnets
  }

  /** One at least, for what is known of a subnet may be old. */
  atMost(id: SubnetId, length: number): number {
    const free = this.#subnets.get(id)?.free
    if (free === undefined || length !== 32) return Infinity
    const asked = this.#asked.get(id) ?? 0
    return asked === 0 ? Math.max(1, free) : free - asked
  }

  asked(id: SubnetId, length: number, count: number): void {
    if (length === 32) this.#asked.set(id, (this.#asked.get(id) ?? 0) + count)
  }
}

/** Also what has been asked for before, and may not have been carried out. */
function isToGo({ phase, missed }: BlockState): boolean {
  return phase === 'drained' || (phase === 'releasing' && missed === 0)
}

/** Something is being asked for the interface; of one family, or of any. */
function isAsked(state: NodeState, nic: NicId, family: Family | undefined): boolean {
  return isPending(state, call => {
    if (call.kind === 'assign') return call.nic === nic && (family === undefined || call.family === family)
    return call.kind === 'release' && call.nic === nic && family === undefined
  })
}

function isSaga({ kind }: Call): boolean {
  return kind === 'attach' || kind === 'protect' || kind === 'detach' || kind === 'delete'
}

function isPending(state: NodeState, is: (call: Call) => boolean): boolean {
  for (const { call } of state.pending.values()) if (is(call)) return true
  return false
}

function byIndex(state: NodeState): NicState[] {
  return [...state.nics.values()].sort((a, b) => a.index - b.index || (a.id < b.id ? -1 : 1))
}

/** Indices of a machine's interfaces, with those that are on their way. */
function indicesTaken(state: NodeState): Set<number> {
  const taken = new Set([0])
  for (const { index, phase } of state.nics.values()) if (phase !== 'made' && phase !== 'detached') taken.add(index)
  for (const { call } of state.pending.values()) if (call.kind === 'attach') taken.add(call.index)
  return taken
}

/** The lowest that is not taken, which it is from then on. */
function lowestFree(taken: Set<number>, first: number): number {
  let index = Math.max(1, first)
  while (taken.has(index)) index++
  taken.add(index)
  return index
}
