/** What is told of the ports that flows of pods leave the cluster with. Pure. */
import type { EgressFlow } from '../datapath/egress-flows.ts'
import { fromMapped16 } from '../kernel/ip.ts'
import type { Address } from '../kernel/kernel.ts'
import type { EgressRow } from '../state/tables.ts'
import type { HeldPorts } from './held-ports.ts'
import { inTurns } from './in-turns.ts'
import { protocolText } from './protocols.ts'
import { type PortUsage, roomOf, type WayPorts } from './port-usage.ts'
import { Addresses, type AddressUsage, type Listed, Pods, type PodUsage } from './sums.ts'
import type { PodNames } from './pod-names.ts'
import { Top } from './top.ts'
import { addressText, type NatWay, natWay, protocolOf } from './way.ts'

/** `GET /v1/nat`. */
export interface NatReport {
  /** Whether flows of pods that leave the cluster are given addresses of the node; what is open stays as it began. */
  readonly masquerade: boolean
  /** Every address that is in use or would be. */
  readonly addresses: readonly AddressUsage[]
  readonly destinations: Listed<DestinationUsage>
  readonly pods: Listed<PodUsage>
  readonly mappings: Listed<Mapping>
}

/** Ports of one address towards one destination. */
export interface DestinationUsage extends NatWay {
  readonly used: number
  readonly free: number
  /** All but those that sockets of the node hold; 1 for a protocol without ports. */
  readonly total: number
  /** Most first. */
  readonly pods: readonly { readonly pod: string; readonly used: number }[]
}

/** One flow. Ports of ICMP are identifiers, of protocols without ports 0. */
export interface Mapping {
  readonly protocol: string
  readonly pod: string
  readonly podAddress: Address
  readonly podPort: number
  readonly destination: Address
  readonly destinationPort: number
  readonly egressAddress: Address
  readonly egressPort: number
  readonly state: EgressFlow['state']
  readonly ageSeconds: number
}

export interface NatQuery {
  /** How many destinations and pods, those with most ports first; up to MOST_ROWS, as of mappings. */
  readonly top: number
  /** How many mappings, the newest first. */
  readonly mappings: number
  /** Addresses of the pods that it is asked about, as texts (`addressText`); absent for all. */
  readonly pods?: ReadonlySet<string>
}

/** What was read, at one time. */
export interface NatReading {
  readonly usage: PortUsage
  readonly held: HeldPorts
  /** Of the flows that the query asks about. */
  readonly newest: Top<EgressFlow>
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly now: bigint
}

export interface NatFacts {
  readonly masquerade: boolean
  readonly egress: readonly EgressRow[]
  readonly nameOf: PodNames
}

/** Makes the report of a reading. Costs a look at each way, in turns of the event loop. */
export async function natReport(reading: NatReading, query: NatQuery, facts: NatFacts): Promise<NatReport> {
  const { usage, held, newest, now } = reading
  const ways = new Top<readonly [text: string, ports: WayPorts]>(query.top)
  const addresses = new Addresses(held, facts.egress)
  const pods = new Pods(facts.nameOf)
  await inTurns(usage.ways, ([text, ports]) => {
    addresses.add(text, ports)
    const asked = askedOf(ports, query.pods)
    if (asked === 0) return
    ways.offer(asked, [text, ports])
    for (const [pod, used] of ports.pods()) if (query.pods?.has(pod) ?? true) pods.add(pod, text, used)
  })
  const list = ways.list().map(([text, ports]) => destinationUsage(text, ports, held, facts.nameOf))
  return {
    masquerade: facts.masquerade,
    addresses: addresses.list(),
    destinations: { total: ways.offered, list },
    pods: pods.listed(query.top),
    mappings: {
      total: newest.offered,
      list: newest.list().map(flow => mappingOf(flow, facts.nameOf, now)),
    },
  }
}

/** Flows of a way that the query is about. */
function askedOf(ports: WayPorts, pods: NatQuery['pods']): number {
  if (pods === undefined) return ports.used
  let sum = 0
  for (const [pod, used] of ports.pods()) if (pods.has(pod)) sum += used
  return sum
}

/** What `/metrics` tells: the pods that have most ports towards one destination. */
export interface TopUser extends NatWay {
  readonly pod: string
  readonly used: number
}

/** In turns of the event loop, too. */
export async function topUsers({ ways }: PortUsage, most: number, nameOf: PodNames): Promise<readonly TopUser[]> {
  const top = new Top<readonly [pod: string, way: string, used: number]>(most)
  await inTurns(ways, ([text, ports]) => {
    for (const [pod, used] of ports.pods()) top.offer(used, [pod, text, used])
  })
  return top.list().map(([pod, text, used]) => ({ pod: nameOf(pod), ...natWay(text), used }))
}

/** Ports of one way, for the report. */
export function destinationUsage(text: string, ports: WayPorts, held: HeldPorts, nameOf: PodNames): DestinationUsage {
  const pods = [...ports.pods()].map(([pod, used]) => ({ pod: nameOf(pod), used }))
  return {
    ...natWay(text),
    used: ports.used,
    ...roomOf(protocolOf(text), ports, held.count(text)),
    pods: pods.sort((a, b) => b.used - a.used),
  }
}

function mappingOf(flow: EgressFlow, nameOf: PodNames, now: bigint): Mapping {
  return {
    protocol: protocolText(flow.protocol),
    pod: nameOf(addressText(flow.pod)),
    podAddress: fromMapped16(flow.pod),
    podPort: flow.podPort,
    destination: fromMapped16(flow.destination),
    destinationPort: flow.destinationPort,
    egressAddress: fromMapped16(flow.egress),
    egressPort: flow.egressPort,
    state: flow.state,
    ageSeconds: Math.max(0, Math.floor(Number(now - flow.created) / 1e9)),
  }
}
