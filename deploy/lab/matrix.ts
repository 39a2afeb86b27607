/** The connectivity matrix: which checks there are. Pure. */
import type { Address, Family } from '../../daemon/kernel/kernel.ts'
import { podFamilies } from './configuration.ts'
import { PROBE_PORT } from './layout.ts'
import { hasService, NODE_PORT, SERVICE_NAME, SERVICE_PORT, serviceAddresses } from './service.ts'
import { familyOf, type Lab, type Station } from './state.ts'

export type Protocol = 'tcp' | 'udp' | 'icmp'

export interface Row {
  /** The way that is checked, such as `pod → pod, other node`. */
  readonly way: string
  readonly from: Station
  readonly to: Goal
  readonly port: number
  /** Undefined when it has none of the family, which it should: the row cannot hold. */
  readonly address: Address | undefined
  /** Of the sender, in the same family: what flow records carry. Undefined like the other. */
  readonly source: Address | undefined
  readonly family: Family
  readonly protocol: Protocol
  readonly bytes: number
  /** False: the packet must not arrive. */
  readonly reaches: boolean
  /** The sender's socket is seen by no program: a service is found by its packets. */
  readonly byPacket: boolean
}

/** Whom a row speaks to: a station, or the lab's service. */
export interface Goal {
  readonly name: string
  readonly kind: Station['kind'] | 'service'
  readonly addresses: readonly Address[]
}

const PROTOCOLS: readonly Protocol[] = ['tcp', 'udp', 'icmp']
const FAMILIES: readonly Family[] = [4, 6]
/** 64 kB travels as one datagram in fragments, 1 MB as several of them. */
const SIZES = [1, 1000, 64_000, 1_000_000]

interface Way {
  readonly name: string
  readonly from: Station | undefined
  readonly to: Goal | undefined
  readonly reaches: boolean
  /** Of a service; absent: that of the probe. */
  readonly port?: number
  readonly byPacket?: boolean
}

/** All rows of a lab, each node being the sender's once; and each family that its pods should have addresses of. */
export function matrix(lab: Lab): Row[] {
  return lab.nodes.flatMap((node, i) => {
    const next = lab.nodes[(i + 1) % lab.nodes.length] ?? node
    return waysFrom(lab, node.name, next.name).flatMap(way => rowsOf(way, podFamilies(lab.options)))
  })
}

function waysFrom(lab: Lab, here: string, there: string): Way[] {
  const of = (kind: Station['kind'], node: string): Station[] =>
    lab.stations.filter(s => s.kind === kind && s.node === node)
  const [pod, neighbour] = of('pod', here)
  const [host] = of('node', here)
  const [outside] = of('outside', '')
  const local: Way[] = [
    { name: 'pod → pod, same node', from: pod, to: neighbour, reaches: true },
    { name: 'pod → own node', from: pod, to: host, reaches: true },
    { name: 'node → own pod', from: host, to: pod, reaches: true },
    { name: 'outside → node', from: outside, to: host, reaches: true },
    { name: 'outside → pod, no route', from: outside, to: pod, reaches: false },
  ]
  if (hasService(lab.options)) {
    const service: Goal = { name: SERVICE_NAME, kind: 'service', addresses: serviceAddresses(lab.options) }
    const common = { to: service, port: SERVICE_PORT, reaches: true } as const
    local.push({ name: 'pod → service', from: pod, ...common })
    local.push({ name: 'pod → service, by packet', from: pod, ...common, byPacket: true })
    local.push({ name: 'node → service', from: host, ...common })
    local.push({ name: 'outside → node port', from: outside, to: nodePort(host), port: NODE_PORT, reaches: true })
  }
  if (here === there) return local
  const [remotePod] = of('pod', there)
  const [remoteHost] = of('node', there)
  if (hasService(lab.options))
    local.push({ name: 'pod → node port', from: pod, to: nodePort(remoteHost), port: NODE_PORT, reaches: true })
  return [
    ...local,
    { name: 'pod → pod, other node', from: pod, to: remotePod, reaches: true },
    { name: 'pod → other node', from: pod, to: remoteHost, reaches: true },
    { name: 'node → pod, other node', from: host, to: remotePod, reaches: true },
  ]
}

function nodePort(node: Station | undefined): Goal | undefined {
  return node && { name: `${SERVICE_NAME} at ${node.name}`, kind: 'service', addresses: node.addresses }
}

function rowsOf(
  { name, from, to, reaches, port = PROBE_PORT, byPacket = false }: Way,
  ofPods: readonly Family[],
): Row[] {
  if (from === undefined || to === undefined) return []
  const families = from.kind === 'pod' || to.kind === 'pod' || to.kind === 'service' ? ofPods : FAMILIES
  const isService = to.kind === 'service'
  return families.flatMap(family => {
    const address = to.addresses.find(a => familyOf(a) === family)
    const source = from.addresses.find(a => familyOf(a) === family)
    return PROTOCOLS.filter(protocol => !isService || protocol !== 'icmp').flatMap(protocol =>
      (reaches ? SIZES : SIZES.slice(0, 1)).map(
        (bytes): Row => ({ way: name, from, to, port, address, source, family, protocol, bytes, reaches, byPacket }),
      ),
    )
  })
}
