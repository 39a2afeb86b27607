/** What became of a traced packet, told from what the programs left: frame, verdict, entries, what they reported. */
import { CtFlags, type CtValue, EventKind, NatFlags, type NatValue, type Tuple } from '../datapath/shared.gen.ts'
import { GATEWAY } from '../endpoint/attachment.ts'
import { dropReason } from '../flow/drop-reasons.ts'
import { nicHas } from '../datapath/nic-plan.ts'
import { fromMapped16, toMapped16 } from '../kernel/ip.ts'
import type { Address, RouteInfo } from '../kernel/kernel.ts'
import type { FrontendRow } from '../state/service-rows.ts'
import type { Entry } from './entry.ts'
import { ctKeyOf, fromA, reversed, tupleOf } from './flow-keys.ts'
import type { FlowMirror } from './flow-mirror.ts'
import { protocolNumber, type ReadFrame, readFrame, type TracePacket } from './frame.ts'
import { nodeBehind, type Owner, ownerOf } from './owners.ts'
import type { RunResult } from './private-program.ts'
import type { TraceTables } from './question.ts'
import { type WayOut, wayOut } from './way-out.ts'

/** What conntrack knew of the packet's flow before it came. */
export interface FlowTold {
  /** `untracked`: the packet is none of the programs' business, or was dropped before that. */
  readonly state: 'new' | 'opening' | 'established' | 'closing' | 'closed' | 'untracked'
  /** It travels against the direction that the flow was opened in. */
  readonly reply: boolean
  /** Of a known flow, so far; by the direction it was opened in. */
  readonly packets?: number
  readonly replyPackets?: number
  readonly ageSeconds?: number
}

export interface SocketEnd extends Owner {
  readonly address: Address
  /** Of ICMP the identifier; absent where the protocol has none. */
  readonly port?: number
}

export interface TranslationTold {
  /** `service` and `masquerade`: of who opens the flow, both where a service's backend is outside; `reply`: back to it. */
  readonly kinds: readonly ('service' | 'masquerade' | 'reply' | 'port')[]
  /** Made by this packet; else it has been there. */
  readonly made: boolean
  /** As the packet comes and goes on. */
  readonly from: { readonly source: SocketEnd; readonly destination: SocketEnd }
  readonly to: { readonly source: SocketEnd; readonly destination: SocketEnd }
  readonly service?: { readonly name: string; readonly frontend: string; readonly kind: FrontendRow['kind'] }
  /** How a new flow was given its backend. */
  readonly choice?: 'affinity' | 'flow' | 'chance' | 'fewer-flows' | 'only'
  /** How many could take it. */
  readonly backends?: number
  /** Whether a new flow goes on from its own port, or from one that was chosen. */
  readonly port?: 'kept' | 'chosen'
  /** The backend answers the client past this node. */
  readonly direct: boolean
}

/** Where the packet goes. */
export type OutcomeTold =
  | { readonly kind: 'pod'; readonly pod: string; readonly device: string }
  | { readonly kind: 'overlay'; readonly node: string; readonly tunnel: Address; readonly device: string }
  | ({ readonly kind: 'uplink'; readonly node?: string } & WayOut)
  /** To the node itself. */
  | { readonly kind: 'host' }
  /** The host's stack goes on with it, for that reason. */
  | { readonly kind: 'stack'; readonly why: 'via-stack' | 'former-pod' | 'too-long' | 'not-ours' | 'no-way' }
  /** In the service's stead, back to its sender. */
  | { readonly kind: 'answered' }
  | {
      readonly kind: 'dropped'
      readonly reason: { readonly name: string; readonly text: string; readonly whatToDo: string }
      /** What its sender is told, by the program or the host's stack. */
      readonly told?: 'reset' | 'unreachable' | 'too-big' | 'by-stack'
    }

export interface OutcomeParts {
  readonly tables: TraceTables
  readonly nodeName: string
  readonly routeTo: (address: Address) => RouteInfo | undefined
  readonly linkName: (index: number) => string | undefined
  readonly overlay: { readonly name: string; readonly mtu: number } | undefined
}

