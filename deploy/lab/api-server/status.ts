/**
 * Failures as the API tells them: an object of kind Status. Words and codes are those of Kubernetes
 * (k8s.io/apimachinery pkg/api/errors, k8s.io/apiserver pkg/endpoints/handlers/responsewriters).
 */
import type { JsonObject } from './objects/json.ts'

/** What a message about an object needs to know: `nodes` or `deployments.apps`, and its name if it is about one. */
export interface About {
  readonly group: string
  readonly plural: string
}

export type Cause = { readonly reason: string; readonly message: string; readonly field: string }

/** A failure that goes to the client as it is. */
export class ApiError extends Error {
  readonly code: number
  readonly reason: string
  readonly details: JsonObject | undefined
  /** Members of the list metadata: the token that goes on after an expired one. */
  readonly metadata: JsonObject
  readonly retryAfterSeconds: number | undefined

  constructor(
    code: number,
    reason: string,
    message: string,
    more: { details?: JsonObject; metadata?: JsonObject; retryAfterSeconds?: number } = {},
  ) {
    super(message)
    this.name = 'ApiError'
    this.code = code
    this.reason = reason
    this.details = more.details
    this.metadata = more.metadata ?? {}
    this.retryAfterSeconds = more.retryAfterSeconds
  }

  /** The Status object. */
  toJSON(): JsonObject {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: this.metadata,
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      details: this.details,
      code: this.code,
    }
  }
}

/** `nodes` or `deployments.apps`. */
export function qualified({ group, plural }: About): string {
  return group === '' ? plural : `${plural}.${group}`
}

function details({ group, plural }: About, name: string): JsonObject {
  return { ...(name === '' ? {} : { name }), ...(group === '' ? {} : { group }), kind: plural }
}

export function notFound(about: About, name: string): ApiError {
  return new ApiError(404, 'NotFound', `${qualified(about)} "${name}" not found`, { details: details(about, name) })
}

export function noSuchPath(): ApiError {
  return new ApiError(404, 'NotFound', 'the server could not find the requested resource', { details: {} })
}

export function alreadyExists(about: About, name: string): ApiError {
  const message = `${qualified(about)} "${name}" already exists`
  return new ApiError(409, 'AlreadyExists', message, { details: details(about, name) })
}

export const MODIFIED =
  'the object has been modified; please apply your changes to the latest version and try again' as const

export function conflict(about: About, name: string, why: string): ApiError {
  const message = `Operation cannot be fulfilled on ${qualified(about)} "${name}": ${why}`
  return new ApiError(409, 'Conflict', message, { details: details(about, name) })
}

/** `why` is what the authorizer says, such as `User "x" cannot list resource …`. */
export function forbidden(about: About, name: string, why: string): ApiError {
  const what = name === '' ? `${qualified(about)} is forbidden` : `${qualified(about)} "${name}" is forbidden`
  return new ApiError(403, 'Forbidden', about.plural === '' ? `forbidden: ${why}` : `${what}: ${why}`, {
    details: details(about, name),
  })
}

export function unauthorized(): ApiError {
  return new ApiError(401, 'Unauthorized', 'Unauthorized')
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message)
}

export function methodNotAllowed(): ApiError {
  return new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {
    details: {},
  })
}

export function unsupportedMediaType(type: string, accepted: readonly string[]): ApiError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`
  return new ApiError(415, 'UnsupportedMediaType', `${message} (got ${type === '' ? 'none' : type})`)
}

/** 422 with every cause; `kind` is qualified by its group as in `NodeNetwork.causeway.dev`. */
export function invalid(about: { group: string; kind: string }, name: string, causes: readonly Cause[]): ApiError {
  const kind = about.group === '' ? about.kind : `${about.kind}.${about.group}`
  const each = causes.map(cause => (cause.field === '' ? cause.message : `${cause.field}: ${cause.message}`))
  const all = each.length === 1 ? (each[0] ?? '') : `[${each.join(', ')}]`
  return new ApiError(422, 'Invalid', `${kind} "${name}" is invalid: ${all}`, {
    details: {
      name,
      ...(about.group === '' ? {} : { group: about.group }),
      kind: about.kind,
      causes: causes.map(cause => ({ ...cause })),
    },
  })
}

/** 410: the history that was asked for has been forgotten. */
export function expired(message: string, metadata: JsonObject = {}): ApiError {
  return new ApiError(410, 'Expired', message, { metadata })
}

/** 504: a resourceVersion from the future. */
export function tooLargeResourceVersion(asked: number, current: number): ApiError {
  const message = `Timeout: Too large resource version: ${asked}, current: ${current}`
  return new ApiError(504, 'Timeout', message, {
    details: {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
    retryAfterSeconds: 1,
  })
}

export function tooManyRequests(retryAfterSeconds: number): ApiError {
  return new ApiError(429, 'TooManyRequests', 'Too many requests: please try again later', {
    details: { retryAfterSeconds },
    retryAfterSeconds,
  })
}

/** The answer to a deletion that left nothing behind. */
export function deleted(about: About, name: string, uid: string): JsonObject {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { ...details(about, name), uid },
  }
}
