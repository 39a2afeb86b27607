/**
 * `masquerade`: what it costs to leave the cluster with the node's address, while 1, 10,000 or 60,000 flows of its pods to one
 * destination are open; and how many of them there can be. Beside it, over the same wires, no NAT by the same programs
 * and by Linux, and what iptables and nftables make of it. All on one core.
 */
import { type Bench, type BenchContext, compare, interleave, type Result } from './bench.ts'
import { LeavingPods } from './support/leaving-pods.ts'
import { type Masquerading, WAYS_OUT, type WayOut } from './support/ways-out.ts'

const NAME = 'masquerade'
const MODES = ['rr', 'crr', 'stream'] as const
type Mode = (typeof MODES)[number]
/** `ports` are those from 1024 on, `seconds` how long a sample takes. */
const FULL = { flows: [1, 10_000, 60_000], ports: 64_512, seconds: { rr: 0.07, crr: 0.1, stream: 0.15 } }
const BRIEF = { flows: [1, 40], ports: 100, seconds: { rr: 0.02, crr: 0.02, stream: 0.02 } }
/** Streams scatter more from sample to sample: so many more rounds. */
const STREAM_ROUNDS = 2

type Limit = { readonly ratio: number; readonly atLeast?: boolean }
interface Line {
  readonly peer: WayOut
  readonly name: string
  /** Absent for what is printed for orientation. */
  readonly limits?: Readonly<Partial<Record<Mode, Limit>>>
}
const LINES: readonly Line[] = [
  { peer: 'off', name: 'no NAT', limits: { stream: { ratio: 0.97, atLeast: true } } },
  { peer: 'routed', name: 'routed, no NAT' },
  { peer: 'iptables', name: 'iptables', limits: { rr: { ratio: 1 }, crr: { ratio: 1.2, atLeast: true } } },
  { peer: 'nft', name: 'nftables', limits: { rr: { ratio: 1 } } },
]
const UNITS: Readonly<Record<Mode, string>> = { rr: 'µs', crr: '/s', stream: 'Gbit/s' }

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
  const take = async (way: WayOut): Promise<number> => {
    if (mode === 'stream') return (await pods.bitsPerSecond(way, seconds)) / 1e9
    const { p50Us, opsPerSecond } = await pods.latency(mode, way, seconds)
    return mode === 'rr' ? p50Us : opsPerSecond
  }
  const rounds = mode === 'stream' ? STREAM_ROUNDS * context.rounds : context.rounds
  const cases = Object.fromEntries(ways.map(way => [way, () => take(way)])) as Record<WayOut, () => Promise<number>>
  const samples = await interleave(cases, { ...context, rounds })
  const what = {
    bench: NAME,
    case: `${flows} flow${flows > 1 ? 's' : ''}, ${mode === 'stream' ? mode : mode.toUpperCase()}`,
    unit: UNITS[mode],
  }
  for (const { peer, name, limits } of LINES.filter(line => ways.includes(line.peer)))
    yield compare({ ...what, peer: name }, samples.masquerade, samples[peer], limits?.[mode])
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