export interface Run {
  readonly entry: Entry
  readonly sent: TracePacket
  readonly frame: ReadFrame
  readonly result: RunResult
  readonly flow: FlowMirror
  /** CLOCK_MONOTONIC, in nanoseconds. */
  readonly now: bigint
}

/** Of a packet as conntrack and translations know it; of an echo the identifier stands for both ports. */
export function tupleOfPacket(packet: TracePacket): Tuple {
  const id = packet.icmp?.id ?? 0
  return {
    source: toMapped16(packet.source),
    destination: toMapped16(packet.destination),
    sourcePort: packet.sourcePort ?? id,
    destinationPort: packet.destinationPort ?? id,
    protocol: /^\d/.test(packet.protocol)
      ? Number(packet.protocol)
      : protocolNumber(packet.protocol as Parameters<typeof protocolNumber>[0], packet.source),
  }
}

/** The translation of the packet, as the programs applied it. */
export interface Applied {
  readonly value: NatValue
  readonly to: Tuple
  readonly made: boolean
}

/** Undefined for a packet that goes on as it came. What leaves in its stead may be an answer to it. */
export function appliedOf({ sent, frame, flow }: Run): Applied | undefined {
  const came = tupleOfPacket(sent)
  const value = flow.translations.lookup(came)
  if (value === undefined) return undefined
  const wrapped = (value.flags & NatFlags.NAT_DSR) !== 0
  if (!wrapped && sameEnds(tupleOfPacket(frame.packet), came)) return undefined
  return { value, to: tupleOf(value, came), made: flow.translations.taken(came)?.created !== value.created }
}

function sameEnds(a: Tuple, b: Tuple): boolean {
  return (
    Buffer.compare(a.source, b.source) === 0 &&
    Buffer.compare(a.destination, b.destination) === 0 &&
    a.sourcePort === b.sourcePort &&
    a.destinationPort === b.destinationPort
  )
}

export function flowTold(run: Run, applied: Applied | undefined): FlowTold & { readonly flags: number } {
  const came = tupleOfPacket(run.sent)
  // Conntrack knows a translated flow by the side of its backend.
  const tuple = applied !== undefined && (applied.value.flags & NatFlags.NAT_REPLY) === 0 ? applied.to : came
  const key = ctKeyOf(tuple)
  const [before, after] = [run.flow.conntrack.taken(key), run.flow.conntrack.lookup(key)]
  const flags = after?.flags ?? 0
  const known =
    before !== undefined && before.created === after?.created && before.expires > run.now ? before : undefined
  const reply = after !== undefined && fromA(tuple) !== ((flags & CtFlags.CT_ORIGIN_A) !== 0)
  if (known === undefined) return { state: after === undefined ? 'untracked' : 'new', reply, flags }
  const a = (known.flags & CtFlags.CT_ORIGIN_A) !== 0
  return {
    state: stateOf(known),
    reply,
    flags,
    packets: Number(a ? known.packetsA : known.packetsB),
    replyPackets: Number(a ? known.packetsB : known.packetsA),
    ageSeconds: Number((run.now - known.created) / 1_000_000_000n),
  }
}

function stateOf({ flags }: CtValue): FlowTold['state'] {
  const fins = flags & (CtFlags.CT_FIN_A | CtFlags.CT_FIN_B)
  if ((flags & CtFlags.CT_RST) !== 0 || fins === (CtFlags.CT_FIN_A | CtFlags.CT_FIN_B)) return 'closed'
  if (fins !== 0) return 'closing'
  return (flags & CtFlags.CT_ESTABLISHED) === 0 ? 'opening' : 'established'
}

