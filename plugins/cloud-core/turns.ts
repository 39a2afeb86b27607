/** Who wants to make which call, and what the budgets allow. */
import { Bucket } from './bucket.ts'
import type { CallKind } from './model.ts'
import type { Budget } from './provider.ts'

/** Calls by which a node gets more. */
export const GROWING: ReadonlySet<CallKind> = new Set(['assign', 'create', 'write'])
const GIVING_BACK: readonly CallKind[] = ['release', 'detach', 'delete']
/** What is under way is brought to its end before something else begins. */
const ORDER: readonly CallKind[] = [
  'observe',
  'protect',
  'attach',
  'write',
  'assign',
  'create',
  'release',
  'detach',
  'delete',
]

export class Turns {
  readonly #budget: (kind: CallKind | 'sweep') => Budget
  /** Nobody else has called since so long before it began. */
  readonly #quietMs: number
  readonly #beganMs: number
  readonly #buckets = new Map<string, Bucket>()
  /** By kind of call who waits, and since when. */
  readonly #wanting = new Map<CallKind, Map<string, number>>()

  constructor(budget: (kind: CallKind | 'sweep') => Budget, beganMs: number, quietMs: number) {
    this.#budget = budget
    this.#beganMs = beganMs
    this.#quietMs = quietMs
  }

  /** By their names. */
  get buckets(): ReadonlyMap<string, Bucket> {
    return this.#buckets
  }

  bucket(kind: CallKind | 'sweep', nowMs: number): Bucket {
    const { name, rate } = this.#budget(kind)
    const bucket = this.#buckets.get(name) ?? new Bucket(rate, nowMs, this.#quietMs + nowMs - this.#beganMs)
    this.#buckets.set(name, bucket)
    return bucket
  }

  /** Who waits for a turn, by kind of call, and since when. */
  get wanting(): ReadonlyMap<CallKind, ReadonlyMap<string, number>> {
    return this.#wanting
  }
  count(kind: CallKind): number {
    return this.#wanting.get(kind)?.size ?? 0
  }
  /** Kinds that somebody waits for, in the order in which they are granted. */
  kinds(): CallKind[] {
    return ORDER.filter(kind => this.count(kind) > 0)
  }

  /** From now on the node wants these, and none of the others. */
  want(name: string, kinds: ReadonlySet<CallKind>, nowMs: number): void {
    for (const [kind, names] of this.#wanting) if (!kinds.has(kind)) names.delete(name)
    for (const kind of kinds) {
      const names = this.#wanting.get(kind) ?? new Map<string, number>()
      if (!names.has(name)) names.set(name, nowMs)
      this.#wanting.set(kind, names)
    }
  }

  /** The node has its turn: how long it waited. It may want another. */
  had(name: string, kind: CallKind, nowMs: number): number {
    const sinceMs = this.#wanting.get(kind)?.get(name) ?? nowMs
    this.#wanting.get(kind)?.set(name, nowMs)
    return nowMs - sinceMs
  }

  /** Where giving back is paid from the same budget, something is left for it: what is not given back is lacking elsewhere. */
  reserve(kind: CallKind): number {
    if (!GROWING.has(kind)) return 0
    const { name } = this.#budget(kind)
    return GIVING_BACK.some(other => this.count(other) > 0 && this.#budget(other).name === name) ? 1 : 0
  }

  /** How long it takes until a node that gets more now can get more again, when `growing` nodes take turns. */
  waitMs(growing: number, nowMs: number): number {
    const waits = (['assign', 'write'] as const).map(kind => {
      const before = Math.max(growing, this.count(kind))
      return before === 0 ? 0 : this.bucket(kind, nowMs).waitMs(nowMs, before)
    })
    return Math.max(...waits)
  }
}
