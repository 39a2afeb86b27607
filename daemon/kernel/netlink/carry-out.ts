/**
 * The order in which requests reach the kernel: as many as possible in one send, and a look at the answers only where
 * what follows depends on them. A generator, so that the same order serves a socket that answers at once and one that
 * sends on a thread.
 */
import type { LinkRef, NetRequest } from '../kernel.ts'
import { errnoValue } from '../sys.ts'
import { type LaterChange, laterChanges } from './link-add.ts'
import { decodeLink, encodeLinkGet, linkSetSteps } from './link.ts'
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
 * Yields what is to be sent and takes the outcomes. All requests are tried; then the failure of the first that failed is
 * thrown. `netnsFd` gives an open nsfs file for a path, which must stay open until the generator ends.
 */
export function* carryOut(requests: readonly NetRequest[], netnsFd: (path: string) => number): Steps {
  const run = new Run(netnsFd)
  for (const [position, request] of requests.entries()) yield* run.attempt(request, { request, position })
  yield* run.flush()
  const [first] = run.failures.toSorted((a, b) => a.position - b.position)
  if (first) throw first.error
}

/** What the caller asked for, which an error names, and its place among the requests. */
interface Owner {
  readonly request: NetRequest
  readonly position: number
}

interface Pending {
  readonly request: NetRequest
  readonly owner: Owner
  readonly message: Message
  failed: boolean
}

class Run {
  /** In the order in which they were found, which is not that of the requests. */
  readonly failures: { readonly position: number; readonly error: Error }[] = []
  readonly #netnsFd: (path: string) => number
  /** Indices found in this run; undefined for a name nobody has. */
  readonly #indices = new Map<string, number | undefined>()
  #pending: Pending[] = []

  constructor(netnsFd: (path: string) => number) {
    this.#netnsFd = netnsFd
  }

  *attempt(request: NetRequest, owner: Owner): Steps {
    const { first, later } = inSteps(request)
    yield* this.#resolve(indexedLinks(first))
    const pending = this.#add(first, owner)
    if (changesNames(first)) this.#indices.clear()
    if (!pending || later.length === 0) return
    // Only if that succeeds: else another link of that name would be changed, or one that is not ready brought up.
    yield* this.flush()
    if (pending.failed) return
    for (const { change, netns } of later) {
      if (netns === undefined) yield* this.attempt(change, owner)
      else yield* this.#elsewhere(change, owner, netns)
    }
  }

  *flush(): Steps {
    const sent = this.#pending
    if (sent.length === 0) return
    this.#pending = []
    const outcomes = yield { messages: sent.map(p => p.message) }
    for (const [i, pending] of sent.entries()) {
      const outcome = outcomes[i]
      if (outcome && reached(pending.request, outcome)) continue
      pending.failed = true
      this.#fail(pending.request, pending.owner, failure(pending.owner.request, outcome))
    }
  }

  /** Puts a request among those to be sent; undefined when it has no message, which is then its failure. */
  #add(request: NetRequest, owner: Owner): Pending | undefined {
    try {
      const surroundings = { indexOf: (ref: LinkRef) => this.#indexOf(ref, owner), netnsFd: this.#netnsFd }
      const pending = { request, owner, message: encodeRequest(request, surroundings), failed: false }
      this.#pending.push(pending)
      return pending
    } catch (error) {
      this.#fail(request, owner, error)
      return undefined
    }
  }

  *#elsewhere(change: NetRequest, owner: Owner, netns: string): Steps {
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

  #indexOf(ref: LinkRef, { request }: Owner): number {
    const index = typeof ref === 'number' ? ref : this.#indices.get(ref)
    if (index !== undefined) return index
    throw new NetlinkError(describeRequest(request), errnoValue('ENODEV'), `there is no link ${ref}`, request)
  }

  #fail(request: NetRequest, { position }: Owner, error: unknown): void {
    if (error instanceof NetlinkError && reached(request, error)) return
    this.failures.push({ position, error: error instanceof Error ? error : new Error(String(error)) })
  }
}

/** What goes first, and what may follow only once that has succeeded. */
function inSteps(request: NetRequest): { readonly first: NetRequest; readonly later: readonly LaterChange[] } {
  if (request.op === 'link-add') return { first: request, later: laterChanges(request.link) }
  if (request.op !== 'link-set') return { first: request, later: [] }
  const { first, then } = linkSetSteps(request)
  return { first, later: then ? [{ change: then }] : [] }
}

function failure(request: NetRequest, outcome: Outcome | undefined): NetlinkError {
  const errno = outcome?.errno ?? errnoValue('ENODATA')
  return new NetlinkError(describeRequest(request), errno, outcome?.kernelText, request)
}
