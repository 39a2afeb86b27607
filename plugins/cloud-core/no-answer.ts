/** What it means for a call when no answer came: whether the cloud may have carried it out. Pure. */
import type { FailureKind } from './model.ts'

/** Errors of the network after which the request cannot have reached anybody (errno(3), getaddrinfo(3), Node's TLS). */
const NOT_SENT =
  /^(ECONNREFUSED|ENOTFOUND|EAI_\w+|EHOSTUNREACH|ENETUNREACH|ENETDOWN|EADDRNOTAVAIL|UND_ERR_CONNECT_TIMEOUT|CERT_\w+|ERR_TLS_\w+|\w*SELF_SIGNED\w*|UNABLE_TO_\w+)$/

/** Kind of a call that ended without an answer: a change that may have been sent may have been made. */
export function withoutAnswer(error: unknown, writes: boolean): FailureKind {
  return writes && !codesOf(error).some(code => NOT_SENT.test(code)) ? 'ambiguous' : 'unreachable'
}

/** Codes of an error and of those that it was caused by, or is made of. */
export function codesOf(error: unknown, depth = 0): readonly string[] {
  if (!(error instanceof Error) || depth > 5) return []
  const own = 'code' in error && typeof error.code === 'string' ? [error.code] : []
  const parts = error instanceof AggregateError ? (error.errors as unknown[]) : []
  return [...own, ...[error.cause, ...parts].flatMap(cause => codesOf(cause, depth + 1))]
}

/** Milliseconds of a Retry-After header (RFC 9110 section 10.2.3), in seconds or as a date; 0 without one. */
export function retryAfterMs(header: unknown, nowMs: number): number {
  if (typeof header !== 'string' || header === '') return 0
  const seconds = Number(header)
  const ms = Number.isNaN(seconds) ? Date.parse(header) - nowMs : seconds * 1000
  return Number.isFinite(ms) ? Math.min(LONGEST_MS, Math.max(0, Math.ceil(ms))) : 0
}

/** Nobody waits longer because a header said so. */
const LONGEST_MS = 600_000
