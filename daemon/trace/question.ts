/** What is asked for, checked, and who the ends are that it names. Pure. */
import { nearest } from '../config/nearest.ts'
import { CausewayError } from '../errors.ts'
import { podName } from '../flow/names.ts'
import { addressIn, familyIn } from '../kernel/ip.ts'
import type { Address } from '../kernel/kernel.ts'
import type { FrontendRow } from '../state/service-rows.ts'
import type { EndpointRow, Tables } from '../state/tables.ts'
import { nodeBehind } from './owners.ts'
import type { TraceProtocol } from './frame.ts'

export interface TraceQuestion {
  /** A pod, `NAME` or `NAMESPACE/NAME`, or an address. */
  readonly from: string
  /** `ADDRESS`, `ADDRESS:PORT`, `[ADDRESS]:PORT`, or a service or pod, `NAME` or `NAMESPACE/NAME`, with `:PORT`. */
  readonly to: string
  /** TCP unless the service has no such port. */
  readonly protocol?: TraceProtocol
  readonly sourcePort?: number
  /** Letters of TCP's flags; what fits the flow unless given. */
  readonly flags?: string
  /** Bytes of the IP packet. */
  readonly size?: number
  /** The uplink by which it arrives. */
  readonly device?: string
  /** It arrives by an uplink, whoever has its source. */
  readonly arrives?: boolean
}

export type TraceTables = Pick<
  Tables,
  | 'endpoints'
  | 'pods'
  | 'hostAddresses'
  | 'formerPods'
  | 'nodes'
  | 'uplinks'
  | 'cloudDevices'
  | 'ipcache'
  | 'frontends'
  | 'services'
>

export interface QuestionParts {
  readonly tables: TraceTables
  readonly nodeName: string
}

/** Who sends: a pod of this node, this node, or somebody elsewhere whose packet arrives by an uplink. */
export type Sender =
  | { readonly kind: 'pod'; readonly row: EndpointRow; readonly addresses: readonly Address[] }
  | { readonly kind: 'host' | 'outside'; readonly addresses: readonly Address[] }

export interface Ends {
  readonly sender: Sender
  readonly source: Address
  readonly destination: Address
  readonly protocol: TraceProtocol
  /** 0 of ICMP. */
  readonly port: number
  /** The service that was asked for, or whose address and port were. */
  readonly service?: FrontendRow
}

/** What cannot be traced: `code` tells why, the message names the thing and the way out. */
export class TraceRefused extends CausewayError {
  /** HTTP status that the API answers it with. */
  readonly status: number
  constructor(code: string, message: string, status = 400) {
    super(code, message)
    this.status = status
  }
}

/** Throws TraceRefused. */
export function resolveEnds(parts: QuestionParts, question: TraceQuestion): Ends {
  const sender = senderOf(parts, question)
  const goal = parseGoal(question.to)
  if (goal.address !== undefined) {
    const source = ofFamily(question, sender, [goal.address])[0]
    const protocol = question.protocol ?? 'tcp'
    const port = portOf(question, goal, protocol)
    const service = frontendAt(parts, sender, goal.address, port, protocol)
    return { sender, source, destination: goal.address, protocol, port, ...(service && { service }) }
  }
  const rows = frontendsOf(parts, sender, goal)
  if (rows.length > 0) return toService(question, sender, goal, rows)
  const pod = addressesOfPod(parts, goal.name)
  if (pod.length === 0) throw unknownGoal(parts, goal.name)
  const [source, destination] = ofFamily(question, sender, pod)
  const protocol = question.protocol ?? 'tcp'
  return { sender, source, destination, protocol, port: portOf(question, goal, protocol) }
}

function senderOf({ tables, nodeName }: QuestionParts, { from, device, arrives = false }: TraceQuestion): Sender {
  const address = addressIn(from)
  const outside = device !== undefined || arrives
  if (address === undefined) {
    if (outside)
      throw new TraceRefused('BAD_SOURCE', `what arrives by a device is named by its address, and ${from} is none`)
    return podSender({ tables, nodeName }, fullName(from))
  }
  if (outside) return { kind: 'outside', addresses: [address] }
  const row = [...tables.endpoints.values()].find(e => e.addresses.includes(address))
  if (row !== undefined) return { kind: 'pod', row, addresses: [address] }
  if (tables.hostAddresses.get(address) !== undefined) return { kind: 'host', addresses: [address] }
  const pod = [...tables.pods.values()].find(p => !p.hostNetwork && p.addresses.includes(address))
  const node = pod?.nodeName ?? podNode({ tables }, address)
  if (node === nodeName)
    throw new TraceRefused('NO_POD', `${address} is of this node's pods, and no pod has it now`, 404)
  if (node !== undefined) throw elsewhere(pod ? `${pod.namespace}/${pod.name} (${address})` : address, node)
  return { kind: 'outside', addresses: [address] }
}

