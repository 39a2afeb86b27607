/** What the API server refuses, and what keeps us from asking it. */
import { CausewayError } from '../../errors.ts'

/** An answer of 400 or above: a `Status` object (Kubernetes API concepts, "API responses"), or text of something between. */
export class ApiError extends CausewayError {
  readonly status: number
  /** Such as `Expired` or `Forbidden`; empty when the answer was no Status. */
  readonly reason: string
  /** How long the server asks to be left alone, five minutes at most; undefined when it does not say. */
  readonly retryAfterMs: number | undefined
  /** Of its causes, such as `ResourceVersionTooLarge`. */
  readonly causes: readonly string[]

  constructor(request: string, status: number, body: string, retryAfter?: string) {
    const answer = readStatus(body)
    super('API_ERROR', `${request}: ${status} ${answer.message}`)
    this.status = status
    this.reason = answer.reason
    this.causes = answer.causes
    this.retryAfterMs = retryAfterMs(retryAfter) ?? answer.retryAfterMs
  }

  /** The resource version asked for is not kept any more: only a whole list helps. */
  get expired(): boolean {
    return this.status === 410 || this.reason === 'Expired'
  }
  get missing(): boolean {
    return this.status === 404
  }
  get forbidden(): boolean {
    return this.status === 403
  }
  get conflict(): boolean {
    return this.status === 409
  }
}

/** No server of the list could be reached, or the connection broke; each server's reason is in the message. */
export class ApiUnreachable extends CausewayError {
  constructor(message: string, options?: ErrorOptions) {
    super('API_UNREACHABLE', message, options)
  }
}

interface StatusAnswer {
  readonly message: string
  readonly reason: string
  readonly causes: readonly string[]
  readonly retryAfterMs: number | undefined
}

const LONGEST_MESSAGE = 500
/** A node that is told to wait for a day would not see its cluster for a day. */
const LONGEST_WAIT_MS = 5 * 60_000

function readStatus(body: string): StatusAnswer {
  const plain = { message: body.trim().slice(0, LONGEST_MESSAGE), reason: '', causes: [], retryAfterMs: undefined }
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch {
    return plain
  }
  // A Status is what the API server says of itself: its fields are taken where they have the form they should have.
  const { kind, message, reason, details } = Object(parsed) as Readonly<Record<string, unknown>>
  if (kind !== 'Status') return plain
  const { causes, retryAfterSeconds } = Object(details) as Readonly<Record<string, unknown>>
  return {
    message: typeof message === 'string' ? message : '',
    reason: typeof reason === 'string' ? reason : '',
    causes: (Array.isArray(causes) ? causes : []).map(cause => String((Object(cause) as { reason?: unknown }).reason)),
    retryAfterMs: typeof retryAfterSeconds === 'number' ? waitMs(retryAfterSeconds) : undefined,
  }
}

/** Only seconds: API servers do not send dates. */
function retryAfterMs(header: string | undefined): number | undefined {
  const seconds = Number(header ?? Number.NaN)
  return Number.isFinite(seconds) ? waitMs(seconds) : undefined
}

function waitMs(seconds: number): number {
  return Math.min(Math.max(0, seconds * 1000), LONGEST_WAIT_MS)
}
