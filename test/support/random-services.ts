/** Services, their endpoints and clients at random, for comparison with `kube-proxy-model.ts`. */
import type { EndpointSliceRow, ServiceRow, SliceEndpoint } from '../../daemon/state/service-rows.ts'
import { hostPrefix } from '../../daemon/kernel/ip.ts'
import type { Address } from '../../daemon/kernel/kernel.ts'
import type { Asked } from './kube-proxy-model.ts'
import type { Random } from './random.ts'
import { PLAIN_SERVICE } from './service-row.ts'

/** What may be chosen from. */
export interface ServiceWorld {
  /** Of services, of both families each. */
  readonly cluster: readonly Address[]
  readonly external: readonly Address[]
  readonly balancer: readonly Address[]
  /** Of the node that is asked. */
  readonly node: readonly Address[]
  /** Of endpoints, with the node each is on. */
  readonly endpoints: Readonly<Record<Address, string>>
  readonly nodes: readonly string[]
  readonly zones: readonly string[]
  /** Who may be in a load balancer's source ranges or not, of both families. */
  readonly clients: readonly Address[]
}

export const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const
const POLICIES = ['Cluster', 'Local'] as const
const NODE_PORTS = 30_000
/** Ports that a service may have, and one that it never has. */
const ASKED_PORTS = [80, 81, 82, NODE_PORTS, NODE_PORTS + 1, NODE_PORTS + 2]

export function someService(random: Random, world: ServiceWorld): ServiceRow {
  const some = (all: readonly string[]): string[] => all.filter(() => random.chance(0.7))
  const type = random.pick(['ClusterIP', 'NodePort', 'LoadBalancer'] as const)
  const balanced = type === 'LoadBalancer'
  return {
    ...PLAIN_SERVICE,
    type,
    clusterIPs: some(world.cluster),
    externalIPs: some(world.external),
    loadBalancerIPs: balanced ? some(world.balancer) : [],
    sourceRanges: balanced && random.chance(0.3) ? some(world.clients).map(hostPrefix) : [],
    ports: PROTOCOLS.filter(() => random.chance(0.6)).map((protocol, i) => ({
      name: `p${i}`,
      protocol,
      port: 80 + random.below(2),
      nodePort: type === 'ClusterIP' ? 0 : NODE_PORTS + i,
    })),
    externalTrafficPolicy: random.pick(POLICIES),
    internalTrafficPolicy: random.pick(POLICIES),
    publishNotReadyAddresses: random.chance(0.1),
  }
}

function someEndpoint(random: Random, address: Address, hints: 'none' | 'some' | 'all', world: ServiceWorld) {
  const ready = random.chance(0.5)
  const terminating = !ready && random.chance(0.6)
  const hinted = (all: readonly string[]): string[] =>
    hints === 'all' || (hints === 'some' && random.chance(0.5)) ? [random.pick(all)] : []
  return {
    address,
    ready,
    serving: ready || random.chance(0.5),
    terminating,
    nodeName: world.endpoints[address] ?? '',
    zone: '',
    hintZones: hinted(world.zones),
    hintNodes: random.chance(0.5) ? hinted(world.nodes) : [],
  } satisfies SliceEndpoint
}

/** One of each family; an address stands in one slice only, as the controllers keep it. */
export function someSlices(random: Random, world: ServiceWorld): EndpointSliceRow[] {
  const hints = random.pick(['none', 'some', 'all'] as const)
  const likelihood = random.pick([0, 0.3, 0.7])
  return [false, true].map(six => ({
    namespace: PLAIN_SERVICE.namespace,
    name: `web-${six ? 6 : 4}`,
    service: PLAIN_SERVICE.name,
    ports: PROTOCOLS.map((protocol, i) => ({ name: `p${i}`, protocol, port: 8080 + i })),
    weight: 1 + random.below(3),
    endpoints: Object.keys(world.endpoints)
      .filter(address => address.includes(':') === six && random.chance(likelihood))
      .map(address => someEndpoint(random, address, hints, world)),
  }))
}

/** Every packet that may concern one of the services, or none. */
export function allAsked(world: ServiceWorld): Asked[] {
  return [...world.cluster, ...world.external, ...world.balancer, ...world.node]
    .flatMap(address => ASKED_PORTS.map(port => ({ address, port })))
    .flatMap(to => PROTOCOLS.map(protocol => ({ ...to, protocol })))
    .flatMap(to => [
      { ...to, from: 'inside' as const, client: '' },
      ...world.clients
        .filter(client => client.includes(':') === to.address.includes(':'))
        .map(client => ({ ...to, from: 'outside' as const, client })),
    ])
}
