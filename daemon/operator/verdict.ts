/** What the operator thinks of an object of an own kind, and how the object comes to say so. */
import { messageOf } from '../errors.ts'
import type { ApiClient } from '../cluster/kubernetes/client.ts'
import { ApiError } from '../cluster/kubernetes/api-error.ts'
import { type Condition, writeStatus } from '../cluster/kubernetes/conditions.ts'
import type { EventRecorder } from '../cluster/kubernetes/events.ts'
import type { ApiResource } from '../cluster/kubernetes/resources.ts'
import type { Clock } from '../state/clock.ts'
import { mapAtOnce } from '../state/map-at-once.ts'
import type { OwnObject } from './rows.ts'

/** A condition that holds, or does not; who sees `bad` has something to do. */
export interface Finding extends Condition {
  readonly bad: boolean
}

/** A condition that shall hold. */
export function wanted(type: string, holds: boolean, reason: string, message: string): Finding {
  return { type, status: holds ? 'True' : 'False', reason, message, bad: !holds }
}

/** A condition that shall not hold. */
export function unwanted(type: string, holds: boolean, reason: string, message: string): Finding {
  return { type, status: holds ? 'True' : 'False', reason, message, bad: holds }
}

export interface Judgement {
  readonly resource: ApiResource
  readonly object: OwnObject
  readonly conditions: readonly Finding[]
  /** Other fields of its status. */
  readonly fields?: Readonly<Record<string, number>>
}

const AT_ONCE = 16
/** Somebody else may have written to a status, and Events are forgotten: so often it is looked at although nothing has changed. */
export const LOOK_AGAIN_MS = 10 * 60_000
/** The schema takes more, a terminal does not. */
const LONGEST_MESSAGE = 1000

export interface TellerOptions {
  readonly client: Pick<ApiClient, 'get' | 'patch'>
  readonly events: Pick<EventRecorder, 'warn'>
  readonly clock: Clock
}

/** Brings judgements to the status of objects, and what is bad to Events on them. */
export class Teller {
  readonly #options: TellerOptions
  /** What each object was told last, by kind and uid. */
  #told = new Map<string, { readonly text: string; readonly atMs: number }>()

  constructor(options: TellerOptions) {
    this.#options = options
  }

  /** What could not be written, for people. These judgements are all there are. */
  async tell(judgements: readonly Judgement[], signal: AbortSignal): Promise<readonly string[]> {
    const keys = new Set(judgements.map(keyOf))
    this.#told = new Map([...this.#told].filter(([key]) => keys.has(key)))
    const failures = await mapAtOnce(judgements, AT_ONCE, judgement => this.#tellOne(judgement, signal))
    return failures.filter(failure => failure !== undefined)
  }

  async #tellOne(judgement: Judgement, signal: AbortSignal): Promise<string | undefined> {
    const { client, events, clock } = this.#options
    const { resource, object, fields } = judgement
    const { name, uid, generation } = object
    const conditions = judgement.conditions.map(conditionOf)
    const text = JSON.stringify([generation, conditions, fields])
    const last = this.#told.get(keyOf(judgement))
    if (last?.text === text && clock.now() - last.atMs < LOOK_AGAIN_MS) return undefined
    for (const { bad, reason, message } of judgement.conditions)
      if (bad) await events.warn({ resource, name, namespace: '', uid }, reason, message, signal)
    try {
      const guard = (found: unknown): void => refuseOther(found, object)
      const update = { conditions, generation, guard, ...(fields !== undefined && { fields }) }
      await writeStatus(client, { resource, name }, update, signal)
      this.#told.set(keyOf(judgement), { text, atMs: clock.now() })
      return undefined
    } catch (error) {
      signal.throwIfAborted()
      // It was deleted a moment ago.
      if (error instanceof ApiError && error.missing) return undefined
      return `${resource.kind} ${name}: ${messageOf(error)}`
    }
  }
}

function keyOf({ resource, object }: Judgement): string {
  return `${resource.kind} ${object.uid}`
}

function conditionOf({ type, status, reason, message }: Finding): Condition {
  return { type, status, reason, message: message.slice(0, LONGEST_MESSAGE) }
}

/** One of the same name that was made since is judged by itself. */
function refuseOther(found: unknown, { name, uid }: OwnObject): void {
  const { metadata } = Object(found) as { readonly metadata?: { readonly uid?: string } }
  if (metadata?.uid !== uid) throw new Error(`${name} was made anew`)
}
