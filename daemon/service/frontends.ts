/** What a service is to this node: each address and port it can be spoken to at, with the backends behind it. Pure. */
import { familyOf, prefixContains } from '../kernel/ip.ts'
import { joined } from '../kernel/joined.ts'
import type { Address } from '../kernel/kernel.ts'
import type {
  BackendRow,
  EndpointSliceRow,
  Forwarding,
  FrontendRow,
  ServicePort,
  ServiceRow,
  SliceEndpoint,
  TrafficPolicy,
} from '../state/service-rows.ts'
import type { Balancing } from './balancing.ts'
import { type Candidate, type Place, selectEndpoints } from './select.ts'
import type { ZoneSpill } from './zone-spill.ts'

export interface ThisNode extends Place {
  /** Where node ports are served. */
  readonly addresses: readonly string[]
}

/** Of the node as its own processes know it. */
export const LOOPBACK: readonly Address[] = ['127.0.0.1', '::1']

/** In the order of ports and addresses; `slices` are those of the service. */
export function frontendsOf(
  service: ServiceRow,
  slices: readonly EndpointSliceRow[],
  node: ThisNode,
  balancing: Balancing,
  spill?: Pick<ZoneSpill, 'isFull'>,
): readonly FrontendRow[] {
  return service.ports.flatMap(port => {
    const candidates = candidatesOf(service, slices, port)
    return spots(service, port, node, balancing).map((spot): FrontendRow => {
      const family = familyOf(spot.address)
      const ofFamily = candidates.filter(candidate => familyOf(candidate.address) === family)
      const key = frontendKey({ ...spot, protocol: port.protocol })
      const { zoneCapacity } = service
      const isFull = (near: readonly Candidate[]): boolean =>
        zoneCapacity !== undefined && (spill?.isFull(key, near, port.protocol, zoneCapacity) ?? false)
      const backends = selectEndpoints(ofFamily, spot.policy, node, isFull).map(backendOf)
      const forwarding = forwardingOf(service, spot, ofFamily, balancing)
      return {
        key,
        address: spot.address,
        port: spot.port,
        protocol: port.protocol,
        scope: spot.scope,
        kind: spot.kind,
        exclusive: ![...node.addresses, ...LOOPBACK].includes(spot.address),
        silent: backends.length === 0 && selectEndpoints(ofFamily, 'Cluster', node).length > 0,
        service: joined(service.namespace, '/', service.name),
        portName: port.name,
        affinitySeconds: service.affinitySeconds,
        sourceRanges: spot.kind === 'load-balancer' && spot.scope === 'outside' ? service.sourceRanges : [],
        algorithm: service.algorithm ?? (spot.scope === 'outside' || balancing.inside ? 'maglev' : 'random'),
        tableSize: service.tableSize ?? balancing.tableSize,
        forwarding,
        counted: service.algorithm === 'least' || zoneCapacity !== undefined,
        backends,
        direct: forwarding === 'dsr' ? ofFamily.filter(candidate => isDirect(candidate, node)).map(backendOf) : [],
      }
    })
  })
}

/** Nodes tell each other a backend by its address alone. */
function forwardingOf(
  service: ServiceRow,
  spot: Spot,
  endpoints: readonly Candidate[],
  balancing: Balancing,
): Forwarding {
  if (!balancing.dsr || spot.scope === 'inside' || spot.policy === 'Local') return 'snat'
  // Of another node's it is not known here which addresses have node ports.
  if (spot.kind === 'node-port' && balancing.nodePortRanges.length > 0) return 'snat'
  const addresses = new Set(endpoints.map(({ address }) => address))
  return addresses.size < endpoints.length ? 'snat' : (service.forwarding ?? balancing.forwarding)
}

/** Whatever this node would choose itself: another one may be in another zone. */
function isDirect({ address, nodeName, ready, serving }: Candidate, node: ThisNode): boolean {
  return (nodeName === node.name || nodeName === '') && (ready || serving) && !node.addresses.includes(address)
}

