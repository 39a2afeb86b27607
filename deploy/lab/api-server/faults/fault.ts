/** What can be made to go wrong, and whom it meets. */
import { isObject, type Json, type JsonObject } from '../objects/json.ts'
import { badRequest } from '../status.ts'

/**
 * - `silent-watch`: stays open and sends nothing; watches that are open fall silent too, and stay so.
 * - `cut`: half a line, then the connection ends; open watches are cut at once.
 * - `stale`: lists and gets answer as of `revision`, by default the moment the fault was set.
 * - `too-many-requests`: 429 with `retryAfterSeconds`.
 * - `error`: the status `code`.
 * - `slow`: `delayMs` before each answer, and `bytesPerSecond` within it.
 * - `hang`: the request is read and never answered.
 * - `no-bookmarks`: watches get none.
 * - `garbage`: 200 with what is no JSON; a watch gets a line of it.
 */
const FAULT_KINDS = [
  'silent-watch',
  'cut',
  'stale',
  'too-many-requests',
  'error',
  'slow',
  'hang',
  'no-bookmarks',
  'garbage',
] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

export interface FaultOptions {
  readonly kind: FaultKind
  /** `nodes` or `deployments.apps`, or with a subresource `nodes/status`; every resource when it is left out. */
  readonly resource?: string
  /** Such as `list`; every verb when it is left out. */
  readonly verb?: string
  /** Name of the user it meets; every user when it is left out. What is asked of the server itself, such as `/faults`, is never met. */
  readonly user?: string
  /** How many requests it meets before it is over; without end when it is left out. */
  readonly count?: number
  /** By default 1. */
  readonly retryAfterSeconds?: number
  /** By default 500. */
  readonly code?: number
  readonly delayMs?: number
  readonly bytesPerSecond?: number
  readonly revision?: number
}

/** A request as faults see it. */
export interface Target {
  /** `nodes` or `deployments.apps`; empty for what is not a resource. */
  readonly resource: string
  readonly subresource: string
  readonly verb: string
  readonly user: string
}

/** Checks what came over HTTP. @throws ApiError 400 */
export function readFault(value: Json | undefined): FaultOptions {
  if (!isObject(value)) throw badRequest('a fault is an object')
  const kind = FAULT_KINDS.find(known => known === value['kind'])
  if (kind === undefined) throw badRequest(`kind must be one of ${FAULT_KINDS.join(', ')}`)
  const known = ['kind', ...TEXTS, ...NUMBERS]
  const unknown = Object.keys(value).find(name => !known.includes(name))
  if (unknown !== undefined) throw badRequest(`a fault has no ${unknown}`)
  return { kind, ...pick(value, TEXTS, 'string'), ...pick(value, NUMBERS, 'number') }
}

const TEXTS = ['resource', 'verb', 'user']
const NUMBERS = ['count', 'retryAfterSeconds', 'code', 'delayMs', 'bytesPerSecond', 'revision']

function pick(value: JsonObject, names: readonly string[], type: 'string' | 'number'): object {
  const entries = names.flatMap(name => (value[name] === undefined ? [] : [[name, value[name]] as const]))
  const wrong = entries.find(([, v]) => typeof v !== type)
  if (wrong !== undefined) throw badRequest(`${wrong[0]} must be a ${type}`)
  return Object.fromEntries(entries)
}

export function meets(fault: FaultOptions, target: Target): boolean {
  const { resource, subresource } = target
  const named = subresource === '' ? resource : `${resource}/${subresource}`
  return (
    (fault.resource === undefined || fault.resource === named) &&
    (fault.verb === undefined || fault.verb === target.verb) &&
    (fault.user === undefined || fault.user === target.user)
  )
}