/** The node whose pods have an address; a node's own address is nobody's pod. */
function podNode({ tables }: Pick<QuestionParts, 'tables'>, address: Address): string | undefined {
  const row = nodeBehind(tables, address)
  return row === undefined || row.host ? undefined : row.node
}

function podSender({ tables, nodeName }: QuestionParts, name: string): Sender {
  const row = [...tables.endpoints.values()].find(e => podName(e.pod, e.key) === name)
  if (row !== undefined) return { kind: 'pod', row, addresses: row.addresses }
  const pod = tables.pods.get(name)
  if (pod === undefined) throw noPod({ tables }, name)
  if (pod.nodeName !== nodeName) throw elsewhere(name, pod.nodeName)
  if (!pod.hostNetwork)
    throw new TraceRefused('NO_POD', `${name} is to run on this node, and has no interface here yet`, 404)
  return { kind: 'host', addresses: pod.addresses }
}

function elsewhere(what: string, node: string): TraceRefused {
  const way = `ask there: causeway trace on ${node}. With --in it is told here how its packets arrive`
  return new TraceRefused('ELSEWHERE', `${what} is on ${node}; ${way}`, 409)
}

function noPod({ tables }: Pick<QuestionParts, 'tables'>, name: string): TraceRefused {
  const meant = near(name, podNames(tables))
  return new TraceRefused(
    'NO_POD',
    `there is no pod ${name}${meant}: \`causeway endpoints\` lists those of this node`,
    404,
  )
}

function podNames(tables: TraceTables): string[] {
  return [
    ...[...tables.endpoints.values()].map(e => podName(e.pod, e.key)),
    ...[...tables.pods.values()].map(p => `${p.namespace}/${p.name}`),
  ]
}

function serviceNames(tables: TraceTables): string[] {
  return [...tables.services.values()].map(s => `${s.namespace}/${s.name}`)
}

function near(name: string, known: Iterable<string>): string {
  const list = [...known]
  // Of another namespace it is the same name.
  const [, bare] = name.split('/')
  const same = list.find(candidate => candidate.endsWith(`/${bare}`))
  const meant = same ?? nearest(name, list)
  return meant === undefined ? '' : `; perhaps ${meant} is meant`
}

interface Goal {
  readonly name: string
  readonly address?: Address
  /** A number, or the name of a service's port. */
  readonly port?: string
}

function parseGoal(to: string): Goal {
  const whole = addressIn(to)
  if (whole !== undefined) return { name: to, address: whole }
  const [, bracketed, bare, port] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/.exec(to) ?? []
  const name = bracketed ?? bare ?? ''
  const address = addressIn(name)
  if (name === '' || (bracketed !== undefined && address === undefined))
    throw new TraceRefused('BAD_DESTINATION', `'${to}' is no ADDRESS:PORT, [ADDRESS]:PORT over IPv6, nor a service`)
  const common = port === undefined ? {} : { port }
  return address === undefined ? { name: fullName(name), ...common } : { name, address, ...common }
}

function portOf({ to, protocol: given }: TraceQuestion, { port }: Goal, protocol: TraceProtocol): number {
  if (protocol === 'icmp') {
    if (port === undefined) return 0
    throw new TraceRefused('BAD_DESTINATION', `ICMP has no ports: leave :${port} away`)
  }
  const number = Number(port)
  if (port !== undefined && /^\d+$/.test(port) && number > 0 && number < 65_536) return number
  const what = port === undefined ? `${to} has no port` : `:${port} is no port from 1 to 65535`
  const way = given === undefined ? ', or --protocol icmp' : ''
  throw new TraceRefused('BAD_DESTINATION', `${what}: say ADDRESS:PORT${way}`)
}

