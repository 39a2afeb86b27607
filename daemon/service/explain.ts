/** Why a client that asks for a service would be given which backend now: the programs' rules told, not run. Pure. */
import { canonicalAddress, prefixContains, toMapped16 } from '../kernel/ip.ts'
import type { BackendRow, FrontendRow, ServiceProtocol, ServiceRow, TrafficPolicy } from '../state/service-rows.ts'
import type { Tables } from '../state/tables.ts'
import { flowHash } from './flow-hash.ts'
import { candidatesOf, socketText } from './frontends.ts'
import { maglevTable } from './maglev.ts'
import { PROTOCOL_NUMBERS } from './protocol-numbers.ts'
import type { Candidate } from './select.ts'
import { tableCandidates } from './table-candidates.ts'

export interface Question {
  readonly client: string
  /** Where a flow chooses the backend its port matters. */
  readonly clientPort?: number
  readonly address: string
  readonly port: number
  readonly protocol: ServiceProtocol
}

export interface ExplainParts {
  readonly tables: Pick<Tables, 'services' | 'endpointSlices' | 'frontends' | 'endpoints' | 'hostAddresses'>
  readonly nodeName: string
  /** Of the Maglev tables. */
  readonly seed: string
  /** Whom packets of a client were given last, while that still counts. */
  readonly affinity: (frontend: FrontendRow, client: string) => Pick<BackendRow, 'address' | 'port'> | undefined
}

export type Outcome = 'backend' | 'one-of' | 'refused' | 'dropped' | 'no-service'

export interface Explanation {
  /** As which the client counts here. */
  readonly from: 'inside' | 'outside'
  readonly service?: string
  readonly frontend?: string
  readonly outcome: Outcome
  /** The one it would be given. */
  readonly backend?: string
  readonly why: string
  /** Of the Maglev table. */
  readonly place?: { readonly number: number; readonly size: number; readonly hash: number }
  readonly endpoints: readonly ExplainedEndpoint[]
}
export interface ExplainedEndpoint {
  readonly endpoint: string
  readonly node: string
  readonly zone: string
  readonly weight: number
  readonly takes: boolean
  readonly why: string
}

/** Throws InvalidAddress. */
export function explain(parts: ExplainParts, asked: Question): Explanation {
  const client = canonicalAddress(asked.client)
  const address = canonicalAddress(asked.address)
  const from: Explanation['from'] = isHere(parts, client) ? 'inside' : 'outside'
  const rows = [...parts.tables.frontends.values()].filter(row => row.address === address && row.scope === from)
  const row = rows.find(r => r.port === asked.port && r.protocol === asked.protocol)
  if (row === undefined) return { from, ...withoutService(rows, address), endpoints: [] }
  const common = {
    from,
    service: row.service,
    frontend: `${row.protocol} ${socketText(address, row.port)} (${row.kind})`,
    endpoints: endpointsOf(parts, row),
  }
  if (row.sourceRanges.length > 0 && !row.sourceRanges.some(range => prefixContains(range, client)))
    return { ...common, outcome: 'dropped', why: `the client is in none of ${row.sourceRanges.join(', ')}` }
  if (row.backends.length === 0) return { ...common, ...nobody(row) }
  return { ...common, ...choice(parts, row, { ...asked, client, address }) }
}

function isHere({ tables }: ExplainParts, client: string): boolean {
  const pods = [...tables.endpoints.values()].flatMap(row => row.addresses)
  return pods.includes(client) || [...tables.hostAddresses.values()].some(row => row.address === client)
}

function withoutService(rows: readonly FrontendRow[], address: string): Pick<Explanation, 'outcome' | 'why'> {
  const [other] = rows
  if (other === undefined) return { outcome: 'no-service', why: `no service is at ${address} for such a client` }
  const ports = rows.map(row => `${row.protocol} ${row.port}`).join(', ')
  if (!other.exclusive) return { outcome: 'no-service', why: `services of the node are at ${ports} only` }
  return { outcome: 'dropped', why: `${other.service} has no such port there, only ${ports} (service_port)` }
}

