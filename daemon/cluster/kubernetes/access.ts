/** Whether the API server lets us do what we must (SelfSubjectAccessReview, authorization.k8s.io/v1). */
import type { SourceProblem } from '../source.ts'
import type { ApiClient } from './client.ts'
import { type ApiResource, RESOURCES, resourceName } from './resources.ts'

const VERBS = ['list', 'watch'] as const

/** A problem for each resource of which a verb is refused; none when the server does not say. */
export async function missingAccess(
  client: Pick<ApiClient, 'create'>,
  resources: readonly ApiResource[],
  signal: AbortSignal,
): Promise<SourceProblem[]> {
  const found = await Promise.all(
    resources.map(async resource => {
      const allowed = await Promise.all(VERBS.map(verb => isAllowed(client, resource, verb, signal)))
      const refused = VERBS.filter((_, n) => allowed[n] === false)
      return refused.length === 0 ? [] : [problemOf(resource, refused)]
    }),
  )
  return found.flat()
}

function problemOf(resource: ApiResource, verbs: readonly string[]): SourceProblem {
  const rule = `apiGroups: [${JSON.stringify(resource.group)}], resources: [${resource.plural}], verbs: [${verbs.join(', ')}]`
  return {
    place: 'RBAC',
    message: `may not ${verbs.join(' or ')} ${resourceName(resource)}; add to the ClusterRole: {${rule}}`,
  }
}

/** Undefined when it cannot be found out, which is no refusal. */
async function isAllowed(
  client: Pick<ApiClient, 'create'>,
  { group, plural }: ApiResource,
  verb: string,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const spec = { resourceAttributes: { group, resource: plural, verb } }
  const answer = await client.create(RESOURCES.accessReviews, {}, { spec }, signal).catch(() => undefined)
  const { status } = Object(answer) as { readonly status?: { readonly allowed?: boolean } }
  return status?.allowed
}