export function translationTold(parts: OutcomeParts, run: Run, applied: Applied): TranslationTold {
  const { value, to, made } = applied
  const came = tupleOfPacket(run.sent)
  const reply = (value.flags & NatFlags.NAT_REPLY) !== 0
  const row = serviceOf(parts, run, reply ? to : came, reply)
  const masqueraded = (value.flags & NatFlags.NAT_EGRESS) !== 0
  const forward = [
    ...(value.backend === 0 ? [] : (['service'] as const)),
    ...(masqueraded ? (['masquerade'] as const) : []),
  ]
  const kinds = reply ? (['reply'] as const) : forward.length === 0 ? (['port'] as const) : forward
  const ends = (tuple: Tuple) => ({
    source: endOf(parts, tuple.source, tuple.sourcePort),
    destination: endOf(parts, tuple.destination, tuple.destinationPort),
  })
  return {
    kinds,
    made,
    from: ends(came),
    to: ends(to),
    ...(row === undefined || (value.backend === 0 && !reply) ? {} : { service: serviceTold(row) }),
    ...(made && row !== undefined && value.backend !== 0 ? choiceOf(run, row) : {}),
    ...(made ? { port: to.sourcePort === came.sourcePort ? 'kept' : 'chosen' } : {}),
    direct: (value.flags & NatFlags.NAT_DSR) !== 0,
  }
}

function serviceTold(row: FrontendRow): NonNullable<TranslationTold['service']> {
  return { name: row.service, frontend: row.key.replace(/ (inside|outside)$/, ''), kind: row.kind }
}

/** The frontend that the opener of a flow asks. */
function serviceOf({ tables }: OutcomeParts, { entry }: Run, tuple: Tuple, reply: boolean): FrontendRow | undefined {
  const [address, port] = reply ? [tuple.source, tuple.sourcePort] : [tuple.destination, tuple.destinationPort]
  const rows = [...tables.frontends.values()].filter(
    row =>
      row.address === fromMapped16(address) &&
      row.port === port &&
      protocolNumber(row.protocol.toLowerCase() as 'tcp', row.address) === tuple.protocol,
  )
  const scope = entry.program === 'pod_out' && !reply ? 'inside' : 'outside'
  return rows.find(row => row.scope === scope) ?? rows[0]
}

const CHOICES = { maglev: 'flow', random: 'chance', least: 'fewer-flows' } as const

function choiceOf(run: Run, row: FrontendRow): Pick<TranslationTold, 'choice' | 'backends'> {
  const backends = row.backends.length
  const { affinities } = run.flow
  const oldest = run.now - BigInt(row.affinitySeconds) * 1_000_000_000n
  if (row.affinitySeconds > 0 && affinities.entries().some(([key]) => (affinities.taken(key)?.used ?? -1n) >= oldest))
    return { choice: 'affinity', backends }
  if (backends < 2) return { choice: 'only', backends }
  return { choice: CHOICES[row.algorithm], backends }
}

function endOf({ tables, nodeName }: OutcomeParts, bytes: Uint8Array, port: number): SocketEnd {
  const address = fromMapped16(bytes)
  return { address, ...(port === 0 ? {} : { port }), ...ownerOf(tables, nodeName, address) }
}

/** How answers to a packet come back: as what, and what they are made. */
export function repliesTold(
  parts: OutcomeParts,
  run: Run,
  applied: Applied,
): Pick<TranslationTold, 'from' | 'to'> | undefined {
  const key = reversed(applied.to)
  const value = run.flow.translations.lookup(key)
  if (value === undefined || (value.flags & NatFlags.NAT_REPLY) === 0) return undefined
  const ends = (tuple: Tuple) => ({
    source: endOf(parts, tuple.source, tuple.sourcePort),
    destination: endOf(parts, tuple.destination, tuple.destinationPort),
  })
  return { from: ends(key), to: ends(tupleOf(value, key)) }
}

/** `flags` are those of the packet's flow. */
export function outcomeTold(parts: OutcomeParts, run: Run, applied: Applied | undefined, flags: number): OutcomeTold {
  const { result, frame } = run
  const reason = result.events.find(e => e.kind === EventKind.EVENT_DROP)?.reason ?? result.drops[0]?.reason
  if (reason !== undefined) {
    const { name, text, whatToDo } = dropReason(reason)
    const told = toldBy(run)
    return { kind: 'dropped', reason: { name, text, whatToDo }, ...(told && { told }) }
  }
  if (result.verdict === 'drop') throw new Error('the program dropped the packet and told no reason')
  if (result.verdict === 'redirect')
    return applied === undefined && isBack(run)
      ? { kind: 'answered' }
      : redirected(parts, frame.packet, cameBy(applied))
  return leftToStack(parts, run, frame.packet, flags)
}