/** Such as `TCP 10.96.0.1:443 inside`. */
export function frontendKey(row: Pick<FrontendRow, 'protocol' | 'address' | 'port' | 'scope'>): string {
  return joined(row.protocol, ' ', socketText(row.address, row.port), ' ', row.scope)
}

/** Such as `10.96.0.1:443` and `[fd00::1]:443`. */
export function socketText(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

type Spot = Pick<FrontendRow, 'address' | 'port' | 'scope' | 'kind'> & { readonly policy: TrafficPolicy }

/**
 * A service is of the families of its cluster addresses: it is nowhere else, a headless one nowhere at all.
 * Whatever comes from inside to an address that is meant for outside finds all backends, whatever its policy.
 */
function spots(service: ServiceRow, port: ServicePort, node: ThisNode, balancing: Balancing): Spot[] {
  const { clusterIPs, externalIPs, loadBalancerIPs, internalTrafficPolicy, externalTrafficPolicy } = service
  const inside = clusterIPs.map((address): Spot => {
    return { address, port: port.port, scope: 'inside', kind: 'cluster-ip', policy: internalTrafficPolicy }
  })
  const both = (kind: FrontendRow['kind'], addresses: readonly string[], number: number): Spot[] =>
    addresses.flatMap(address => [
      { address, port: number, scope: 'inside', kind, policy: 'Cluster' },
      { address, port: number, scope: 'outside', kind, policy: externalTrafficPolicy },
    ])
  const atLoopback = (address: Address): Spot => {
    return { address, port: port.nodePort, scope: 'inside', kind: 'node-port', policy: 'Cluster' }
  }
  const families = new Set(clusterIPs.map(familyOf))
  const all = [
    ...inside,
    ...both('external-ip', externalIPs, port.port),
    ...both('load-balancer', loadBalancerIPs, port.port),
    ...(port.nodePort === 0 ? [] : both('node-port', nodePortAddresses(node, balancing), port.nodePort)),
    ...(port.nodePort === 0 || !balancing.nodePortLoopback ? [] : LOOPBACK.map(atLoopback)),
  ]
  return all.filter(spot => families.has(familyOf(spot.address)))
}

function nodePortAddresses({ addresses }: ThisNode, { nodePortRanges }: Balancing): readonly Address[] {
  if (nodePortRanges.length === 0) return addresses
  return addresses.filter(address => nodePortRanges.some(range => prefixContains(range, address)))
}

/** Endpoints of all slices at the port of that name, each once, in the order of address and port. */
export function candidatesOf(service: ServiceRow, slices: readonly EndpointSliceRow[], port: ServicePort): Candidate[] {
  const found = new Map<string, Candidate>()
  for (const slice of slices)
    for (const at of slice.ports) {
      if (at.name !== port.name || at.protocol !== port.protocol) continue
      for (const endpoint of slice.endpoints) {
        const candidate = candidateOf(service, slice, endpoint, at.port)
        const key = socketText(candidate.address, candidate.port)
        // An endpoint that moves between slices stands in both for a while.
        if (found.get(key)?.ready !== true) found.set(key, candidate)
      }
    }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, candidate]) => candidate)
}

/** Field by field, for there are many of them. */
function candidateOf(
  { publishNotReadyAddresses }: ServiceRow,
  { weight }: EndpointSliceRow,
  { address, ready, serving, terminating, nodeName, zone, hintZones, hintNodes }: SliceEndpoint,
  port: number,
): Candidate {
  const serves = ready || publishNotReadyAddresses
  return { address, port, weight, ready: serves, serving, terminating, nodeName, zone, hintZones, hintNodes }
}

function backendOf({ address, port, nodeName, zone, weight, ready }: Candidate): BackendRow {
  return { address, port, node: nodeName, zone, weight, terminating: !ready }
}
