/** What an error of the Compute Engine API, or of an operation of it, means. Pure. */
import type { FailureKind } from '../cloud-core/model.ts'
import { retryAfterMs, withoutAnswer } from '../cloud-core/no-answer.ts'
import { CloudFailure } from '../cloud-core/provider.ts'
import { listIn, numberIn, objectIn, textIn } from './provider-json.ts'

export interface Asked {
  readonly api: string
  readonly writes: boolean
  /** What was to be done to what, for people. */
  readonly about: string
  readonly permissions: readonly string[]
  /** Ranges larger than an address were asked for. */
  readonly blocks: boolean
}

/** An answer with a status that says that nothing was done, or with an operation that failed. */
export interface Refusal {
  /** Of HTTP; 0 of an operation. */
  readonly status: number
  /** Such as `rateLimitExceeded` of a request, `IP_SPACE_EXHAUSTED` of an operation. */
  readonly reason: string
  readonly message: string
  readonly retryAfter: string | null
}

export function refused(refusal: Refusal, asked: Asked, nowMs: number): CloudFailure {
  const kind = kindOf(refusal, asked)
  const words = `${refusal.reason}: ${shortened(refusal.message)}${kind === 'denied' ? adviceFor(refusal, asked) : ''}`
  return new CloudFailure(kind, said(asked, words), { retryAfterMs: retryAfterMs(refusal.retryAfter, nowMs) })
}

export function unanswered(error: unknown, asked: Asked): CloudFailure {
  if (error instanceof CloudFailure) return error
  const kind = withoutAnswer(error, asked.writes)
  return new CloudFailure(kind, said(asked, `no answer: ${shortened(wordsOf(error))}`), { cause: error })
}

/** An answer that is none: it came, and lacks what it must have. */
export function garbled(asked: Asked, problem: string, cause?: unknown): CloudFailure {
  const kind = asked.writes ? 'ambiguous' : 'invalid'
  return new CloudFailure(kind, said(asked, `the answer cannot be read: ${shortened(problem)}`), { cause })
}

/** No token could be had: nothing was asked. */
export function withoutToken(error: unknown, asked: Asked): CloudFailure {
  const { status, response } = error as { readonly status?: unknown; readonly response?: { readonly status?: unknown } }
  const refusedWith = Number(response?.status ?? status ?? 0)
  const none = /could not load|unable to detect|credential/i.test(wordsOf(error))
  const kind = none || (refusedWith >= 400 && refusedWith < 500 && refusedWith !== 429) ? 'denied' : 'unreachable'
  return new CloudFailure(kind, said(asked, `no credentials: ${shortened(wordsOf(error))}`), { cause: error })
}

/** What the body of an answer with an error says; the status alone when it says nothing. */
export function refusalIn(status: number, body: unknown, retryAfter: string | null): Refusal {
  const error = objectIn(body, 'error')
  const [first] = listIn(error, 'errors')
  const reason = textIn(first, 'reason') ?? textIn(error, 'status') ?? `status ${numberIn(error, 'code') ?? status}`
  return { status, reason, message: textIn(error, 'message') ?? textIn(first, 'message') ?? '', retryAfter }
}

export function said({ api, about }: Asked, words: string): string {
  return `${api} (${about}): ${words}`
}

function kindOf({ status, reason, message }: Refusal, { writes, blocks }: Asked): FailureKind {
  if (status === 429 || /rateLimit|RATE_LIMIT|RESOURCE_EXHAUSTED$/i.test(reason)) return 'throttled'
  if (/IP_SPACE_EXHAUSTED|SUBNET\w*EXHAUSTED/i.test(reason) || /IP space .*exhausted/i.test(message))
    // With ranges asked for it may be that none is left whole: single addresses are asked for next.
    return blocks ? 'fragmented' : 'full'
  if (/quotaExceeded|QUOTA_EXCEEDED|limitExceeded/i.test(reason)) return 'limit'
  if (status === 412 || CONFLICT.test(reason)) return 'conflict'
  if (status === 404 || /^(notFound|RESOURCE_NOT_FOUND)$/.test(reason)) return 'gone'
  if (status === 401 || status === 403 || /PERMISSION_DENIED|FORBIDDEN/.test(reason)) return 'denied'
  if (status === 409) return 'conflict'
  if (status === 408 || status >= 500) return writes ? 'ambiguous' : 'unreachable'
  // An operation that was begun and failed in a way that says nothing of what it has done.
  return status === 0 ? 'ambiguous' : 'invalid'
}

const CONFLICT =
  /^(conditionNotMet|CONDITION_NOT_MET|resourceNotReady|RESOURCE_NOT_READY|resourceInUse\w*|RESOURCE_IN_USE\w*|IP_IN_USE_BY_ANOTHER_RESOURCE|RESOURCE_OPERATION_RATE_EXCEEDED)$/

function adviceFor({ status, message }: Refusal, { permissions }: Asked): string {
  if (status === 401) return ' (the credentials are not accepted)'
  if (/has not been used in project|is disabled/.test(message))
    return ' (the API compute.googleapis.com is to be enabled)'
  const named = /'(compute\.[A-Za-z.]+)'/.exec(message)?.[1]
  const lacking = named === undefined ? permissions : [named]
  return `; the role lacks includedPermissions: [${lacking.join(', ')}]`
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // fetch says `fetch failed` and why in its cause.
  const cause = error.cause instanceof Error ? `: ${wordsOf(error.cause)}` : ''
  const parts = error instanceof AggregateError ? error.errors.map(wordsOf).join(', ') : ''
  return `${error.message || parts || error.name}${cause}`
}

/** One line that people read to its end. */
function shortened(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > 400 ? `${line.slice(0, 400)}…` : line
}
