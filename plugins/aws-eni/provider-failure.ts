/** What an error of EC2, of STS or of the SDK means (EC2 API reference, "Error codes for the Amazon EC2 API"). Pure. */
import type { FailureKind } from '../cloud-core/model.ts'
import { retryAfterMs, withoutAnswer } from '../cloud-core/no-answer.ts'
import { CloudFailure } from '../cloud-core/provider.ts'
import { type PolicyFor, statementsFor } from './permissions.ts'

/** Code of the error for an answer of something else, with its `status`. */
export const NOT_OF_EC2 = 'NOT_OF_EC2'

export interface Asked {
  /** Name of the call, such as AssignPrivateIpAddresses. */
  readonly api: string
  /** It changes something. */
  readonly writes: boolean
  /** What was to be done to what, for people. */
  readonly about: string
  readonly policy: PolicyFor
}

export function failureOf(error: unknown, asked: Asked, nowMs: number): CloudFailure {
  if (error instanceof CloudFailure) return error
  const answer = answerOf(error)
  if (answer === undefined)
    return new CloudFailure(kindUnanswered(error, asked), said(asked, wordsOf(error)), { cause: error })
  const kind = kindOf(answer, asked)
  const words = `${answer.code}: ${shortened(answer.message)}${adviceFor(kind, answer, asked)}`
  return new CloudFailure(kind, said(asked, words), { cause: error, retryAfterMs: answer.retryAfter(nowMs) })
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
  readonly retryAfter: (nowMs: number) => number
}

/** Of the SDK's service exceptions; undefined for all that is no answer. */
function answerOf(error: unknown): Answer | undefined {
  if (!(error instanceof Error)) return undefined
  const { $metadata, $fault, $response } = error as Error & {
    readonly $metadata?: { readonly httpStatusCode?: number }
    readonly $fault?: string
    readonly $response?: { readonly headers?: Readonly<Record<string, string>>; readonly statusCode?: number }
  }
  // Only what a service answered has a fault, its own or the client's.
  if ($fault === undefined) return undefined
  return {
    code: error.name,
    message: error.message,
    status: $metadata?.httpStatusCode ?? $response?.statusCode ?? 0,
    retryAfter: nowMs => retryAfterMs($response?.headers?.['retry-after'], nowMs),
  }
}

const CODES: Readonly<Record<string, FailureKind>> = {
  RequestLimitExceeded: 'throttled',
  Throttling: 'throttled',
  ThrottlingException: 'throttled',
  ThrottledException: 'throttled',
  RequestThrottled: 'throttled',
  TooManyRequestsException: 'throttled',
  SlowDown: 'throttled',
  'Client.RequestLimitExceeded': 'throttled',
  InsufficientFreeAddressesInSubnet: 'full',
  InsufficientCidrBlocks: 'fragmented',
  PrivateIpAddressLimitExceeded: 'limit',
  AttachmentLimitExceeded: 'limit',
  NetworkInterfaceLimitExceeded: 'limit',
  'InvalidNetworkInterfaceID.NotFound': 'gone',
  'InvalidNetworkInterfaceId.NotFound': 'gone',
  'InvalidInstanceID.NotFound': 'gone',
  'InvalidAttachmentID.NotFound': 'gone',
  IncorrectState: 'conflict',
  IncorrectInstanceState: 'conflict',
  InvalidState: 'conflict',
  'InvalidNetworkInterface.InUse': 'conflict',
  'InvalidNetworkInterface.NotFound': 'gone',
  'InvalidParameterValue.InUse': 'conflict',
  'InvalidIPAddress.InUse': 'conflict',
  DependencyViolation: 'conflict',
  ConcurrentMutationLimitExceeded: 'conflict',
  // The SDK sets its clock by the answer and the next request is right.
  RequestExpired: 'unreachable',
  RequestTimeTooSkewed: 'unreachable',
  UnauthorizedOperation: 'denied',
  AccessDenied: 'denied',
  AccessDeniedException: 'denied',
  AuthFailure: 'denied',
  Blocked: 'denied',
  ExpiredToken: 'denied',
  ExpiredTokenException: 'denied',
  IncompleteSignature: 'denied',
  InvalidClientTokenId: 'denied',
  MissingAuthenticationToken: 'denied',
  OptInRequired: 'denied',
  PendingVerification: 'denied',
  SignatureDoesNotMatch: 'denied',
  UnrecognizedClientException: 'denied',
}

function kindOf({ code, message, status }: Answer, { writes }: Asked): FailureKind {
  const known = CODES[code]
  if (known !== undefined) return known
  if (status === 429) return 'throttled'
  if (code.startsWith('InvalidParameterValue')) return kindOfParameter(message)
  // The service failed, maybe after it had done what it was asked.
  if (status >= 500 || code === 'InternalError' || code === 'InternalFailure')
    return writes ? 'ambiguous' : 'unreachable'
  return 'invalid'
}

/** EC2 says under one code what was wrong with the request and what has changed since it was made. */
function kindOfParameter(message: string): FailureKind {
  if (/not assigned|unassign|does not exist/i.test(message)) return 'gone'
  return /in use|already|not (currently )?attached/i.test(message) ? 'conflict' : 'invalid'
}

function adviceFor(kind: FailureKind, { code }: Answer, { api, policy }: Asked): string {
  if (code === 'NetworkInterfaceLimitExceeded')
    return ' (the quota "Network interfaces per Region" of the account is used up)'
  if (kind !== 'denied') return ''
  if (!PERMISSION.test(code)) return ' (the credentials are not accepted)'
  return `; the policy lacks ${statementsFor(api, policy)}`
}

/** Known by its credentials, and not allowed to. */
const PERMISSION = /^(UnauthorizedOperation|AccessDenied(Exception)?)$/

/** No answer, one that the SDK cannot read, or no credentials to ask with. */
function kindUnanswered(error: unknown, { writes }: Asked): FailureKind {
  if (isCredentialsError(error)) return 'denied'
  if (statusOf(error) >= 500) return writes ? 'ambiguous' : 'unreachable'
  if (isUnreadable(error)) return writes ? 'ambiguous' : 'invalid'
  return withoutAnswer(error, writes)
}

function isCredentialsError(error: unknown): boolean {
  return error instanceof Error && /^(CredentialsProviderError|TokenProviderError|ProviderError)$/.test(error.name)
}

/** The SDK hides the raw answer in the error of its parser. */
function isUnreadable(error: unknown): boolean {
  return error instanceof Error && ('$response' in error || statusOf(error) > 0)
}

/** Of an answer that is none of EC2's; 0 of any other error. */
function statusOf(error: unknown): number {
  const { code, status } = error as { readonly code?: unknown; readonly status?: unknown }
  return code === NOT_OF_EC2 && typeof status === 'number' ? status : 0
}

function wordsOf(error: unknown): string {
  if (isCredentialsError(error)) return `no credentials: ${shortened(messageOf(error))}`
  if (isUnreadable(error)) return `the answer cannot be read: ${shortened(messageOf(error))}`
  return `no answer: ${shortened(messageOf(error))}`
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // Several addresses were tried: the message of all together is empty.
  return error.message || (error instanceof AggregateError ? error.errors.map(messageOf).join(', ') : error.name)
}

/** Without what only AWS can decode, in one line that people read to its end. */
function shortened(text: string): string {
  const line = text
    .replace(/\s*Deserialization error: to see the raw response.*$/s, '')
    .replace(/\s*Encoded authorization failure message:.*$/s, '')
    .replace(/\s+/g, ' ')
    .trim()
  return line.length > 400 ? `${line.slice(0, 400)}…` : line
}
