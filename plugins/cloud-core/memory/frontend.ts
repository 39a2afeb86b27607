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

/** Shares of calls that go wrong, from 0 to 1. */
export interface Faults {
  /** Throttled though the budget has not been used up. */
  readonly throttled: number
  /** Refused before anything is done: it did not get there. */
  readonly refused: number
  /** Refused before anything is done: it may not be done. */
  readonly denied: number
  /** Carried out and answered with an error. */
  readonly lost: number
  /** Answered with an error and carried out after that, within `lateMs`. */
  readonly late: number
  readonly lateMs: number
  /** Carried out and answered later than usual by up to `slowMs`. */
  readonly slow: number
  readonly slowMs: number
}

export const NO_FAULTS: Faults = {
  throttled: 0,
  refused: 0,
  denied: 0,
  lost: 0,
  late: 0,
  lateMs: 0,
  slow: 0,
  slowMs: 0,
}

export interface FrontendOptions {
  readonly timer: Timer
  /** From 0 up to 1. */
  readonly random: () => number
}

export interface Tally {
  calls: number
  throttled: number
  /** Of those throttled: though there was budget left. */
  injected: number
}

/** A call as it is handled. */
export interface Work<T> {
  /** When it gets there; what it throws is the answer at once. */
  readonly arrive?: () => void
  /** When it is carried out, in the middle of its time; what it throws is the answer. */
  readonly commit: () => T
}

/** Tokens as the cloud counts them. */
interface Level {
  tokens: number
  atMs: number
}

export class Frontend {
  readonly tallies = new Map<string, Tally>()
  faults: Faults = NO_FAULTS
  readonly #options: FrontendOptions
  readonly #levels = new Map<string, Level>()

  constructor(options: FrontendOptions) {
    this.#options = options
  }

  /** Takes a call and answers once. One without a token is throttled. */
  request<T>(budget: Budget, latencyMs: number, work: Work<T>, done: (answer: T | Failure) => void): void {
    const { name } = budget
    const answer = (ms: number, kind: FailureKind, message: string) =>
      this.#options.timer.after(ms, () => done({ kind, message: `${name}: ${message}` }))
    const tally = this.#tally(name)
    if (!this.#take(budget)) {
      tally.throttled++
      answer(THROTTLED_MS, 'throttled', 'RequestLimitExceeded')
      return
    }
    const fault = this.#fault()
    if (fault === 'throttled') {
      tally.throttled++
      tally.injected++
      answer(THROTTLED_MS, 'throttled', 'RequestLimitExceeded')
    } else if (fault === 'refused') answer(latencyMs, 'unreachable', 'connection refused')
    else if (fault === 'denied') answer(latencyMs, 'denied', 'UnauthorizedOperation')
    else this.#handle(fault, latencyMs, work, done, () => answer(latencyMs / 2, 'ambiguous', 'the answer was lost'))
  }

  #handle<T>(
    fault: 'slow' | 'lost' | 'late' | undefined,
    latencyMs: number,
    { arrive, commit }: Work<T>,
    done: (answer: T | Failure) => void,
    loseAnswer: () => void,
  ): void {
    const { timer, random } = this.#options
    const refused = arrive && attempt(() => arrive())
    if (refused !== undefined) {
      timer.after(latencyMs, () => done(refused))
      return
    }
    const delayMs = fault === 'slow' ? Math.floor(random() * this.faults.slowMs) : 0
    timer.after(latencyMs / 2 + delayMs, () => {
      if (fault === 'late') {
        timer.after(latencyMs / 2 + Math.floor(random() * this.faults.lateMs), () => attempt(commit))
        loseAnswer()
        return
      }
      const told = attempt(commit)
      if (fault === 'lost') loseAnswer()
      else timer.after(latencyMs / 2, () => done(told))
    })
  }

  #fault(): 'throttled' | 'refused' | 'denied' | 'lost' | 'late' | 'slow' | undefined {
    let chance = this.#options.random()
    for (const kind of KINDS) {
      if (chance < this.faults[kind]) return kind
      chance -= this.faults[kind]
    }
    return undefined
  }

  #tally(name: string): Tally {
    const tally = this.tallies.get(name) ?? { calls: 0, throttled: 0, injected: 0 }
    this.tallies.set(name, tally)
    tally.calls++
    return tally
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

const KINDS = ['throttled', 'refused', 'denied', 'lost', 'late', 'slow'] as const

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
