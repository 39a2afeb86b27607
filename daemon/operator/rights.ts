/** Asks the API server whether it lets the operator do all that it does, and says which rule is missing when not. */
import { isAllowed } from '../cluster/kubernetes/access.ts'
import type { ApiClient } from '../cluster/kubernetes/client.ts'
import { type ApiResource, RESOURCES, resourceName } from '../cluster/kubernetes/resources.ts'
import type { SourceProblem } from '../cluster/source.ts'
import { KINDS } from '../cluster/kinds/definitions.ts'
import type { Logger } from '../plugin.ts'
import type { Clock } from '../state/clock.ts'
import { eachChange } from '../state/each-change.ts'
import { mapAtOnce } from '../state/map-at-once.ts'

export interface RightsOptions {
  readonly client: Pick<ApiClient, 'create'>
  /** Where the lease is, and its name. */
  readonly lease: { readonly namespace: string; readonly name: string }
  readonly log: Logger
  readonly clock: Clock
}

/** A rule of a Role or ClusterRole (rbac.authorization.k8s.io/v1), of one resource. */
interface Rule {
  readonly resource: ApiResource
  readonly subresource?: string
  readonly verbs: readonly string[]
  readonly name?: string
  /** Of a Role there; of a ClusterRole when absent. */
  readonly namespace?: string
}

const AGAIN_MS = 10 * 60_000
/** Somebody is at it, or the API server was away. */
const SOON_MS = 30_000
const AT_ONCE = 8

export class Rights {
  readonly #options: RightsOptions
  #problems: readonly SourceProblem[] = []

  constructor(options: RightsOptions) {
    this.#options = options
  }

  get problems(): readonly SourceProblem[] {
    return this.#problems
  }

  /** Until the signal aborts. What is not found out is no refusal. */
  async run(signal: AbortSignal): Promise<void> {
    await eachChange([], () => this.#look(signal), signal, this.#options.clock)
  }

  async #look(signal: AbortSignal): Promise<number> {
    const { client, lease, log } = this.#options
    let unknown = false
    const asked = await mapAtOnce(neededRules(lease), AT_ONCE, async ({ verbs, ...rest }) => {
      const allowed = await Promise.all(verbs.map(verb => isAllowed(client, { ...rest, verb }, signal)))
      if (allowed.includes(undefined)) unknown = true
      return { ...rest, verbs: verbs.filter((_, n) => allowed[n] === false) }
    })
    const before = new Set(this.#problems.map(({ message }) => message))
    this.#problems = asked.filter(({ verbs }) => verbs.length > 0).map(problemOf)
    for (const { message } of this.#problems)
      if (!before.has(message)) log.error({ right: message }, 'the operator lacks a right')
    return unknown || this.#problems.length > 0 ? SOON_MS : AGAIN_MS
  }
}

/** All that the operator asks of the API server. Exported for its test. */
export function neededRules({ namespace, name }: RightsOptions['lease']): readonly Rule[] {
  const { nodes, namespaces, services, pods, events, networkPolicies, serviceCidrs, definitions, leases } = RESOURCES
  const { nodeNetworks, ipPools, nodeSettings, egressPolicies } = RESOURCES
  const followed = ['list', 'watch']
  return [
    { resource: nodes, verbs: ['get', 'patch', ...followed] },
    { resource: nodes, subresource: 'status', verbs: ['patch'] },
    { resource: namespaces, verbs: followed },
    { resource: services, verbs: followed },
    { resource: pods, verbs: ['list'] },
    { resource: networkPolicies, verbs: followed },
    { resource: serviceCidrs, verbs: ['list'] },
    { resource: nodeNetworks, verbs: ['get', 'create', 'patch', 'delete', ...followed] },
    { resource: nodeNetworks, subresource: 'status', verbs: ['patch'] },
    ...[ipPools, nodeSettings, egressPolicies].flatMap(resource => [
      { resource, verbs: ['get', ...followed] },
      { resource, subresource: 'status', verbs: ['patch'] },
    ]),
    ...KINDS.map(kind => ({ resource: definitions, verbs: ['get'], name: resourceName(kind.resource) })),
    { resource: events, verbs: ['create', 'patch'] },
    { resource: leases, verbs: ['create'], namespace },
    { resource: leases, verbs: ['get', 'update'], namespace, name },
  ]
}

function problemOf({ resource, subresource, verbs, name, namespace }: Rule): SourceProblem {
  const plural = subresource === undefined ? resource.plural : `${resource.plural}/${subresource}`
  const only = name === undefined ? '' : `, resourceNames: [${name}]`
  const rule = `{apiGroups: [${JSON.stringify(resource.group)}], resources: [${plural}], verbs: [${verbs.join(', ')}]${only}}`
  const role = namespace === undefined ? 'ClusterRole' : `Role in namespace ${namespace}`
  const what = `${resourceName(resource)}${subresource === undefined ? '' : `/${subresource}`}`
  return { place: 'RBAC', message: `may not ${verbs.join(' or ')} ${what}; add to the operator's ${role}: ${rule}` }
}
