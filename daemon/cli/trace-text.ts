/** A trace for people, a line a step. */
import type { FlowTold, OutcomeTold, SocketEnd, TranslationTold } from '../trace/outcome.ts'
import type { TracePacket } from '../trace/frame.ts'
import type { Trace } from '../trace/tracer.ts'
import type { CommandContext } from './command.ts'
import { endText } from './flow-text.ts'
import { coloured } from './output.ts'

export function traceText(context: Pick<CommandContext, 'colour'>, trace: Trace): string {
  const { packet, enters, flow, translation, replies, outcome, leaves, notes } = trace
  const [what, place] = outcomeText(outcome)
  const colour = outcome.kind === 'dropped' ? 'red' : 'green'
  const lines: (readonly [step: string, text: string])[] = [
    ['packet', packetText(packet, { source: packet.from, destination: packet.to })],
    ['enters', `${enters.program} at ${enters.device}${enters.pod === undefined ? '' : ` of ${enters.pod}`}`],
    ['flow', flowText(flow)],
    ...(translation === undefined ? [] : translationLines(translation)),
    ...(replies === undefined
      ? []
      : [['replies', `${pairText(replies.from)} becomes ${pairText(replies.to)}`] as const]),
    [what, coloured(context, colour, place)],
    ...(outcome.kind === 'dropped' ? dropLines(outcome) : []),
    ...(leaves === undefined ? [] : [['leaves', packetText(leaves)] as const]),
    ...notes.map(note => ['note', note] as const),
  ]
  return lines.map(([step, text]) => `${step.padEnd(WIDTH)}${text}\n`).join('')
}

const WIDTH = 12

function packetText(packet: TracePacket, who: { source?: SocketEnd; destination?: SocketEnd } = {}): string {
  const { source, sourcePort, destination, destinationPort, protocol, flags, size, hops } = packet
  const from = endText({ ...who.source, address: source, ...(sourcePort === undefined ? {} : { port: sourcePort }) })
  const to = endText({
    ...who.destination,
    address: destination,
    ...(destinationPort === undefined ? {} : { port: destinationPort }),
  })
  const parts = [`${from} → ${to}  ${protocol.toUpperCase()}`, flags ?? icmpText(packet)]
  return `${parts.filter(part => part !== '').join(' ')}, ${size} bytes, hops ${hops}`
}

function icmpText({ icmp }: TracePacket): string {
  if (icmp === undefined) return ''
  return `type ${icmp.type} code ${icmp.code}${icmp.id === undefined ? '' : ` id ${icmp.id}`}`
}

function pairText({ source, destination }: TranslationTold['from']): string {
  return `${endText(source)} → ${endText(destination)}`
}

const STATES: Readonly<Record<FlowTold['state'], string>> = {
  new: 'new: conntrack knew nothing of it',
  opening: 'opening',
  established: 'established',
  closing: 'closing: one side has said its last',
  closed: 'closed',
  untracked: 'not tracked',
}

function flowText({ state, reply, packets, replyPackets, ageSeconds }: FlowTold): string {
  const way = reply ? ', a packet back' : ''
  if (packets === undefined) return `${STATES[state]}${way}`
  return `${STATES[state]} for ${ageSeconds} s, ${packets} packets there and ${replyPackets} back${way}`
}

const CHOICES: Readonly<Record<NonNullable<TranslationTold['choice']>, string>> = {
  affinity: 'which the client had before',
  flow: 'by its flow',
  chance: 'by chance',
  'fewer-flows': 'by the flows they have',
  only: 'which is the only one',
}

/** A line for what a service does, and one for an egress address or another port. */
function translationLines(translation: TranslationTold): (readonly [string, string])[] {
  const { kinds, made, from, to, service, choice, backends = 0, port, direct } = translation
  const known = made ? '' : ', as of the flow before'
  const name = service === undefined ? 'a service' : `${service.name} (${service.kind} ${service.frontend})`
  if (kinds.includes('reply')) {
    const of = service === undefined ? '' : ` of ${name}`
    return [['reply', `back to who opened the flow${of}: ${pairText(from)} becomes ${pairText(to)}${known}`]]
  }
  const why = choice === undefined ? known : `, ${CHOICES[choice]}${backends > 1 ? ` of ${backends}` : ''}`
  const past = direct ? '; it answers the client past this node' : ''
  const byPort = port === undefined ? '' : port === 'kept' ? ', port kept' : ', port chosen'
  const source = `${endText(from.source)} becomes ${endText(to.source)}${byPort}`
  const moved = from.source.address !== to.source.address || from.source.port !== to.source.port
  return [
    ...(kinds.includes('service') ? [['service', `${name} → ${endText(to.destination)}${why}${past}`] as const] : []),
    ...(kinds.includes('masquerade') ? [['masquerade', `${source}${known}`] as const] : []),
    ...(kinds.includes('masquerade') || !moved ? [] : [['source', `${source}${known}`] as const]),
  ]
}

const WHY_STACK: Readonly<Record<Extract<OutcomeTold, { kind: 'stack' }>['why'], string>> = {
  'via-stack': "the host's stack, by which the flow came",
  'former-pod': "the host's stack, behind which another CNI has the pod",
  'too-long': "the host's stack, which fragments it or tells its sender: its way does not take so much at once",
  'not-ours': "the host's stack: it is for no pod and no service here",
  'no-way': "the host's stack: the programs know no way of their own",
}

function outcomeText(outcome: OutcomeTold): readonly [string, string] {
  switch (outcome.kind) {
    case 'pod':
      return ['route', `pod ${outcome.pod} at ${outcome.device}`]
    case 'overlay':
      return ['route', `through the overlay ${outcome.device} to node ${outcome.node} (${outcome.tunnel})`]
    case 'uplink': {
      const node = outcome.node === undefined ? '' : `, to node ${outcome.node}`
      const way = outcome.via === undefined ? ', on its link' : ` via ${outcome.via}`
      const why = outcome.why === undefined ? '' : `: ${outcome.why}`
      return ['route', `${outcome.device}${way}${node}${why}`]
    }
    case 'host':
      return ['route', "the host's stack: the node itself"]
    case 'stack':
      return ['route', WHY_STACK[outcome.why]]
    case 'answered':
      return ['answered', "in the service's stead, by the device that it came by"]
    case 'dropped':
      return ['dropped', outcome.reason.name]
  }
}

const TOLD = {
  reset: 'its sender gets a reset',
  unreachable: 'its sender is told that nobody is there (ICMP)',
  'too-big': 'its sender is told how much fits (ICMP)',
  'by-stack': "the host's stack tells its sender",
} as const

function dropLines({ reason, told }: Extract<OutcomeTold, { kind: 'dropped' }>): (readonly [string, string])[] {
  return [['', reason.text], ['', reason.whatToDo], ...(told === undefined ? [] : [['answered', TOLD[told]] as const])]
}
