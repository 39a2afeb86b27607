/**
 * What kube-proxy does with a packet to a service, said as a rule for one packet: a model to compare with, slow and plain.
 *
 * Sources: Kubernetes, pkg/proxy/topology.go (CategorizeEndpoints) and the filter rules of pkg/proxy/iptables/proxier.go;
 * the documentation of Service, "Traffic policies" and "Traffic distribution".
 */
import type { EndpointSliceRow, ServiceProtocol, ServiceRow, SliceEndpoint } from '../../daemon/state/service-rows.ts'

export interface Asked {
  readonly address: string
  readonly port: number
  readonly protocol: ServiceProtocol
  /** Whether the client is a pod or process of the cluster's node, or somebody elsewhere. */
  readonly from: 'inside' | 'outside'
  /** Its address, which counts only outside. */
  readonly client: string
}
export interface ModelNode {
  readonly name: string
  readonly zone: string
  readonly addresses: readonly string[]
}

/** Sorted `ADDRESS PORT` of all that may get it; `reject` and `drop` when nobody does; undefined: no service's business. */
export type Outcome = readonly string[] | 'reject' | 'drop' | undefined

export function kubeProxy(
  service: ServiceRow,
  slices: readonly EndpointSliceRow[],
  node: ModelNode,
  asked: Asked,
): Outcome {
  const six = asked.address.includes(':')
  // A proxier is of one family, and knows only services with a cluster address of it.
  if (!service.clusterIPs.some(address => address.includes(':') === six)) return undefined
  for (const port of service.ports) {
    if (port.protocol !== asked.protocol) continue
    const policy = policyAt(service, port, node, asked)
    if (policy === undefined) continue
    if (!admitted(service, asked)) return 'drop'
    const all = reachable(slices, port.name, port.protocol, six, service)
    const cluster = clusterEndpoints(all, node)
    const local = localEndpoints(all, node)
    const chosen = policy === 'Local' ? local : cluster
    if (chosen.length > 0) return chosen.map(e => `${e.address} ${e.port}`).sort()
    return all.some(usable) ? 'drop' : 'reject'
  }
  return undefined
}

function policyAt(
  service: ServiceRow,
  port: ServiceRow['ports'][number],
  node: ModelNode,
  { address, port: number, from }: Asked,
): 'Cluster' | 'Local' | undefined {
  if (service.clusterIPs.includes(address) && number === port.port)
    return from === 'inside' ? service.internalTrafficPolicy : undefined
  const external =
    ([...service.externalIPs, ...service.loadBalancerIPs].includes(address) && number === port.port) ||
    (port.nodePort !== 0 && node.addresses.includes(address) && number === port.nodePort)
  if (!external) return undefined
  return from === 'inside' ? 'Cluster' : service.externalTrafficPolicy
}

/**
 * Source ranges are for who comes through the load balancer (API reference, ServiceSpec.loadBalancerSourceRanges). Those of
 * the generator are single addresses.
 */
function admitted({ loadBalancerIPs, sourceRanges }: ServiceRow, { address, from, client }: Asked): boolean {
  if (from === 'inside' || !loadBalancerIPs.includes(address) || sourceRanges.length === 0) return true
  return sourceRanges.some(range => range.startsWith(`${client}/`))
}

interface Reachable extends SliceEndpoint {
  readonly address: string
  readonly port: number
}

function reachable(
  slices: readonly EndpointSliceRow[],
  name: string,
  protocol: ServiceProtocol,
  six: boolean,
  service: ServiceRow,
): Reachable[] {
  const found: Reachable[] = []
  for (const slice of slices)
    for (const port of slice.ports) {
      if (port.name !== name || port.protocol !== protocol) continue
      for (const endpoint of slice.endpoints) {
        const { address } = endpoint
        if (address.includes(':') !== six) continue
        const ready = endpoint.ready || service.publishNotReadyAddresses
        found.push({ ...endpoint, ready, port: port.port })
      }
    }
  return found
}

const draining = (e: Reachable): boolean => e.serving && e.terminating
const usable = (e: Reachable): boolean => e.ready || draining(e)

function clusterEndpoints(all: readonly Reachable[], node: ModelNode): readonly Reachable[] {
  const ready = all.filter(e => e.ready)
  if (ready.length === 0) return all.filter(draining)
  const byNode = ready.every(e => e.hintNodes.length > 0)
  if (byNode && ready.some(e => e.hintNodes.includes(node.name)))
    return ready.filter(e => e.hintNodes.includes(node.name))
  const byZone = node.zone !== '' && ready.every(e => e.hintZones.length > 0)
  if (byZone && ready.some(e => e.hintZones.includes(node.zone)))
    return ready.filter(e => e.hintZones.includes(node.zone))
  return ready
}

function localEndpoints(all: readonly Reachable[], node: ModelNode): readonly Reachable[] {
  const here = all.filter(e => e.nodeName === node.name)
  const ready = here.filter(e => e.ready)
  return ready.length > 0 ? ready : here.filter(draining)
}
