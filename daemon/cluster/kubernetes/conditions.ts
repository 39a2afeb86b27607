/** Conditions in the status of an object (Kubernetes API conventions, "Typical status properties"). */
import { ApiError } from './api-error.ts'
import type { ApiClient } from './client.ts'
import type { ApiResource } from './resources.ts'

export interface Condition {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  /** One word in CamelCase, which programs test. */
  readonly reason: string
  /** For people. */
  readonly message: string
}

interface WrittenCondition extends Condition {
  readonly lastTransitionTime: string
  readonly observedGeneration?: number
}

export interface StatusUpdate {
  readonly conditions: readonly Condition[]
  /** Other fields of the status; null takes one away. */
  readonly fields?: Readonly<Record<string, unknown>>
  /** That of the object which was judged; of the object as it is now unless given. */
  readonly generation?: number
  /** Looks at the object as it is now, and throws when it is not to be written. */
  readonly guard?: (object: unknown) => void
}

/** Others may write to the same status: so often it is read again before that counts as a failure. */
const ATTEMPTS = 5

/**
 * Brings an object's status to these conditions and fields and leaves those of others. False when it was so already.
 * Throws ApiError (404 when there is no such object), ApiUnreachable, or what its guard does.
 */
export async function writeStatus(
  client: Pick<ApiClient, 'get' | 'patch'>,
  { resource, name, namespace }: { readonly resource: ApiResource; readonly name: string; readonly namespace?: string },
  update: StatusUpdate,
  signal: AbortSignal,
): Promise<boolean> {
  const place = { name, ...(namespace !== undefined && { namespace }) }
  for (let attempt = 1; ; attempt++) {
    const found = await client.get(resource, place, signal)
    update.guard?.(found)
    const object = asStatusObject(found)
    const status = merged(object, update, new Date())
    if (status === undefined) return false
    const patch = { metadata: { resourceVersion: object.metadata?.resourceVersion }, status }
    try {
      await client.patch(resource, { ...place, subresource: 'status', patch }, signal)
      return true
    } catch (error) {
      if (!(error instanceof ApiError && error.conflict) || attempt === ATTEMPTS) throw error
    }
  }
}

interface StatusObject {
  readonly metadata?: { readonly resourceVersion?: string; readonly generation?: number }
  readonly status?: Readonly<Record<string, unknown>> & { readonly conditions?: readonly WrittenCondition[] }
}

/** Objects of our own kinds, which the API server holds to their schema. */
function asStatusObject(object: unknown): StatusObject {
  return Object(object) as StatusObject
}

/** The patch of the status; undefined when nothing would change. */
function merged(
  { metadata, status }: StatusObject,
  { conditions, fields = {}, generation = metadata?.generation }: StatusUpdate,
  now: Date,
): object | undefined {
  const have = status?.conditions ?? []
  const kept = have.filter(old => !conditions.some(({ type }) => type === old.type))
  const written = conditions.map(condition => {
    const old = have.find(({ type }) => type === condition.type)
    const since = old?.status === condition.status ? old.lastTransitionTime : now.toISOString().replace(/\.\d+Z$/, 'Z')
    const seen = generation === undefined ? {} : { observedGeneration: generation }
    return { ...condition, lastTransitionTime: since, ...seen }
  })
  const all = [...kept, ...written]
  const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)
  const changed = Object.entries(fields).filter(([name, value]) => !same(status?.[name] ?? null, value))
  const conditionsChanged = !same(sorted(have), sorted(all))
  if (!conditionsChanged && changed.length === 0) return undefined
  return { ...Object.fromEntries(changed), ...(conditionsChanged && { conditions: all }) }
}

/** In one order of conditions and of their members, whoever wrote them. */
function sorted(conditions: readonly WrittenCondition[]): readonly unknown[] {
  return [...conditions]
    .sort((a, b) => (a.type < b.type ? -1 : 1))
    .map(({ type, status, reason, message, lastTransitionTime, observedGeneration }) => [
      type,
      status,
      reason,
      message,
      lastTransitionTime,
      observedGeneration ?? 0,
    ])
}
