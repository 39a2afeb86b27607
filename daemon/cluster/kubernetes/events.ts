/** Warnings where `kubectl describe` and `kubectl events` show them: Events (core v1) on the object concerned. */
import { createHash } from 'node:crypto'
import { messageOf } from '../../errors.ts'
import type { Logger } from '../../plugin.ts'
import type { Clock } from '../../state/clock.ts'
import { ApiError } from './api-error.ts'
import type { ApiClient } from './client.ts'
import { remember } from './remember.ts'
import { type ApiResource, apiVersionOf, RESOURCES } from './resources.ts'

export interface EventObject {
  readonly resource: ApiResource
  readonly name: string
  /** Empty for objects of no namespace, whose events are in `default`. */
  readonly namespace: string
  readonly uid: string
}

export interface EventRecorderOptions {
  readonly client: Pick<ApiClient, 'create' | 'patch'>
  readonly component: string
  /** Node or pod that reports. */
  readonly instance: string
  readonly log: Logger
  readonly clock: Clock
  /** The same words are not said again before; half an hour unless given. */
  readonly againMs?: number
}

/** The same is said again after so long, or when its words change. API servers forget events after an hour. */
export const AGAIN_MS = 30 * 60_000
/** Events that are remembered; beyond it the oldest may be said twice. */
const MOST = 10_000

/** Says each thing once in a while. An Event that cannot be written is logged and not tried again. */
export class EventRecorder {
  readonly #options: EventRecorderOptions
  readonly #said = new Map<string, { readonly atMs: number; readonly count: number }>()

  constructor(options: EventRecorderOptions) {
    this.#options = options
  }

  async warn(object: EventObject, reason: string, message: string, signal: AbortSignal): Promise<void> {
    const { clock, log, againMs = AGAIN_MS } = this.#options
    const key = JSON.stringify([object.uid, object.resource.kind, object.namespace, object.name, reason, message])
    const last = this.#said.get(key)
    if (last !== undefined && clock.now() - last.atMs < againMs) return
    const count = (last?.count ?? 0) + 1
    remember(this.#said, key, { atMs: clock.now(), count }, MOST)
    try {
      await this.#write(object, { reason, message, key, count }, signal)
    } catch (error) {
      if (!signal.aborted)
        log.warn({ object: object.name, reason, error: messageOf(error) }, 'an Event could not be written')
    }
  }

  async #write(
    { resource, name, namespace, uid }: EventObject,
    { reason, message, key, count }: { reason: string; message: string; key: string; count: number },
    signal: AbortSignal,
  ): Promise<void> {
    const { client, component, instance } = this.#options
    const place = { namespace: namespace === '' ? 'default' : namespace }
    // The same thing said by another node, or by whoever leads next, is the same Event.
    const own = eventName(name, createHash('sha256').update(`${component} ${key}`).digest('hex').slice(0, 16))
    const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z')
    const object = {
      metadata: { name: own, ...place },
      involvedObject: { apiVersion: apiVersionOf(resource), kind: resource.kind, name, namespace, uid },
      type: 'Warning',
      reason,
      message,
      source: { component, host: instance },
      reportingComponent: component,
      reportingInstance: instance,
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    }
    try {
      await client.create(RESOURCES.events, place, object, signal)
    } catch (error) {
      if (!(error instanceof ApiError && error.conflict)) throw error
      const patch = { lastTimestamp: now, ...(count > 1 && { count }) }
      await client.patch(RESOURCES.events, { ...place, name: own, patch }, signal)
    }
  }
}

/** Names of objects end at 253 letters (RFC 1123 subdomain): for one that is nearly as long the hash has to do. */
function eventName(object: string, hash: string): string {
  const name = `${object}.${hash}`
  return name.length <= 253 ? name : `object.${hash}`
}