/** Source and destination of one family, IPv4 first; throws TraceRefused where there are none. */
function ofFamily({ from, to }: TraceQuestion, { addresses }: Sender, goals: readonly Address[]): [Address, Address] {
  for (const source of addresses)
    for (const goal of goals) if (familyIn(goal) === familyIn(source)) return [source, goal]
  throw new TraceRefused(
    'NO_COMMON_FAMILY',
    `${from} has ${addresses.join(', ') || 'no address'}, ${to} ${goals.join(', ')}: no family in common`,
  )
}

const scopeOf = (sender: Sender): FrontendRow['scope'] => (sender.kind === 'outside' ? 'outside' : 'inside')

function frontendAt(
  { tables }: QuestionParts,
  sender: Sender,
  address: Address,
  port: number,
  protocol: TraceProtocol,
): FrontendRow | undefined {
  return [...tables.frontends.values()].find(
    row =>
      row.address === address &&
      row.port === port &&
      row.protocol.toLowerCase() === protocol &&
      row.scope === scopeOf(sender),
  )
}

/** What is asked first of a service that has several. */
const KINDS: readonly FrontendRow['kind'][] = ['cluster-ip', 'load-balancer', 'external-ip', 'node-port', 'host-port']

function frontendsOf({ tables }: QuestionParts, sender: Sender, { name }: Goal): FrontendRow[] {
  const all = [...tables.frontends.values()].filter(row => row.service === name)
  const rows = all.filter(row => row.scope === scopeOf(sender))
  if (rows.length === 0 && all.length > 0)
    throw new TraceRefused(
      'NOT_FROM_THERE',
      `${name} has no address that somebody elsewhere can ask, only ${[...new Set(all.map(row => row.kind))].join(', ')}: trace from a pod, or make it a NodePort or LoadBalancer`,
    )
  return rows.toSorted((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind))
}

function toService(question: TraceQuestion, sender: Sender, { name, port }: Goal, all: readonly FrontendRow[]): Ends {
  const ports = [...new Set(all.map(portText))].join(', ')
  const { protocol } = question
  if (protocol === 'icmp') {
    const [source, destination] = ofFamily(
      question,
      sender,
      all.map(row => row.address),
    )
    return { sender, source, destination, protocol, port: 0 }
  }
  const ofPort = all.filter(row => port === undefined || port === `${row.port}` || port === row.portName)
  const asked = ofPort.filter(row => protocol === undefined || row.protocol.toLowerCase() === protocol)
  if (asked.length === 0)
    throw new TraceRefused('NO_PORT', `${name} has no ${protocol ?? 'port'} ${port ?? ''}; it has ${ports}`, 404)
  const kind = asked[0]?.kind
  const ofKind = asked.filter(row => row.kind === kind)
  const tcp = ofKind.filter(row => row.protocol === 'TCP')
  const rows = protocol === undefined && tcp.length > 0 ? tcp : ofKind
  if (new Set(rows.map(row => row.port)).size > 1)
    throw new TraceRefused('SEVERAL_PORTS', `${name} has several ports: say ${name}:PORT, one of ${ports}`)
  const [source, destination] = ofFamily(
    question,
    sender,
    rows.map(row => row.address),
  )
  const row = rows.find(r => r.address === destination)
  return {
    sender,
    source,
    destination,
    protocol: (row?.protocol.toLowerCase() ?? 'tcp') as TraceProtocol,
    port: row?.port ?? 0,
    ...(row && { service: row }),
  }
}

function portText({ protocol, port, portName }: FrontendRow): string {
  return `${protocol} ${port}${portName === '' ? '' : ` (${portName})`}`
}

function addressesOfPod({ tables }: QuestionParts, name: string): readonly Address[] {
  const row = [...tables.endpoints.values()].find(e => podName(e.pod, e.key) === name)
  return row?.addresses ?? tables.pods.get(name)?.addresses ?? []
}

function unknownGoal({ tables }: QuestionParts, name: string): TraceRefused {
  if (tables.services.get(name) !== undefined)
    return new TraceRefused(
      'NO_ADDRESS',
      `the service ${name} has no address of its own: trace to one of its pods`,
      404,
    )
  const meant = near(name, [...serviceNames(tables), ...podNames(tables)])
  return new TraceRefused(
    'NO_SERVICE',
    `there is no service or pod ${name}${meant}: \`causeway services\` lists services`,
    404,
  )
}

function fullName(name: string): string {
  return name.includes('/') ? name : `default/${name}`
}
