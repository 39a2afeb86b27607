/** Flow records as lines for people. */
import type { FlowLine } from '../flow/flows.ts'
import type { FlowEnd, FlowRecord } from '../flow/record.ts'
import type { CommandContext } from './command.ts'
import { coloured } from './output.ts'
import { byteSize } from './units.ts'

/** Prints records; what to do about a drop is said at the first of its reason only. */
export class FlowPrinter {
  readonly #context: Pick<CommandContext, 'colour'>
  readonly #explained = new Set<string>()

  constructor(context: Pick<CommandContext, 'colour'>) {
    this.#context = context
  }

  print(line: FlowLine): string {
    if ('lost' in line) return coloured(this.#context, 'yellow', `lost ${line.lost} events: too slow a reader`) + '\n'
    const parts = [
      coloured(this.#context, 'dim', line.time),
      `${endText(line.source)} → ${endText(line.destination)}`,
      protocolText(line),
      placeText(line),
      this.#verdict(line),
    ]
    return `${parts.join('  ')}\n${this.#whatToDo(line)}`
  }

  #verdict(record: FlowRecord): string {
    if (record.verdict === 'forwarded') return coloured(this.#context, 'green', momentText(record))
    const rule = record.rule === undefined ? '' : ` by rule ${record.rule}`
    return coloured(this.#context, 'red', `dropped${rule}: ${record.reason?.name ?? 'unknown'}`)
  }

  #whatToDo({ reason }: FlowRecord): string {
    if (!reason || this.#explained.has(reason.name)) return ''
    this.#explained.add(reason.name)
    return `    ${reason.text}\n    ${reason.whatToDo}\n`
  }
}

/** One side of a flow: `POD (ADDRESS:PORT)`, `node NODE (ADDRESS)`, or the address alone. */
export function endText({ address, port, pod, node }: FlowEnd): string {
  if (address === undefined) return '-'
  const shown = port === undefined ? address : address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
  const name = pod ?? (node === undefined ? undefined : `node ${node}`)
  return name === undefined ? shown : `${name} (${shown})`
}

/** The pod behind the device is named where neither end says it. */
function placeText({ hook, interface: seen, source, destination }: FlowRecord): string {
  const named = seen.pod === undefined || [source.pod, destination.pod].includes(seen.pod)
  const place = `${hook} at ${seen.name ?? `interface ${seen.index}`}`
  return named ? place : `${place} of ${seen.pod}`
}

function protocolText({ protocol, icmp, tcpFlags, reply }: FlowRecord): string {
  const parts = [
    protocol,
    ...(icmp ? [`type ${icmp.type} code ${icmp.code}`] : []),
    ...(tcpFlags && tcpFlags.length > 0 ? [tcpFlags.join(',')] : []),
    ...(reply ? ['back'] : []),
  ]
  return parts.join(' ')
}

/** `opened`, `answered`, `ended`: a flow that ended says how much went each way. */
function momentText({ moment, flow }: FlowRecord): string {
  if (moment === 'first') return 'opened'
  if (moment === 'reply') return 'answered'
  if (moment !== 'end' || !flow) return 'forwarded'
  const there = `${flow.packets} packets, ${byteSize(flow.bytes)}`
  return `ended after ${there} there and ${flow.replyPackets}, ${byteSize(flow.replyBytes)} back`
}