/** Whether the frame is turned around, as that of a pod whose service leads to itself is, too. */
function isBack({ sent, frame, entry }: Run): boolean {
  return frame.packet.destination === sent.source && Buffer.compare(frame.macs.destination, entry.macs.source) === 0
}

function toldBy(run: Run): Extract<OutcomeTold, { kind: 'dropped' }>['told'] {
  if (run.result.verdict === 'stack') return 'by-stack'
  if (run.result.verdict !== 'redirect') return undefined
  const { icmp, flags } = run.frame.packet
  if (icmp === undefined) return flags?.includes('R') ? 'reset' : undefined
  const tooBig = (icmp.type === 3 && icmp.code === 4) || icmp.type === 2
  return tooBig ? 'too-big' : 'unreachable'
}

/** The interface of the flow that a packet answers. */
function cameBy(applied: Applied | undefined): number {
  return applied === undefined || (applied.value.flags & NatFlags.NAT_REPLY) === 0 ? 0 : applied.value.ifindex
}

function redirected(parts: OutcomeParts, packet: TracePacket, ingress = 0): OutcomeTold {
  const { tables, overlay, nodeName } = parts
  const { source, destination } = packet
  const row = [...tables.endpoints.values()].find(e => e.addresses.includes(destination))
  if (row !== undefined) {
    const pod = ownerOf(tables, nodeName, destination)?.pod ?? destination
    return { kind: 'pod', pod, device: row.device.name }
  }
  const far = nodeBehind(tables, destination)
  const known = far?.cloud && [...tables.cloudDevices.values()].some(nic => nicHas(nic, source))
  if (far?.path.kind === 'overlay' && !known && overlay !== undefined)
    return { kind: 'overlay', node: far.node, tunnel: far.path.tunnel, device: overlay.name }
  return leaves(parts, packet, ingress)
}

function leaves(parts: OutcomeParts, packet: TracePacket, ingress: number): OutcomeTold {
  const node = nodeBehind(parts.tables, packet.destination)?.node
  return { kind: 'uplink', ...wayOut(parts, packet, ingress), ...(node === undefined ? {} : { node }) }
}

function leftToStack(parts: OutcomeParts, { entry }: Run, packet: TracePacket, flags: number): OutcomeTold {
  const { tables, overlay } = parts
  const { destination } = packet
  if (entry.program === 'pod_in') return { kind: 'pod', pod: entry.pod ?? destination, device: entry.device.name }
  if (entry.program === 'overlay_out') return redirected(parts, packet)
  if (entry.program === 'uplink_out') return leaves(parts, packet, 0)
  if ((flags & CtFlags.CT_VIA_STACK) !== 0) return { kind: 'stack', why: 'via-stack' }
  if (tables.hostAddresses.get(destination) !== undefined || isGateway(destination)) return { kind: 'host' }
  if (tables.formerPods.get(destination) !== undefined) return { kind: 'stack', why: 'former-pod' }
  if (entry.program === 'uplink_in') return { kind: 'stack', why: 'not-ours' }
  const far = nodeBehind(tables, destination)
  const mtu = far?.path.kind === 'overlay' ? overlay?.mtu : mtuOf(parts, destination)
  return { kind: 'stack', why: mtu !== undefined && packet.size > mtu ? 'too-long' : 'no-way' }
}

/** Of pods, which is this node. */
function isGateway(address: Address): boolean {
  return address === GATEWAY[4] || address === GATEWAY[6]
}

/** Of the uplink that leads to an address. */
function mtuOf({ tables, routeTo }: OutcomeParts, address: Address): number | undefined {
  const link = routeTo(address)?.link
  return [...tables.uplinks.values()].find(row => row.index === link)?.mtu
}

/** Throws Error where the programs left no IP packet. */
export function mustRead(frame: Uint8Array): ReadFrame {
  const read = readFrame(frame)
  if (read === undefined) throw new Error('the program left no packet of IP')
  return read
}
