/** What an error of Azure Resource Manager, of Entra ID or of the SDKs means. Pure. */
import type { FailureKind } from '../cloud-core/model.ts'
import { retryAfterMs, withoutAnswer } from '../cloud-core/no-answer.ts'
import { CloudFailure } from '../cloud-core/provider.ts'
import { actionsFor } from './permissions.ts'
import { AfterAccepted } from './provider-apis.ts'

export interface Asked {
  readonly api: string
  readonly writes: boolean
  /** What was to be done to what, for people. */
  readonly about: string
  readonly permissions: readonly string[]
  /** Blocks larger than an address were asked for. */
  readonly blocks: boolean
}

export function failureOf(error: unknown, asked: Asked, nowMs: number): CloudFailure {
  if (error instanceof CloudFailure) return error
  if (isOfCredentials(error))
    return new CloudFailure('denied', said(asked, `no credentials: ${messageOf(error)}`), { cause: error })
  if (error instanceof AfterAccepted) return afterAccepted(error, asked, nowMs)
  const answer = answerOf(error)
  if (answer === undefined) {
    if (isUnreadable(error)) return garbled(asked, messageOf(error), error)
    const kind = withoutAnswer(error, asked.writes)
    return new CloudFailure(kind, said(asked, `no answer: ${messageOf(error)}`), { cause: error })
  }
  return answered(kindOf(answer, asked), answer, error, asked, nowMs)
}

/** What was begun may have been done, whatever became of the questions after it. */
function afterAccepted(error: AfterAccepted, asked: Asked, nowMs: number): CloudFailure {
  const [, code, message = ''] = FAILED.exec(error.message) ?? []
  if (code === undefined) {
    const words = `accepted, and then: ${messageOf(error)}`
    const retryAfter = answerOf(error.cause)?.retryAfter
    return new CloudFailure('ambiguous', said(asked, words), {
      cause: error,
      retryAfterMs: retryAfterMs(retryAfter, nowMs),
    })
  }
  const answer = { code, message, status: 0, retryAfter: undefined }
  const kind = kindOf(answer, asked)
  return answered(REFUSALS.has(kind) ? kind : 'ambiguous', answer, error, asked, nowMs)
}

/** Of a change that failed after it was accepted, these say that it was not made. */
const REFUSALS: ReadonlySet<FailureKind> = new Set(['full', 'fragmented', 'limit', 'conflict', 'denied'])

function answered(kind: FailureKind, answer: Answer, error: unknown, asked: Asked, nowMs: number): CloudFailure {
  const advice = kind === 'denied' ? adviceFor(answer, asked) : ''
  const words = `${answer.code}: ${shortened(answer.message)}${advice}`
  return new CloudFailure(kind, said(asked, words), {
    cause: error,
    retryAfterMs: retryAfterMs(answer.retryAfter, nowMs),
  })
}

/** An answer that is none: it came, and lacks what it must have. */
export function garbled(asked: Asked, problem: string, cause?: unknown): CloudFailure {
  const kind = asked.writes ? 'ambiguous' : 'invalid'
  return new CloudFailure(kind, said(asked, `the answer cannot be read: ${shortened(problem)}`), { cause })
}

function said({ api, about }: Asked, words: string): string {
  return `${api} (${about}): ${words}`
}

interface Answer {
  readonly code: string
  readonly message: string
  readonly status: number
  readonly retryAfter: unknown
}

/** Of the SDKs' RestError with a status. */
function answerOf(error: unknown): Answer | undefined {
  if (!(error instanceof Error)) return undefined
  const { statusCode, code, response } = error as Error & {
    readonly statusCode?: number
    readonly code?: string
    readonly response?: { readonly headers?: { get?: (name: string) => string | undefined } }
  }
  if (statusCode === undefined || statusCode === 0) return undefined
  const retryAfter = response?.headers?.get?.('retry-after')
  return { code: code ?? `status ${statusCode}`, message: error.message, status: statusCode, retryAfter }
}

/** How the SDKs tell that an operation ended badly after it was accepted. */
const FAILED = /long-running operation has failed\. (\w+)\. (.*)$/s

function kindOf({ code, message, status }: Answer, { writes, blocks }: Asked): FailureKind {
  if (status === 429 || /Throttl|TooManyRequests|TooManyCalls/i.test(code)) return 'throttled'
  if (status === 401 || status === 403 || /^(Linked)?Authorization/.test(code)) return 'denied'
  // With blocks asked for it may be that none is left whole: single addresses are asked for next.
  if (/SubnetIsFull|InsufficientSubnet|NotEnoughAddresses|AddressesExhausted/i.test(code))
    return blocks ? 'fragmented' : 'full'
  // A subscription or region without blocks has single addresses.
  if (blocks && /prefix ?length|address ?block|NotRegisteredForFeature/i.test(`${code} ${message}`)) return 'fragmented'
  if (/Exceeded|LimitReached|MaximumLimit/i.test(code)) return 'limit'
  if (status === 404 || code.endsWith('NotFound')) return 'gone'
  if (status === 409 || status === 412 || /PreconditionFailed|InProgress|Preempted|Retryable|Conflict/.test(code))
    return 'conflict'
  if (status === 408 || status >= 500) return writes ? 'ambiguous' : 'unreachable'
  // Accepted, and then failed in a way that says nothing of what it has done.
  if (status === 0) return 'ambiguous'
  return status < 400 || /^status |deserializ/i.test(`${code} ${message}`)
    ? writes
      ? 'ambiguous'
      : 'invalid'
    : 'invalid'
}

function adviceFor({ message, status }: Answer, { permissions }: Asked): string {
  if (status === 401) return ' (the credentials are not accepted)'
  const named = /action '([^']+)'/.exec(message)?.[1]
  return `; the role lacks ${actionsFor(named === undefined ? permissions : [named])}`
}

/** By the names that @azure/identity gives its errors. */
function isOfCredentials(error: unknown): boolean {
  return (
    error instanceof Error &&
    /^(AuthenticationRequiredError|AuthenticationError|AggregateAuthenticationError|CredentialUnavailableError)$/.test(
      error.name,
    )
  )
}

function isUnreadable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const parse = 'code' in error && error.code === 'PARSE_ERROR'
  return parse || error instanceof SyntaxError || error instanceof TypeError || /JSON/.test(error.message)
}

function messageOf(error: unknown): string {
  return shortened(error instanceof Error ? error.message || error.name : String(error))
}

/** One line that people read to its end. */
function shortened(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > 400 ? `${line.slice(0, 400)}…` : line
}
