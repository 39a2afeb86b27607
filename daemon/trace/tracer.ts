/**
 * Traces packets: what is asked for becomes a frame, a program that is loaded beside the live one runs on it, and what it
 * left is told. Nothing of the node's live state changes.
 */
import type { ProgramConstants } from '../datapath/constants.ts'
import { CtFlags } from '../datapath/shared.gen.ts'
import type { Net } from '../kernel/kernel.ts'
import { type Entry, entryOf } from './entry.ts'
import { ctKeyOf, tupleOf } from './flow-keys.ts'
import { buildFrame, leastSize, type TracePacket, TCP_FLAGS, type Wanted } from './frame.ts'
import {
  appliedOf,
  flowTold,
  type FlowTold,
  mustRead,
  outcomeTold,
  type OutcomeTold,
  type OutcomeParts,
  repliesTold,
  type Run,
  type SocketEnd,
  tupleOfPacket,
  translationTold,
  type TranslationTold,
} from './outcome.ts'
import { type LiveSet, PrivateProgram, type TracedProgram } from './private-program.ts'
import { type Ends, resolveEnds, type TraceQuestion, TraceRefused, type TraceTables } from './question.ts'
import { ownerOf } from './owners.ts'

/** What a trace answers, one member a step. */
export interface Trace {
  readonly node: string
  /** As it comes, with who its ends are. */
  readonly packet: TracePacket & { readonly from: SocketEnd; readonly to: SocketEnd }
  /** The service that was asked for, when it was by name, or whose address and port the packet is for. */
  readonly asked?: string
  /** Where it meets the programs. */
  readonly enters: { readonly program: TracedProgram; readonly device: string; readonly pod?: string }
  readonly flow: FlowTold
  /** Absent where nobody translates it. */
  readonly translation?: TranslationTold
  /** How answers come back, where they are translated. */
  readonly replies?: Pick<TranslationTold, 'from' | 'to'>
  readonly outcome: OutcomeTold
  /** As it leaves, or what its sender is answered; absent where it is dropped and nothing answered. */
  readonly leaves?: TracePacket
  /** What chance decided, and what the trace does not show. */
  readonly notes: readonly string[]
}

export interface TracerOptions {
  readonly tables: TraceTables
  readonly nodeName: string
  readonly net: Pick<Net, 'routeTo' | 'link'>
  /** Directory of the compiled programs. */
  readonly objects: string
  /** Sockets are given backends of services when they connect. */
  readonly sockets: boolean
  /** Works on the live programs, which are not replaced meanwhile. */
  readonly use: <T>(work: (set: LiveSet) => Promise<T>) => Promise<T>
}

/** How long a program that was loaded waits for the next question. */
const KEEP_MS = 10_000

/** More than a page has no room for in a test run (net/bpf/test_run.c, bpf_test_init). */
const MOST_BYTES = 3500
const HOPS = 64
/** As sockets take theirs (ip-sysctl, ip_local_port_range). */
const CLIENT_PORTS = { first: 32_768, count: 28_232 }

/** Disposing frees what is kept loaded. */
export class Tracer implements Disposable {
  readonly #options: TracerOptions
  #loaded: { readonly set: LiveSet; readonly name: TracedProgram; readonly program: PrivateProgram } | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: TracerOptions) {
    this.#options = options
  }

  /** Throws TraceRefused for a question that has no answer, and what loading throws. */
  async trace(question: TraceQuestion): Promise<Trace> {
    checkNumbers(question)
    const { tables, net, use } = this.#options
    const ends = resolveEnds(this.#options, question)
    return await use(async set => {
      const overlay = this.#overlay(set.constants)
      const entry = entryOf({ tables, routeTo: address => net.routeTo(address), overlay }, ends, question)
      const program = await this.#programOf(set, entry.program)
      return this.#tell(ends, question, entry, program, overlay)
    })
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.#loaded?.program[Symbol.dispose]()
    this.#loaded = undefined
  }

  async #programOf(set: LiveSet, name: TracedProgram): Promise<PrivateProgram> {
    if (this.#loaded?.set !== set || this.#loaded.name !== name) {
      this[Symbol.dispose]()
      this.#loaded = { set, name, program: await PrivateProgram.load(this.#options.objects, set, name) }
    }
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this[Symbol.dispose](), KEEP_MS).unref()
    return this.#loaded.program
  }

  #overlay({ overlay_ifindex: index, overlay_mtu: mtu }: ProgramConstants) {
    const name = index === undefined || index === 0 ? undefined : this.#linkName(Number(index))
    return name === undefined ? undefined : { name, index: Number(index), mtu: Number(mtu) }
  }

  #linkName(index: number): string | undefined {
    return this.#options.net.link(index)?.name
  }

  /** Without a pause: what is known of the flow is that of one moment. */
  #tell(
    ends: Ends,
    question: TraceQuestion,
    entry: Entry,
    program: PrivateProgram,
    overlay: OutcomeParts['overlay'],
  ): Trace {
    const { tables, nodeName, net } = this.#options
    const parts: OutcomeParts = {
      tables,
      nodeName,
      routeTo: address => net.routeTo(address),
      linkName: index => this.#linkName(index),
      overlay,
    }
    const wanted = wantedOf(ends, question)
    const now = process.hrtime.bigint()
    program.flow.begin(tupleOfPacket(mustRead(buildFrame(wanted, entry.macs)).packet))
    const flags = question.flags ?? (isOpen(program, wanted, now) ? 'A' : 'S')
    const frame = buildFrame({ ...wanted, flags }, entry.macs)
    const sent = mustRead(frame).packet
    const result = program.run(frame, entry.device.index)
    const run: Run = { entry, sent, frame: mustRead(result.frame), result, flow: program.flow, now }
    const applied = appliedOf(run)
    const { flags: ctFlags, ...flow } = flowTold(run, applied)
    const translation = applied && translationTold(parts, run, applied)
    const replies = applied && repliesTold(parts, run, applied)
    const outcome = outcomeTold(parts, run, applied, ctFlags)
    const gone = outcome.kind === 'dropped' && (outcome.told === undefined || outcome.told === 'by-stack')
    const owner = (address: string): SocketEnd => ({ address, ...ownerOf(tables, nodeName, address) })
    return {
      node: nodeName,
      packet: { ...sent, from: owner(sent.source), to: owner(sent.destination) },
      ...(ends.service === undefined ? {} : { asked: ends.service.service }),
      enters: {
        program: entry.program,
        device: entry.device.name,
        ...(entry.pod === undefined ? {} : { pod: entry.pod }),
      },
      flow,
      ...(translation && { translation }),
      ...(replies && { replies }),
      outcome,
      ...(gone ? {} : { leaves: run.frame.packet }),
      notes: notesOf(this.#options, { ends, question, result, translation, outcome }),
    }
  }
}

