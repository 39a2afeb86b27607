/** Whether the API server lets us do what we must (SelfSubjectAccessReview, authorization.k8s.io/v1). */
import type { SourceProblem } from '../source.ts'
import type { ApiClient } from './client.ts'
import { type ApiResource, RESOURCES, resourceName } from './resources.ts'

const VERBS = ['list', 'watch'] as const

export interface Access {
  /** By resource, of which a verb is refused. */
  readonly refused: ReadonlyMap<ApiResource, SourceProblem>
  /** The server said of every verb whether it is allowed. */
  readonly answered: boolean
}

/** What is not found out is no refusal. */
export async function askAccess(
  client: Pick<ApiClient, 'create'>,
  resources: readonly ApiResource[],
  signal: AbortSignal,
): Promise<Access> {
  const asked = await Promise.all(
    resources.map(async resource => {
      const allowed = await Promise.all(VERBS.map(verb => isAllowed(client, { resource, verb }, signal)))
      return { resource, allowed, refused: VERBS.filter((_, n) => allowed[n] === false) }
    }),
  )
  const lacking = asked.filter(({ refused }) => refused.length > 0)
  return {
    refused: new Map(lacking.map(({ resource, refused }) => [resource, problemOf(resource, refused)])),
    answered: asked.every(({ allowed }) => !allowed.includes(undefined)),
  }
}

function problemOf(resource: ApiResource, verbs: readonly string[]): SourceProblem {
  const rule = `apiGroups: [${JSON.stringify(resource.group)}], resources: [${resource.plural}], verbs: [${verbs.join(', ')}]`
  return {
    place: 'RBAC',
    message: `may not ${verbs.join(' or ')} ${resourceName(resource)}; add to the ClusterRole: {${rule}}`,
  }
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
  const { status } = Object(answer) as { readonly status?: { readonly allowed?: boolean } }
  return status?.allowed
}
