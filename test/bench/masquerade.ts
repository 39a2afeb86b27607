/**
 * `masquerade`: what it costs to leave the cluster with the node's address, while 1, 10,000 or 60,000 flows of its pods to one
 * destination are open; and how many of them there can be. Beside it, over the same wires, no NAT by the same programs
 * and by Linux, and what iptables and nftables make of it. All on one core.
 */
import { type Bench, type BenchContext, compare, interleave, type Result } from './bench.ts'
import { LeavingPods, type Mode, type Sample } from './support/leaving-pods.ts'
import { type Masquerading, WAYS_OUT, type WayOut } from './support/ways-out.ts'

const NAME = 'masquerade'
/** `ports` are those from 1024 on, `seconds` how long a sample takes. */
const FULL = { flows: [1, 10_000, 60_000], ports: 64_512, seconds: { rr: 0.07, crr: 0.1, stream: 0.15 } }
const BRIEF = { flows: [1, 40], ports: 100, seconds: { rr: 0.02, crr: 0.02, stream: 0.02 } }
/** Streams scatter by a tenth from sample to sample: so many more rounds. */
const STREAM_ROUNDS = 4

/** What a kind of sample tells. Where some connections wait for others' ports, their rate shows it and their median does not. */
const FIGURES = {
  rr: [{ name: 'RR', unit: 'µs', of: ({ p50Us = NaN }: Sample) => p50Us }],
  crr: [
    { name: 'CRR', unit: '/s', of: ({ opsPerSecond = NaN }: Sample) => opsPerSecond },
    { name: 'CRR, p50', unit: 'µs', of: ({ p50Us = NaN }: Sample) => p50Us },
  ],
  stream: [{ name: 'stream', unit: 'Gbit/s', of: ({ bitsPerSecond = NaN }: Sample) => bitsPerSecond / 1e9 }],
} as const
const MODES = ['rr', 'crr', 'stream'] as const

interface Line {
  readonly peer: WayOut
  readonly name: string
  /** Of figures by name; absent for what is printed for orientation. */
  readonly limits?: Readonly<Record<string, { readonly ratio: number; readonly atLeast?: boolean }>>
}
const LINES: readonly Line[] = [
  { peer: 'off', name: 'no NAT', limits: { stream: { ratio: 0.97, atLeast: true } } },
  { peer: 'routed', name: 'routed, no NAT' },
  { peer: 'iptables', name: 'iptables', limits: { RR: { ratio: 1 }, CRR: { ratio: 1.2, atLeast: true } } },
  { peer: 'nft', name: 'nftables', limits: { RR: { ratio: 1 } } },
]

export const masquerade: Bench = {
  name: NAME,
  summary: 'streams, round trips and connections to outside, and the last free port, beside iptables and nftables',
  async *run(context): AsyncIterable<Result> {
    const { flows, ports, seconds } = context.brief === true ? BRIEF : FULL
    await using pods = await LeavingPods.create('benchmasq', context.signal)
    for (const count of flows) {
      context.say(`${count} flows`)
      // One is the one that is measured.
      const held = count > 1 ? await pods.hold(count) : undefined
      if (held !== undefined) yield* counted(`${count} flows, open`, held, count)
      // With fewer than are asked for, it is not what is measured.
      const ways = WAYS_OUT.filter(way => held === undefined || held[way] === count)
      if (ways.includes('masquerade'))
        for (const mode of MODES) yield* measure(pods, { mode, seconds: seconds[mode], ways, flows: count }, context)
    }
    yield* lastPort(pods, ports, context)
  },
}

/** Numbers of flows beside each other; of ours there must not be fewer than so many. */
function* counted(what: string, flows: Flows, least: number): Iterable<Result> {
  const verdict = { unit: 'flows', samples: 1, target: `≥ ${least} flows`, ok: flows.masquerade >= least }
  for (const [peer, peerValue] of [
    ['iptables', flows.iptables],
    ['nftables', flows.nft],
  ] as const) {
    const ratio = flows.masquerade / peerValue
    yield { bench: NAME, case: what, ours: flows.masquerade, peer, peerValue, ratio, ...verdict }
  }
}
type Flows = Readonly<Record<Masquerading, number>>

interface Case {
  readonly mode: Mode
  readonly seconds: number
  readonly ways: readonly WayOut[]
  readonly flows: number
}

async function* measure(
  pods: LeavingPods,
  { mode, seconds, ways, flows }: Case,
  context: BenchContext,
): AsyncIterable<Result> {
  const rounds = mode === 'stream' ? STREAM_ROUNDS * context.rounds : context.rounds
  const cases = ways.map(way => [way, () => pods.measure(mode, way, seconds)] as const)
  const samples = await interleave<string, Sample>(Object.fromEntries(cases), { ...context, rounds })
  for (const { name, unit, of } of FIGURES[mode])
    for (const line of LINES.filter(l => ways.includes(l.peer))) {
      const what = { bench: NAME, case: `${flows} flow${flows > 1 ? 's' : ''}, ${name}`, unit, peer: line.name }
      const figures = (way: WayOut): number[] => (samples[way] ?? []).map(of)
      yield compare(what, figures('masquerade'), figures(line.peer), line.limits?.[name])
    }
}

/** Flows to one destination until one is refused, once for each way. What sockets of the node have is not for pods. */
async function* lastPort(pods: LeavingPods, ports: number, context: BenchContext): AsyncIterable<Result> {
  await pods.letGo()
  const count = async (way: WayOut): Promise<number> => {
    context.say(`${way}: flows until one is refused`)
    return await pods.openUntilRefused(way, ports)
  }
  const flows = { masquerade: await count('masquerade'), iptables: await count('iptables'), nft: await count('nft') }
  yield* counted(`of ${ports} ports, until one refused`, flows, ports - (await pods.listening()))
}
