/** Whether the definitions that a cluster has of the own kinds are those of this build. */
import { messageOf } from '../../errors.ts'
import { ApiError } from '../kubernetes/api-error.ts'
import type { ApiClient } from '../kubernetes/client.ts'
import { RESOURCES, resourceName } from '../kubernetes/resources.ts'
import { KINDS } from './definitions.ts'
import { type Kind, REVISION_ANNOTATION } from './kind.ts'

/**
 * `unserved`: it serves versions, and not the one that this build reads. `unknown`: the API server does not say. Whatever
 * is `newer` is good: a newer definition takes what an older build writes.
 */
export type DefinitionState = 'current' | 'newer' | 'older' | 'absent' | 'unserved' | 'unknown'

export interface InstalledDefinition {
  /** Such as `ippools.causeway.dev`. */
  readonly name: string
  /** Of the definition; empty when there is none. */
  readonly uid: string
  readonly state: DefinitionState
  /** For people, with the way out. */
  readonly message: string
}

export const GOOD_STATES: readonly DefinitionState[] = ['current', 'newer']

const UPGRADE = 'causeway crds | kubectl apply --server-side -f -'

interface Definition {
  readonly metadata?: { readonly uid?: string; readonly annotations?: Readonly<Record<string, string>> }
  readonly spec?: { readonly versions?: readonly { readonly name?: string; readonly served?: boolean }[] }
}

/** `found`: the CustomResourceDefinition as the API server has it; undefined when it has none. Pure. */
export function judgeDefinition({ resource, revision }: Kind, found: unknown): InstalledDefinition {
  const name = resourceName(resource)
  if (found === undefined) return { name, uid: '', state: 'absent', message: `is not installed: ${UPGRADE}` }
  const { metadata, spec } = Object(found) as Definition
  const uid = metadata?.uid ?? ''
  const served = (spec?.versions ?? []).filter(version => version.served === true).map(version => version.name ?? '')
  if (!served.includes(resource.version))
    return {
      name,
      uid,
      state: 'unserved',
      message: `serves ${served.join(', ') || 'nothing'}, and this build reads ${resource.version}: run a newer build, or serve that version again`,
    }
  const written = metadata?.annotations?.[REVISION_ANNOTATION] ?? ''
  // Before there were revisions.
  const has = /^\d+$/.test(written) ? Number(written) : 0
  if (has === revision) return { name, uid, state: 'current', message: `revision ${revision}` }
  if (has > revision)
    return {
      name,
      uid,
      state: 'newer',
      message: `revision ${has}, this build has ${revision}; what only the newer knows is kept`,
    }
  return {
    name,
    uid,
    state: 'older',
    message: `revision ${has} is older than ${revision} of this build, whose further fields are lost there: ${UPGRADE} (helm upgrade leaves definitions as they are)`,
  }
}

/** Asks for each. Rejects only when the signal aborts. */
export async function installedDefinitions(
  client: Pick<ApiClient, 'get'>,
  signal: AbortSignal,
): Promise<readonly InstalledDefinition[]> {
  return await Promise.all(
    KINDS.map(async kind => {
      const name = resourceName(kind.resource)
      try {
        return judgeDefinition(kind, await client.get(RESOURCES.definitions, { name }, signal))
      } catch (error) {
        signal.throwIfAborted()
        if (error instanceof ApiError && error.missing) return judgeDefinition(kind, undefined)
        return { name, uid: '', state: 'unknown' as const, message: messageOf(error) }
      }
    }),
  )
}
