/**
 * Carries out what the fleet decides: writes what nodes are to know, makes calls to the cloud, and tells the fleet what
 * became of them. Nothing here decides anything.
 */
import { Fleet, type FleetNode, type FleetOptions, type NodeWork } from '../../../plugins/cloud-core/fleet.ts'
import type { Call, CallKind, Failure, NicId, SubnetId } from '../../../plugins/cloud-core/model.ts'
import type { Pending, Published } from '../../../plugins/cloud-core/node-state.ts'
import { CloudFailure, type CloudProvider, type Machine, type Sweep } from '../../../plugins/cloud-core/provider.ts'
import { wholePrefixes } from '../../../plugins/cloud-core/subnet-room.ts'
import type { DemandEvent } from '../../../plugins/cloud-core/step.ts'
import { messageOf } from '../../errors.ts'
import type { Logger } from '../../plugin.ts'
import type { Clock } from '../../state/clock.ts'
import { Rest } from '../../state/rest.ts'

export interface AllocatorOptions {
  readonly provider: CloudProvider
  /** Writes what a node is to know; rejects when it could not be written. Ends by the signal. */
  readonly publish: (node: string, published: Published, signal: AbortSignal) => Promise<void>
  readonly sweepMs: number
  /** Whether this leader is certain to be the only one. */
  readonly mayChange?: (() => boolean) | undefined
  readonly log: Logger
  readonly clock: Clock
  readonly random?: () => number
  /** Called for each call that was made, with its failure. */
  readonly onCall?: ((made: MadeCall) => void) | undefined
  /** Called for each call that had its turn, with how long it waited. */
  readonly onTurn?: ((kind: CallKind, waitedMs: number) => void) | undefined
  /** Called when an interface that nobody used was deleted. */
  readonly onCollected?: (() => void) | undefined
}

export interface MadeCall {
  readonly kind: CallKind | 'sweep' | 'limits'
  readonly failure: Failure | undefined
  readonly ms: number
}

export interface CloudNode extends FleetNode {
  readonly of: Machine
}

/** A call that has had no answer for so long may have been carried out or not. */
const CALL_LIMIT_MS = 30_000
const SWEEP_LIMIT_MS = 120_000
/** What could not be written is written again after so long. */
const PUBLISH_RETRY_MS = 2000

export class Allocator {
  readonly fleet: Fleet
  /** What the configuration names and the cloud does not have, by the last look. */
  missing: readonly string[] = []
  /** Why the limits of nodes are not known, by their names. */
  readonly unlimited = new Map<string, Failure>()
  /** Whole prefixes that subnets have left, by the last look. */
  prefixes: ReadonlyMap<SubnetId, number> = new Map()
  readonly beganMs: number
  readonly #options: AllocatorOptions
  readonly #rest: Rest
  readonly #nodes = new Map<string, CloudNode>()
  /** What is being written of each node; what comes later waits for it. */
  readonly #writing = new Map<string, Promise<void>>()
  readonly #running = new Set<Promise<void>>()

  constructor(options: AllocatorOptions) {
    this.#options = options
    this.#rest = new Rest(options.clock)
    const { provider, sweepMs, random = Math.random, onTurn } = options
    this.beganMs = this.#now()
    // Whoever led before may have called a moment ago.
    const quietMs = 0
    const budget: FleetOptions['budget'] = kind => provider.budget(kind)
    this.fleet = new Fleet({ budget, sweepMs, random, onTurn, quietMs }, this.beganMs)
  }

