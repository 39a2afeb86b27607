/** Whether the API server lets us do what we must (SelfSubjectAccessReview, authorization.k8s.io/v1). */
import type { SourceProblem } from '../source.ts'
import type { ApiClient } from './client.ts'
import { type ApiResource, RESOURCES, resourceName } from './resources.ts'

type Verb = 'get' | 'list' | 'watch' | 'create' | 'patch'

/** Verbs that must be allowed. */
export interface Rights {
  readonly resource: ApiResource
  readonly subresource?: string
  readonly verbs: readonly Verb[]
}

/** What a daemon does besides watching what its source is made of: settings, the report of its node, Events. */
export const DAEMON_RIGHTS: readonly Rights[] = [
  watching(RESOURCES.nodeSettings),
  { resource: RESOURCES.nodes, verbs: ['get'] },
  { resource: RESOURCES.nodeNetworks, verbs: ['get'] },
  { resource: RESOURCES.nodeNetworks, subresource: 'status', verbs: ['patch'] },
  { resource: RESOURCES.events, verbs: ['create', 'patch'] },
  // Of which an Event needs the uid.
  { resource: RESOURCES.pods, verbs: ['get'] },
  { resource: RESOURCES.services, verbs: ['get'] },
  { resource: RESOURCES.egressPolicies, verbs: ['get'] },
]

export function watching(resource: ApiResource): Rights {
  return { resource, verbs: ['list', 'watch'] }
}

export interface Access {
  /** By right, of which a verb is refused. */
  readonly refused: ReadonlyMap<Rights, SourceProblem>
  /** The server said of every verb whether it is allowed. */
  readonly answered: boolean
}

/** What is not found out is no refusal. */
export async function askAccess(
  client: Pick<ApiClient, 'create'>,
  rights: readonly Rights[],
  signal: AbortSignal,
): Promise<Access> {
  const asked = await Promise.all(
    rights.map(async right => {
      const { verbs, ...what } = right
      const allowed = await Promise.all(verbs.map(verb => isAllowed(client, { ...what, verb }, signal)))
      return { right, allowed, refused: verbs.filter((_, n) => allowed[n] === false) }
    }),
  )
  const lacking = asked.filter(({ refused }) => refused.length > 0)
  return {
    refused: new Map(lacking.map(({ right, refused }) => [right, problemOf(right, refused)])),
    answered: asked.every(({ allowed }) => !allowed.includes(undefined)),
  }
}

function problemOf({ resource, subresource }: Rights, verbs: readonly Verb[]): SourceProblem {
  const part = subresource === undefined ? '' : `/${subresource}`
  const rule = `apiGroups: [${JSON.stringify(resource.group)}], resources: [${resource.plural}${part}], verbs: [${verbs.join(', ')}]`
  const what = `${subresource === undefined ? '' : `the ${subresource} of `}${resourceName(resource)}`
  return { place: 'RBAC', message: `may not ${verbs.join(' or ')} ${what}; add to the ClusterRole: {${rule}}` }
}

/** What somebody may do; in all namespaces, and with objects of all names, unless one is given. */
export interface Right {
  readonly resource: ApiResource
  readonly subresource?: string
  readonly verb: string
  readonly namespace?: string
  readonly name?: string
}

/** Undefined when it cannot be found out. */
export async function isAllowed(
  client: Pick<ApiClient, 'create'>,
  { resource: { group, plural }, ...rest }: Right,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const spec = { resourceAttributes: { group, resource: plural, ...rest } }
  const answer = await client.create(RESOURCES.accessReviews, {}, { spec }, signal).catch(() => undefined)
  const { status } = Object(answer) as { readonly status?: { readonly allowed?: unknown } }
  const allowed = status?.allowed
  return typeof allowed === 'boolean' ? allowed : undefined
}
