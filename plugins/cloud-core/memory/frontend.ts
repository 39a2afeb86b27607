/**
 * How an in-memory cloud takes calls: each costs a token of its budget, takes its time, is carried out at some moment of it,
 * and may go wrong before that moment or after it.
 */
import type { Failure, FailureKind } from '../model.ts'
import { CloudFailure, type Budget } from '../provider.ts'

/** What a cloud of this kind needs of time. */
export interface Timer {
  now(): number
  after(ms: number, callback: () => void): () => void
}

export interface Faults {
  /** Share of calls that fail before anything is done. */
  readonly refused: number
  /** Share of calls that are carried out and answered with an error. */
  readonly lost: number
}

export interface FrontendOptions {
  readonly timer: Timer
  /** From 0 up to 1. */
  readonly random: () => number
  readonly faults?: Faults
}

export interface Tally {
  calls: number
  throttled: number
}

/** Tokens as the cloud counts them. */
interface Level {
  tokens: number
  atMs: number
}

export class Frontend {
  readonly tallies = new Map<string, Tally>()
  readonly #options: FrontendOptions
  readonly #levels = new Map<string, Level>()

  constructor(options: FrontendOptions) {
    this.#options = options
  }

  /**
   * Carries out `work` in the middle of `latencyMs` and answers at its end; what `work` throws is the answer's failure. A
   * call without a token is throttled at once.
   */
  request<T>(budget: Budget, latencyMs: number, work: () => T, done: (answer: T | Failure) => void): void {
    const { timer, random, faults = { refused: 0, lost: 0 } } = this.#options
    const tally = this.tallies.get(budget.name) ?? { calls: 0, throttled: 0 }
    this.tallies.set(budget.name, tally)
    tally.calls++
    if (!this.#take(budget)) {
      tally.throttled++
      timer.after(THROTTLED_MS, () => done({ kind: 'throttled', message: `${budget.name}: RequestLimitExceeded` }))
      return
    }
    const chance = random()
    if (chance < faults.refused) {
      timer.after(latencyMs, () => done({ kind: 'unreachable', message: `${budget.name}: no answer` }))
      return
    }
    const lost = chance < faults.refused + faults.lost
    timer.after(latencyMs / 2, () => {
      const answer = attempt(work)
      const told: T | Failure = lost ? { kind: 'ambiguous', message: `${budget.name}: the answer was lost` } : answer
      timer.after(latencyMs / 2, () => done(told))
    })
  }

  #take({ name, rate }: Budget): boolean {
    const nowMs = this.#options.timer.now()
    const level = this.#levels.get(name) ?? { tokens: rate.burst, atMs: nowMs }
    this.#levels.set(name, level)
    level.tokens = Math.min(rate.burst, level.tokens + ((nowMs - level.atMs) * rate.perSecond) / 1000)
    level.atMs = nowMs
    if (level.tokens < 1) return false
    level.tokens--
    return true
  }
}

/** To say no takes a cloud as long as the way there and back. */
const THROTTLED_MS = 50

function attempt<T>(work: () => T): T | Failure {
  try {
    return work()
  } catch (error) {
    if (error instanceof CloudFailure) return error.failure
    throw error
  }
}

/** Throws what a cloud answers when it does not do what it was asked. */
export function refuse(kind: FailureKind, message: string): never {
  throw new CloudFailure(kind, message)
}