  /** A new node, with what was published of it, or one that is to be treated otherwise than before. */
  put(node: CloudNode, before: Published): void {
    this.#nodes.set(node.name, node)
    this.fleet.put(node, before, this.#now())
    this.#rest.wake()
  }

  delete(name: string): void {
    this.#nodes.delete(name)
    this.unlimited.delete(name)
    this.fleet.delete(name)
  }

  /** What is published of a node is written again: something that the fleet does not know of has changed. */
  republish(name: string): void {
    this.#tell(() => this.fleet.unpublished(name, this.#now()))
  }

  demand(name: string, event: DemandEvent): void {
    this.fleet.demand(name, event, this.#now())
    this.#rest.wake()
  }

  /** Until the signal aborts; what is under way has ended then. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', this.#rest.wake, { once: true })
    try {
      while (!signal.aborted) {
        this.#rest.begin()
        this.#act(signal)
        await this.#rest.until(this.fleet.nextMs(this.#now()))
      }
    } finally {
      this.#rest.end()
      signal.removeEventListener('abort', this.#rest.wake)
      await Promise.all(this.#running)
    }
  }

  #act(signal: AbortSignal): void {
    const { nodes, leftovers, limits, sweep } = this.fleet.take(this.#now())
    for (const work of nodes) this.#start(this.#work(work, signal))
    for (const name of limits) this.#start(this.#askLimits(name, signal))
    for (const nic of leftovers) this.#start(this.#deleteLeftover(nic, signal))
    if (sweep) this.#start(this.#sweep(signal))
  }

  async #work({ node, publish, calls }: NodeWork, signal: AbortSignal): Promise<void> {
    const written = publish === undefined || (await this.#write(node, publish, signal))
    await Promise.all(calls.map(call => this.#make(node, call, written, signal)))
  }

  /** In the order in which it was asked for; false when it could not be written. */
  async #write(node: string, publish: Published, signal: AbortSignal): Promise<boolean> {
    const { clock, log } = this.#options
    const before = this.#writing.get(node) ?? Promise.resolve()
    const turn = before.then(() => this.#options.publish(node, publish, signal))
    const settled = turn.catch(() => undefined)
    this.#writing.set(node, settled)
    try {
      await turn
      return true
    } catch (error) {
      if (!signal.aborted) {
        log.warn({ node, error: messageOf(error) }, 'addresses of a node could not be written down')
        clock.after(PUBLISH_RETRY_MS, () => this.#tell(() => this.fleet.unpublished(node, this.#now())))
      }
      return false
    } finally {
      if (this.#writing.get(node) === settled) this.#writing.delete(node)
    }
  }

  async #make(node: string, { id, call }: Pending, written: boolean, signal: AbortSignal): Promise<void> {
    const machine = this.#nodes.get(node)?.of
    if (machine === undefined) return
    const why = this.#unmade(call, written)
    if (why !== undefined)
      return this.#tell(() => this.fleet.failed(node, id, { kind: 'unreachable', message: why }, this.#now()))
    const answer = await this.#ask(call.kind, CALL_LIMIT_MS, signal, until =>
      this.#options.provider.call(machine, call, until),
    )
    if (signal.aborted) return
    this.#tell(() => {
      if (answer instanceof CloudFailure) this.fleet.failed(node, id, answer.failure, this.#now())
      else this.fleet.replied(node, id, answer, this.#now())
    })
  }

  /** Why a call must not be made; undefined when it may. */
  #unmade({ kind }: Call, written: boolean): string | undefined {
    if (!written) return 'not made: what it is about could not be written down'
    // Another leader may have taken back what this one decided before it stood still.
    if (kind !== 'observe' && this.#options.mayChange?.() === false) return 'not made: the lease may be over'
    return undefined
  }

  async #askLimits(name: string, signal: AbortSignal): Promise<void> {
    const machine = this.#nodes.get(name)?.of
    if (machine === undefined) return
    const answer = await this.#ask('limits', CALL_LIMIT_MS, signal, until =>
      this.#options.provider.limits(machine, until),
    )
    if (signal.aborted) return
    const told = answer instanceof CloudFailure ? answer.failure : answer
    if (answer instanceof CloudFailure) this.unlimited.set(name, answer.failure)
    else this.unlimited.delete(name)
    this.#tell(() => this.fleet.limits(name, told, this.#now()))
  }

  async #deleteLeftover(nic: NicId, signal: AbortSignal): Promise<void> {
    const { provider, log } = this.#options
    const nobody: Machine = { node: '', id: '', type: '', zone: '' }
    const answer = await this.#ask('delete', CALL_LIMIT_MS, signal, until =>
      provider.call(nobody, { kind: 'delete', nic }, until),
    )
    if (signal.aborted) return
    const failure = answer instanceof CloudFailure ? answer.failure : undefined
    if (failure === undefined) {
      log.info({ nic }, 'an interface that nobody uses any more was deleted')
      this.#options.onCollected?.()
    }
    this.#tell(() => this.fleet.leftoverSettled(nic, failure, this.#now()))
  }

  async #sweep(signal: AbortSignal): Promise<void> {
    const startedMs = this.#now()
    const machines = [...this.#nodes.values()].map(({ of }) => of)
    const answer = await this.#ask('sweep', SWEEP_LIMIT_MS, signal, until =>
      this.#options.provider.sweep(machines, until),
    )
    if (signal.aborted) return
    this.#tell(() => {
      if (answer instanceof CloudFailure) this.fleet.sweepFailed(answer.failure, this.#now())
      else {
        this.missing = answer.missing ?? []
        this.prefixes = prefixesOf(answer)
        this.fleet.swept(answer, startedMs, this.#now())
      }
    })
  }

  /** An answer, or why there is none; whatever a provider throws ends here. */
  async #ask<T>(
    kind: MadeCall['kind'],
    limitMs: number,
    signal: AbortSignal,
    ask: (signal: AbortSignal) => Promise<T>,
  ): Promise<T | CloudFailure> {
    const { clock, log, onCall } = this.#options
    const startedMs = clock.now()
    const limit = new AbortController()
    const cancel = clock.after(limitMs, () => limit.abort(new Error(`no answer after ${limitMs / 1000} s`)))
    const answer = await ask(AbortSignal.any([signal, limit.signal])).catch(failureOf)
    cancel()
    const failure = answer instanceof CloudFailure ? answer.failure : undefined
    if (!signal.aborted) {
      if (failure !== undefined) log.warn({ call: kind, kind: failure.kind, error: failure.message }, 'a call failed')
      onCall?.({ kind, failure, ms: clock.now() - startedMs })
    }
    return answer
  }

  #tell(tell: () => void): void {
    tell()
    this.#rest.wake()
  }

  #start(work: Promise<void>): void {
    const ended = work.finally(() => this.#running.delete(ended))
    this.#running.add(ended)
  }

  #now(): number {
    return Math.floor(this.#options.clock.now())
  }
}

function prefixesOf({ nics, subnets }: Sweep): ReadonlyMap<SubnetId, number> {
  const bySubnet = Map.groupBy(nics, ({ subnet }) => subnet)
  return new Map(subnets.map(subnet => [subnet.id, wholePrefixes(subnet, bySubnet.get(subnet.id) ?? [])]))
}

/** What is no CloudFailure may have come after the call was carried out. */
function failureOf(error: unknown): CloudFailure {
  return error instanceof CloudFailure ? error : new CloudFailure('ambiguous', messageOf(error), { cause: error })
}
