/** What this node's daemon finds wrong with objects of the cluster, as Events on them. */
import { crc32 } from 'node:zlib'
import { RESOURCES } from './cluster/kubernetes/resources.ts'
import type { Warning, Warnings } from './cluster/kubernetes/warnings.ts'
import type { Starved } from './endpoint/leases.ts'
import type { Exhausted } from './nat/exhaustion.ts'
import { protocolText } from './nat/protocols.ts'
import { socketText } from './service/frontends.ts'
import type { FailedHealthCheck } from './service/health-checks.ts'
import { type Contested, podOfClaimant } from './service/planner.ts'
import type { Clock } from './state/clock.ts'
import { pause } from './state/pause.ts'
import type { Tables } from './state/tables.ts'

/** What is looked at. */
export interface Troubles {
  readonly nodeName: string
  readonly tables: Pick<Tables, 'endpoints' | 'nodes' | 'egressPaths'>
  /** Pods without a port to leave the cluster with. */
  readonly exhausted: readonly Exhausted[]
  readonly contested: readonly Contested[]
  readonly healthChecks: readonly FailedHealthCheck[]
  /** Pools without an address for pods that wait. */
  readonly starved: readonly Starved[]
}

const LOOK_MS = 5000
/** What is the same everywhere is told by so many nodes, in case that one is about to go. */
const TELLERS = 2

export interface ClusterWarningsOptions {
  readonly troubles: () => Troubles
  readonly warnings: Pick<Warnings, 'warn'>
  readonly clock: Clock
}

/** Looks until the signal aborts. */
export async function warnCluster(
  { troubles, warnings, clock }: ClusterWarningsOptions,
  signal: AbortSignal,
): Promise<void> {
  let before: ReadonlySet<string> = new Set()
  while (!signal.aborted) {
    const now = troubles()
    const without = policiesWithoutGateway(now.tables)
    // Gateways change, and for a moment there may be none.
    const lasting = [...without].filter(policy => before.has(policy))
    before = without
    for (const warning of warningsOf(now, lasting)) warnings.warn(warning)
    await pause(clock, LOOK_MS, signal)
  }
}

/** All that is wrong now; `withoutGateway` are names of EgressPolicies. Pure. */
export function warningsOf(troubles: Troubles, withoutGateway: readonly string[]): readonly Warning[] {
  const { exhausted, contested, healthChecks, starved, nodeName } = troubles
  return [
    ...exhausted.flatMap(each => noPort(each, troubles)),
    ...contested.flatMap(each => claimedTwice(each, troubles)),
    ...healthChecks.map(each => noHealthCheck(each, nodeName)),
    ...starved.map(each => noAddress(each, nodeName)),
    ...withoutGateway.map(noGateway),
  ]
}

/** Pods of other nodes that leave by this one are not known here. */
function noPort({ pod, protocol, destination, destinationPort, tried }: Exhausted, { tables }: Troubles): Warning[] {
  const row = [...tables.endpoints].find(({ addresses }) => addresses.includes(pod))
  if (row === undefined || row.pod.name === '') return []
  const to = destinationPort === 0 ? destination : socketText(destination, destinationPort)
  const at = tried === undefined || tried.length === 0 ? '' : ` at ${tried.map(t => t.egressAddress).join(', ')}`
  const message =
    `no port is left${at} for new flows to ${protocolText(protocol)} ${to}: their packets are dropped. Give pods another ` +
    'address (masquerade.addresses), or let them keep fewer connections open there'
  return [{ object: podObject(row.pod), reason: 'NoPortLeft', message }]
}

function claimedTwice({ frontend, winner, others }: Contested, troubles: Troubles): Warning[] {
  const all = [winner, ...others]
  const isLocal = all.some(claimant => podOfClaimant(claimant) !== undefined)
  if (!isLocal && !tells(frontend, troubles)) return []
  const names = new Map(all.map(claimant => [claimant, claimantName(claimant, troubles)]))
  const rivals = (own: string): string => all.flatMap(each => (each === own ? [] : (names.get(each) ?? []))).join(', ')
  return all.flatMap(claimant => {
    const has = claimant === winner
    const message = `${frontend} is asked for by ${rivals(claimant)} too; ${has ? 'this one' : names.get(winner)} has it`
    const object = claimantObject(claimant, troubles)
    return object === undefined ? [] : [{ object, reason: 'PortClaimedTwice', message }]
  })
}

function noHealthCheck({ namespace, name, port, failure }: FailedHealthCheck, node: string): Warning {
  return {
    object: serviceObject(namespace, name),
    reason: 'HealthCheckPortTaken',
    message: `load balancers cannot ask at port ${port} of node ${node}: ${failure}`,
  }
}

function noAddress({ pool, family }: Starved, node: string): Warning {
  return {
    object: { resource: RESOURCES.nodes, name: node, namespace: '', uid: '' },
    reason: 'NoAddressLeft',
    message: `pods wait for IPv${family} addresses: pool ${pool} has none left on this node. Give it another range`,
  }
}

function noGateway(policy: string): Warning {
  return {
    object: { resource: RESOURCES.egressPolicies, name: policy, namespace: '', uid: '' },
    reason: 'NoHealthyGateway',
    message:
      'none of its gateways is healthy for some nodes with pods that it selects: what these send there is dropped',
  }
}

function policiesWithoutGateway({ egressPaths }: Troubles['tables']): ReadonlySet<string> {
  const found = new Set<string>()
  for (const { paths } of egressPaths)
    for (const { to, policy } of paths) if (to.kind === 'none' && policy !== '') found.add(policy)
  return found
}

/** Whether this node is one of those that tell of something that is the same on every node. */
export function tells(what: string, { nodeName, tables }: Pick<Troubles, 'nodeName' | 'tables'>): boolean {
  const rank = (node: string): number => crc32(`${what} ${node}`)
  const own = rank(nodeName)
  let before = 0
  for (const { name, notReady } of tables.nodes) {
    if (notReady === true || name === nodeName) continue
    const other = rank(name)
    if (other < own || (other === own && name < nodeName)) before++
    if (before === TELLERS) return false
  }
  return true
}

function claimantName(claimant: string, { tables }: Troubles): string {
  const key = podOfClaimant(claimant)
  if (key === undefined) return `Service ${claimant}`
  const pod = tables.endpoints.get(key)?.pod
  return pod === undefined ? claimant : `Pod ${pod.namespace}/${pod.name}`
}

/** Undefined for a pod that no Kubernetes has named. */
function claimantObject(claimant: string, { tables }: Troubles): Warning['object'] | undefined {
  const key = podOfClaimant(claimant)
  const pod = key === undefined ? undefined : tables.endpoints.get(key)?.pod
  if (key !== undefined) return pod === undefined || pod.name === '' ? undefined : podObject(pod)
  const [namespace = '', name = ''] = claimant.split('/')
  return serviceObject(namespace, name)
}

/** What the runtime calls a pod's uid is, for a static one, not that of its object. */
function podObject({ namespace, name }: { readonly namespace: string; readonly name: string }): Warning['object'] {
  return { resource: RESOURCES.pods, namespace, name, uid: '' }
}

function serviceObject(namespace: string, name: string): Warning['object'] {
  return { resource: RESOURCES.services, namespace, name, uid: '' }
}