function checkNumbers({ sourcePort, size, flags }: TraceQuestion): void {
  if (sourcePort !== undefined && !(Number.isInteger(sourcePort) && sourcePort > 0 && sourcePort < 65_536))
    throw new TraceRefused('BAD_QUESTION', `${sourcePort} is no port from 1 to 65535`)
  if (size !== undefined && !(Number.isInteger(size) && size > 0 && size <= MOST_BYTES))
    throw new TraceRefused(
      'BAD_QUESTION',
      `a packet of ${size} bytes cannot be traced: 1 to ${MOST_BYTES} are possible`,
    )
  if (flags !== undefined && (flags === '' || flags.split('').some(letter => !TCP_FLAGS.includes(letter))))
    throw new TraceRefused('BAD_QUESTION', `${flags} are no flags of TCP: letters of ${TCP_FLAGS}, such as SA`)
}

/** As large as a connection's first segment usually is, unless said otherwise. */
function wantedOf({ source, destination, protocol, port }: Ends, { sourcePort, size }: TraceQuestion): Wanted {
  const least = leastSize(source.includes(':') ? 6 : 4, protocol)
  if (size !== undefined && size < least)
    throw new TraceRefused('BAD_QUESTION', `${size} bytes have no room for the headers, which take ${least}`)
  return {
    source,
    destination,
    protocol,
    sourcePort: sourcePort ?? CLIENT_PORTS.first + Math.floor(Math.random() * CLIENT_PORTS.count),
    destinationPort: port,
    flags: 'S',
    hops: HOPS,
    size: size ?? least + 20,
  }
}

/** Whether the packet's flow is there and goes on. */
function isOpen({ flow }: PrivateProgram, wanted: Wanted, now: bigint): boolean {
  const came = tupleOfPacket(
    mustRead(buildFrame(wanted, { source: new Uint8Array(6), destination: new Uint8Array(6) })).packet,
  )
  const value = flow.translations.taken(came)
  const entry = [came, ...(value === undefined ? [] : [tupleOf(value, came)])]
    .map(tuple => flow.conntrack.taken(ctKeyOf(tuple)))
    .find(found => found !== undefined)
  const over = CtFlags.CT_RST | CtFlags.CT_FIN_A | CtFlags.CT_FIN_B
  return entry !== undefined && entry.expires > now && (entry.flags & over) === 0
}

interface Told {
  readonly ends: Ends
  readonly question: TraceQuestion
  readonly result: { readonly settled: boolean }
  readonly translation: TranslationTold | undefined
  readonly outcome: OutcomeTold
}

function notesOf({ sockets }: TracerOptions, { ends, question, result, translation, outcome }: Told): string[] {
  const { sender, service, protocol } = ends
  const { choice, backends = 0, port } = translation ?? {}
  const bySocket =
    sockets && service !== undefined && sender.kind === 'pod' && protocol !== 'sctp' && protocol !== 'icmp'
  const left = outcome.kind === 'host' || outcome.kind === 'stack'
  return [
    ...(bySocket ? [BY_SOCKET] : []),
    ...(choice === 'chance' ? [`one of ${backends} backends, by chance: the next flow may get another`] : []),
    ...(choice === 'fewer-flows' ? [`of two of ${backends} backends by chance the one with fewer flows`] : []),
    ...(choice === 'flow' && question.sourcePort === undefined ? [BY_FLOW] : []),
    ...(port === 'chosen' ? [PORT_CHOSEN] : []),
    ...(result.settled ? [] : ['most ports are taken: whether one is left, and which, is not told here']),
    ...(left ? ["what the host's stack does from here on, iptables and nftables among it, is not traced"] : []),
  ]
}

const BY_SOCKET =
  'sockets of pods are given a backend when they connect or send, before there is a packet; this is the way of a packet that no socket program has translated'
const BY_FLOW = "the backend follows from the flow's addresses and ports: --source-port asks for a particular one"
const PORT_CHOSEN = 'the port it goes on from was chosen by chance: its own is taken, or kept for the node'
