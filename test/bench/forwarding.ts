/**
 * `forwarding`: what the way between two pods costs, as a ratio to one bare veth pair between the same two processes, on
 * one core. Beside it the floor (a program that only looks up and redirects), a bridge, and routed veths; to a pod of
 * another node, routed veths over as many devices. RR is a round trip of one byte, CRR a connection with one.
 */
import { type Bench, type BenchContext, compare, interleave, type Result } from './bench.ts'
import type { Latency } from './support/core.ts'
import { type Family, type Throughput, type Way, WiredPods } from './support/wired-pods.ts'

const NAME = 'forwarding'
const FAMILIES: readonly Family[] = [4, 6]
/** Of each sample. */
const LATENCY_SECONDS = 0.07
const STREAM_SECONDS = 0.15
/** Streams scatter by a tenth from sample to sample: so many more rounds. */
const STREAM_ROUNDS = 4

const MODES = ['rr', 'crr'] as const
type Mode = (typeof MODES)[number]

interface Line {
  readonly way: Way
  readonly peer: Way
  readonly what: string
  /** Highest ratio by mode, lowest of streams; absent for what is printed for orientation. */
  readonly limits?: Readonly<Record<Mode, number>>
  readonly stream?: number
}
const LINES: readonly Line[] = [
  { way: 'pod', peer: 'bare', what: 'same node', limits: { rr: 1.13, crr: 1.2 } },
  { way: 'floor', peer: 'bare', what: 'floor' },
  { way: 'bridge', peer: 'bare', what: 'bridge' },
  { way: 'routed', peer: 'bare', what: 'routed' },
  { way: 'far-pod', peer: 'across', what: 'across nodes', limits: { rr: 1.1, crr: 1.1 } },
]
const STREAMS: readonly Line[] = [
  { way: 'pod', peer: 'bare', what: 'same node', stream: 0.97 },
  { way: 'floor', peer: 'bare', what: 'floor' },
  { way: 'far-pod', peer: 'across', what: 'across nodes', stream: 0.97 },
]
const PEERS: Readonly<Partial<Record<Way, string>>> = { bare: 'veth pair', across: 'routed veths' }

export const forwarding: Bench = {
  name: NAME,
  summary: 'round trips, connections and streams between pods, over one bare veth pair',
  async *run(context): AsyncIterable<Result> {
    await using pods = await WiredPods.create('benchfwd', context.signal)
    for (const mode of MODES) yield* latencies(pods, mode, context)
    yield* streams(pods, context)
  },
}

async function* latencies(pods: WiredPods, mode: Mode, context: BenchContext): AsyncIterable<Result> {
  const samples = await sampleEach(LINES, context, (way, family): Promise<Latency> => {
    return pods.latency(mode, way, family, LATENCY_SECONDS)
  })
  for (const family of FAMILIES)
    for (const { way, peer, what, limits } of LINES) {
      const p50 = (of: Way): number[] => samples(of, family).map(s => s.p50Us)
      const line = {
        bench: NAME,
        case: caseOf(family, what, mode.toUpperCase()),
        unit: 'µs',
        peer: PEERS[peer] ?? peer,
      }
      yield compare(line, p50(way), p50(peer), limits && { ratio: limits[mode] })
    }
}

async function* streams(pods: WiredPods, context: BenchContext): AsyncIterable<Result> {
  const more = { ...context, rounds: STREAM_ROUNDS * context.rounds }
  const samples = await sampleEach(STREAMS, more, (way, family): Promise<Throughput> => {
    return pods.throughput(way, family, STREAM_SECONDS)
  })
  for (const family of FAMILIES)
    for (const { way, peer, what, stream: ratio } of STREAMS) {
      const line = { bench: NAME, peer: PEERS[peer] ?? peer }
      const rate = (of: Way): number[] => samples(of, family).map(s => s.bitsPerSecond / 1e9)
      const cost = (of: Way): number[] => samples(of, family).map(s => s.cpuNsPerByte)
      const stream = { ...line, case: caseOf(family, what, 'stream'), unit: 'Gbit/s' }
      const limit = ratio === undefined ? undefined : { ratio, atLeast: true }
      yield compare(stream, rate(way), rate(peer), limit)
      yield compare({ ...line, case: caseOf(family, what, 'CPU'), unit: 'ns/byte' }, cost(way), cost(peer))
    }
}

function caseOf(family: Family, what: string, kind: string): string {
  return `IPv${family}, ${what}, ${kind}`
}

/** Samples of all ways the lines name, in turn, by way and family. */
async function sampleEach<T>(
  lines: readonly Line[],
  context: BenchContext,
  take: (way: Way, family: Family) => Promise<T>,
): Promise<(way: Way, family: Family) => readonly T[]> {
  const ways = [...new Set(lines.flatMap(l => [l.peer, l.way]))]
  const cases = ways.flatMap(way => FAMILIES.map(family => [`${way} ${family}`, () => take(way, family)] as const))
  const samples = await interleave(Object.fromEntries(cases), context)
  return (way, family) => samples[`${way} ${family}`] ?? []
}
