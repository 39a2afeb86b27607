/** The connectivity matrix: which checks there are. Pure. */
import type { Address, Family } from '../../daemon/kernel/kernel.ts'
import { isOfPodSubnet } from './aws/vpc.ts'
import { leavesCluster, podFamilies, servesSockets, zoneOf } from './configuration.ts'
import { PROBE_PORT } from './layout.ts'
import { type Chooser, chooserAddresses, CHOOSERS, DIRECT_NODE_PORT, hasService } from './service.ts'
import { NODE_PORT, SERVICE_NAME, SERVICE_PORT, serviceAddresses, WHO_PORT } from './service.ts'
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
  /** Of a service that tells who answers. */
  readonly answers?: Answers
}

/** Who answers when somebody asks many times. */
export interface Answers {
  /** Each of these, nobody else; of both families. */
  readonly addresses: readonly Address[]
  /** One of them, always the same. */
  readonly one: boolean
  /** As whom they see the client, where that is told: by one address of each family. */
  readonly seen?: readonly Address[]
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
  readonly answers?: Answers
}

/** All rows of a lab, each node being the sender's once; and each family that its pods should have addresses of. */
export function matrix(lab: Lab): Row[] {
  return lab.nodes.flatMap((node, i) => {
    const next = lab.nodes[(i + 1) % lab.nodes.length] ?? node
    const families = podFamilies(lab.options)
    const ways = roles(lab).flatMap(by => waysFrom(lab, node.name, next.name, by))
    return distinct(ways).flatMap(way => rowsOf(way, families, lab.options.cloud === undefined ? FAMILIES : families))
  })
}

/** Which pods of a node come first. In a cloud each way is gone by one on the first interface and by one on another. */
function roles({ options }: Lab): readonly ((pod: Station) => number)[] {
  if (options.cloud === undefined) return [() => 0]
  const onFurther = ({ addresses }: Station): number => (addresses.some(isOfPodSubnet) ? 1 : 0)
  return [onFurther, pod => 1 - onFurther(pod)]
}

/** Of ways that are alike in all only one. */
function distinct(ways: readonly Way[]): Way[] {
  const keyOf = ({ from, to, ...way }: Way): string => JSON.stringify([from?.name, to?.name, way])
  return [...new Map(ways.map(way => [keyOf(way), way])).values()]
}

function waysFrom(lab: Lab, here: string, there: string, by: (pod: Station) => number): Way[] {
  const of = (kind: Station['kind'], node: string): Station[] =>
    lab.stations.filter(s => s.kind === kind && s.node === node).toSorted((a, b) => by(a) - by(b))
  const pods = of('pod', here)
  const pod = pods[0]
  const neighbour = lab.options.cloud === undefined ? pods[1] : pods.findLast(one => one !== pod)
  const [host] = of('node', here)
  const [outside] = of('outside', '')
  const local: Way[] = [
    { name: 'pod → pod, same node', from: pod, to: neighbour, reaches: true },
    { name: 'pod → own node', from: pod, to: host, reaches: true },
    { name: 'node → own pod', from: host, to: pod, reaches: true },
    { name: 'outside → node', from: outside, to: host, reaches: true },
    { name: 'outside → pod, no route', from: outside, to: pod, reaches: false },
  ]
  if (leavesCluster(lab.options)) local.push(...leaving({ pod, host, outside }))
  if (hasService(lab.options)) {
    const service: Goal = { name: SERVICE_NAME, kind: 'service', addresses: serviceAddresses(lab.options) }
    const common = { to: service, port: SERVICE_PORT, reaches: true } as const
    local.push({ name: 'pod → service', from: pod, ...common })
    local.push({ name: 'pod → service, by packet', from: pod, ...common, byPacket: true })
    if (servesSockets(lab.options)) local.push({ name: 'node → service', from: host, ...common })
    local.push({ name: 'outside → node port', from: outside, to: nodePort(host), port: NODE_PORT, reaches: true })
    local.push(...choosing(lab, here, { pod, host, outside }))
  }
  if (here === there) return local
  const [remotePod] = of('pod', there)
  const [remoteHost] = of('node', there)
  if (hasService(lab.options))
    local.push({ name: 'pod → node port', from: pod, to: nodePort(remoteHost), port: NODE_PORT, reaches: true })
  const across = { name: 'pod → pod, other node', from: pod, to: remotePod, reaches: true }
  if (leavesCluster(lab.options)) local.push(...asItself(across))
  return [
    ...local,
    across,
    { name: 'pod → other node', from: pod, to: remoteHost, reaches: true },
    { name: 'node → pod, other node', from: host, to: remotePod, reaches: true },
  ]
}

