/**
 * The order in which requests reach the kernel: as many as possible in one send, and a look at the answers only where
 * what follows depends on them. A generator, so that the same order serves a socket that answers at once and one that
 * sends on a thread.
 */
import type { LinkRef, NetRequest } from '../kernel.ts'
import { errnoValue } from '../sys.ts'
import { laterChanges } from './link-add.ts'
import { decodeLink, encodeLinkGet } from './link.ts'
import type { Message } from './message.ts'
import { NetlinkError } from './netlink-error.ts'
import { changesNames, describeRequest, encodeRequest, indexedLinks, reached } from './request.ts'
import type { Outcome } from './socket.ts'

/** Messages to be sent together, in the namespace of a path or else in the one the requests are for. */
export interface Step {
  readonly messages: readonly Message[]
  readonly netns?: string
}
export type Steps = Generator<Step, void, readonly Outcome[]>

/**
 * Yields what is to be sent and takes the outcomes. All requests are tried; then the first failure is thrown.
 * `netnsFd` gives an open nsfs file for a path, which must stay open until the generator ends.
 */
export function* carryOut(requests: readonly NetRequest[], netnsFd: (path: string) => number): Steps {
  const run = new Run(netnsFd)
  for (const request of requests) yield* run.attempt(request, request)
  yield* run.flush()
  const [first] = run.failures
  if (first) throw first
}

interface Pending {
  readonly request: NetRequest
  /** What the caller asked for and an error names. */
  readonly owner: NetRequest
  readonly message: Message
}

class Run {
  readonly failures: Error[] = []
  readonly #netnsFd: (path: string) => number
  /** Indices found in this run; undefined for a name nobody has. */
  readonly #indices = new Map<string, number | undefined>()
  #pending: Pending[] = []

  constructor(netnsFd: (path: string) => number) {
    this.#netnsFd = netnsFd
  }

  *attempt(request: NetRequest, owner: NetRequest): Steps {
    yield* this.#resolve(indexedLinks(request))
    try {
      const surroundings = { indexOf: (ref: LinkRef) => this.#indexOf(ref, owner), netnsFd: this.#netnsFd }
      for (const message of encodeRequest(request, surroundings)) this.#pending.push({ request, owner, message })
    } catch (error) {
      this.#fail(request, error)
      return
    }
    if (changesNames(request)) this.#indices.clear()
    if (request.op === 'link-add') yield* this.#finishLink(request)
  }

  *flush(): Steps {
    const sent = this.#pending
    if (sent.length === 0) return
    this.#pending = []
    const outcomes = yield { messages: sent.map(p => p.message) }
    for (const [i, { request, owner }] of sent.entries()) {
      const outcome = outcomes[i]
      if (outcome && reached(request, outcome)) continue
      this.#fail(request, failure(owner, outcome))
    }
  }

  /** What follows the creation, if that succeeded: else it would change another link of that name. */
  *#finishLink(request: Extract<NetRequest, { op: 'link-add' }>): Steps {
    const later = laterChanges(request.link)
    if (later.length === 0) return
    const before = this.failures.length
    yield* this.flush()
    if (this.failures.length > before) return
    for (const { change, netns } of later) {
      if (netns === undefined) yield* this.attempt(change, request)
      else yield* this.#elsewhere(change, request, netns)
    }
  }

  *#elsewhere(change: NetRequest, owner: NetRequest, netns: string): Steps {
    const there = new Run(this.#netnsFd)
    const steps = (function* (): Steps {
      yield* there.attempt(change, owner)
      yield* there.flush()
    })()
    for (let step = steps.next(); step.done !== true; ) step = steps.next(yield { ...step.value, netns })
    this.failures.push(...there.failures)
  }

  *#resolve(refs: readonly LinkRef[]): Steps {
    for (const name of refs) {
      if (typeof name === 'number' || this.#indices.has(name)) continue
      // A request not sent yet may create or rename the link.
      yield* this.flush()
      const [outcome] = yield { messages: [encodeLinkGet(name)] }
      const answer = outcome?.answers[0]
      this.#indices.set(name, answer && decodeLink(answer).index)
    }
  }

  #indexOf(ref: LinkRef, owner: NetRequest): number {
    const index = typeof ref === 'number' ? ref : this.#indices.get(ref)
    if (index !== undefined) return index
    throw new NetlinkError(describeRequest(owner), errnoValue('ENODEV'), `there is no link ${ref}`, owner)
  }

  #fail(request: NetRequest, error: unknown): void {
    if (error instanceof NetlinkError && reached(request, error)) return
    this.failures.push(error instanceof Error ? error : new Error(String(error)))
  }
}

function failure(request: NetRequest, outcome: Outcome | undefined): NetlinkError {
  const errno = outcome?.errno ?? errnoValue('ENODATA')
  return new NetlinkError(describeRequest(request), errno, outcome?.kernelText, request)
}