function nobody({ silent }: FrontendRow): Pick<Explanation, 'outcome' | 'why'> {
  if (silent)
    return { outcome: 'dropped', why: 'nobody on this node serves, and its policy is Local; others may be asked' }
  return { outcome: 'refused', why: 'nobody serves (no_backend)' }
}

type Choice = Pick<Explanation, 'outcome' | 'why' | 'backend' | 'place'>

function choice({ affinity, seed }: ExplainParts, row: FrontendRow, asked: Question): Choice {
  const former = affinity(row, asked.client)
  if (former !== undefined)
    return { outcome: 'backend', backend: textOf(former), why: `it was given that within ${row.affinitySeconds} s` }
  const [only, ...others] = row.backends
  if (only !== undefined && others.length === 0)
    return { outcome: 'backend', backend: textOf(only), why: 'there is no other' }
  if (row.algorithm === 'least') return { outcome: 'one-of', why: 'of two by chance the one with fewer flows' }
  if (row.algorithm === 'random') return { outcome: 'one-of', why: 'one of them by chance, by weight' }
  if (asked.clientPort === undefined)
    return { outcome: 'one-of', why: "by Maglev: the client's port decides, give it as ADDRESS:PORT" }
  return byFlow(row, { ...asked, clientPort: asked.clientPort }, seed)
}

function byFlow(row: FrontendRow, asked: Question & { readonly clientPort: number }, seed: string): Choice {
  const table = maglevTable(tableCandidates(row), row.tableSize, seed)
  const hash = flowHash({
    source: toMapped16(asked.client),
    sourcePort: asked.clientPort,
    destination: toMapped16(asked.address),
    destinationPort: asked.port,
    protocol: PROTOCOL_NUMBERS[asked.protocol],
  })
  const number = hash % row.tableSize
  const backend = row.backends[table[number] ?? 0]
  return {
    outcome: 'backend',
    ...(backend === undefined ? {} : { backend: textOf(backend) }),
    why: `its flow leads to place ${number} of ${row.tableSize}; so it does on every node with these backends`,
    place: { number, size: row.tableSize, hash },
  }
}

/** All that the service has of the frontend's family and port, and why they do or do not take new flows of it. */
function endpointsOf({ tables, nodeName }: ExplainParts, row: FrontendRow): ExplainedEndpoint[] {
  const service = tables.services.get(row.service)
  const port = service?.ports.find(p => p.name === row.portName && p.protocol === row.protocol)
  if (service === undefined || port === undefined) return []
  const slices = [...tables.endpointSlices.values()].filter(
    slice => `${slice.namespace}/${slice.service}` === row.service,
  )
  const ofFamily = candidatesOf(service, slices, port).filter(
    c => c.address.includes(':') === row.address.includes(':'),
  )
  const taking = new Set(row.backends.map(textOf))
  const policy = policyOf(service, row)
  return ofFamily.map(candidate => {
    const takes = taking.has(textOf(candidate))
    return {
      endpoint: textOf(candidate),
      node: candidate.nodeName,
      zone: candidate.zone,
      weight: candidate.weight,
      takes,
      why: takes ? whyTaking(candidate) : whyNot(candidate, policy, nodeName),
    }
  })
}

function policyOf(service: ServiceRow, { kind, scope }: FrontendRow): TrafficPolicy {
  if (kind === 'cluster-ip') return service.internalTrafficPolicy
  return scope === 'inside' ? 'Cluster' : service.externalTrafficPolicy
}

function whyTaking({ ready, hintNodes, hintZones }: Candidate): string {
  if (!ready) return 'terminating, but nobody is ready'
  return hintNodes.length + hintZones.length > 0 ? 'ready, and meant for here' : 'ready'
}

function whyNot({ ready, serving, terminating, nodeName, hintZones }: Candidate, policy: TrafficPolicy, here: string) {
  if (policy === 'Local' && nodeName !== here) return 'on another node, and the policy is Local'
  if (ready) return `meant for others (zones ${hintZones.join(', ') || 'none'})`
  return serving && terminating ? 'terminating' : 'not ready'
}

function textOf({ address, port }: Pick<BackendRow, 'address' | 'port'>): string {
  return socketText(address, port)
}