interface Askers {
  readonly pod: Station | undefined
  readonly host: Station | undefined
  readonly outside: Station | undefined
}

/** Ways out of the cluster, where a pod is taken for its node. */
function leaving({ pod, host, outside }: Askers): Way[] {
  if (host === undefined || outside === undefined) return []
  const way = { name: 'pod → outside', from: pod, to: outside, reaches: true }
  const answers = { addresses: outside.addresses, one: true, seen: host.addresses }
  return [way, { ...way, name: 'pod → outside, as its node', port: WHO_PORT, answers }]
}

/** Inside the cluster a pod bears its own address. */
function asItself(way: Way): Way[] {
  if (way.from === undefined || way.to === undefined) return []
  const answers = { addresses: way.to.addresses, one: true, seen: way.from.addresses }
  return [{ ...way, name: `${way.name}, as itself`, port: WHO_PORT, answers }]
}

/** Ways to services that choose among their endpoints. */
function choosing(lab: Lab, here: string, { pod, host, outside }: Askers): Way[] {
  const pods = lab.stations.filter(s => s.kind === 'pod')
  const zone = zoneOf({ name: here })
  const last = lab.nodes.at(-1)?.name
  const among: Readonly<Record<Chooser, Answers & { readonly what: string }>> = {
    sticky: { what: 'affinity', ...answersOf(pods), one: true },
    local: { what: 'own node', ...answersOf(pods.filter(p => p.node === here)) },
    near: { what: 'own zone', ...answersOf(pods.filter(p => zoneOf({ name: p.node }) === zone)) },
    direct: { what: 'direct', ...answersOf(pods.filter(p => p.node === last)) },
  }
  const ways = (Object.keys(among) as Chooser[]).flatMap((name): Way[] => {
    const { what, ...answers } = among[name]
    const service: Goal = { name, kind: 'service', addresses: chooserAddresses(name, lab.options) }
    const inside = {
      name: `pod → service, ${what}`,
      from: pod,
      to: service,
      port: SERVICE_PORT,
      reaches: true,
      answers,
    }
    const { nodePort: port, seesClient } = CHOOSERS[name]
    return [
      inside,
      { ...inside, name: `${inside.name}, by packet`, byPacket: true },
      {
        name: `outside → node port, ${what}`,
        from: outside,
        to: nodePort(host, name),
        port,
        reaches: true,
        answers: { ...answers, ...(seesClient && outside && { seen: outside.addresses }) },
      },
    ]
  })
  // The VPC drops what bears the address of another machine.
  if (lab.options.cloud !== undefined) return ways.filter(({ to }) => to?.name !== nodePort(host, 'direct')?.name)
  const direct = { from: outside, to: nodePort(host, 'direct'), port: DIRECT_NODE_PORT, reaches: true }
  return [...ways, { name: 'outside → node port, direct', ...direct }]
}

function answersOf(pods: readonly Station[]): Answers {
  return { addresses: pods.flatMap(pod => pod.addresses), one: false }
}

function nodePort(node: Station | undefined, service: string = SERVICE_NAME): Goal | undefined {
  return node && { name: `${service} at ${node.name}`, kind: 'service', addresses: node.addresses }
}

function rowsOf(
  { name, from, to, reaches, port = PROBE_PORT, byPacket = false, answers }: Way,
  ofPods: readonly Family[],
  ofHosts: readonly Family[],
): Row[] {
  if (from === undefined || to === undefined) return []
  const families = from.kind === 'pod' || to.kind === 'pod' || to.kind === 'service' ? ofPods : ofHosts
  const isService = to.kind === 'service'
  return families.flatMap((family): Row[] => {
    const address = to.addresses.find(a => familyOf(a) === family)
    const source = from.addresses.find(a => familyOf(a) === family)
    const common = { way: name, from, to, port, address, source, family, reaches, byPacket }
    if (answers !== undefined) return [{ ...common, protocol: 'tcp', bytes: 1, answers }]
    return PROTOCOLS.filter(protocol => !isService || protocol !== 'icmp').flatMap(protocol =>
      (reaches ? SIZES : SIZES.slice(0, 1)).map((bytes): Row => ({ ...common, protocol, bytes })),
    )
  })
}
