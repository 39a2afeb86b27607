/** One request for a resource, as all that answer it see it. */
import type { User } from './access/users.ts'
import type { FaultOptions, Target } from './faults/fault.ts'
import type { Resource } from './kinds/resource.ts'
import type { JsonObject } from './objects/json.ts'
import type { ResourceRoute } from './serve/route.ts'
import { qualified } from './status.ts'

export interface Call {
  readonly route: ResourceRoute
  readonly resource: Resource
  readonly query: URLSearchParams
  readonly user: User
  readonly accept: string
  /** Without parameters, in lower case. */
  readonly contentType: string
  readonly userAgent: string
  readonly body: Buffer
  /** A fault that has an older snapshot answered. */
  readonly stale: FaultOptions | undefined
}

export interface Answer {
  readonly code: number
  readonly body: readonly Buffer[]
  readonly type?: string
  readonly headers?: Readonly<Record<string, string>>
}

export function jsonAnswer(code: number, value: object, headers: Readonly<Record<string, string>> = {}): Answer {
  return { code, body: [Buffer.from(`${JSON.stringify(value)}\n`)], headers }
}

/** A Status or another object without a representation of its own. */
export function objectAnswer(value: JsonObject, code = 200): Answer {
  return jsonAnswer(code, value)
}

export function targetOf(call: Pick<Call, 'route' | 'user'>): Target {
  const { route } = call
  return { resource: qualified(route), subresource: route.subresource, verb: route.verb, user: call.user.name }
}

/** `nodes/status`, as counters name it. */
export function subjectOf({ resource, subresource }: Target): string {
  return subresource === '' ? resource : `${resource}/${subresource}`
}
