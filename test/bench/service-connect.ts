/**
 * `service-connect`: what it costs to reach a backend through its service's address, with more and more services beside it, as
 * a ratio to the same backend without a service: translated at the socket, and packet by packet. Beside it the rules of
 * kube-proxy, for nftables and for iptables, in a namespace that routes. All on one core.
 */
import { inNamespace, mustRun } from '../../deploy/lab/command.ts'
import { LinuxKernel } from '../../daemon/kernel/linux.ts'
import { type Bench, type BenchContext, compare, interleave, type Result } from './bench.ts'
import { addressOf, PORT, PORTS, untilServiceAnswers, writeServices } from './support/bench-services.ts'
import { iptablesRules, nftRules, type RuleService } from './support/service-rules.ts'
import { type Latency, SERVER_PORT } from './support/core.ts'
import { WiredPods } from './support/wired-pods.ts'
import { wireAddress } from './support/wires.ts'

const NAME = 'service-connect'
const COUNTS = [1, 1000, 10_000]
const BRIEF_COUNTS = [1, 20]
const MODES = ['rr', 'crr'] as const
type Mode = (typeof MODES)[number]
const SECONDS = 0.07

/** Networks that only services are in: of the pods' node, and of the two namespaces with rules. */
const NETWORKS = { ours: '10.100', nft: '10.101', iptables: '10.102' } as const

type Way = 'bare' | 'direct' | 'socket' | 'packet' | 'nft' | 'iptables'
interface Line {
  readonly way: Way
  readonly peer: Way
  readonly limit?: number
}
const LINES: readonly Line[] = [
  { way: 'socket', peer: 'direct', limit: 1.03 },
  { way: 'packet', peer: 'direct', limit: 1.1 },
  { way: 'packet', peer: 'bare' },
  { way: 'nft', peer: 'bare' },
  { way: 'iptables', peer: 'bare' },
]
const PEERS: Readonly<Partial<Record<Way, string>>> = { bare: 'veth pair', direct: 'no service' }

export const serviceConnect: Bench = {
  name: NAME,
  summary: 'round trips and connections to a service, by socket and by packet, over none',
  async *run(context): AsyncIterable<Result> {
    await using pods = await WiredPods.create('benchsvc', context.signal)
    routeToRules(pods)
    let present = 0
    for (const count of context.brief === true ? BRIEF_COUNTS : COUNTS) {
      context.say(`${count} services`)
      writeServices(pods, NETWORKS.ours, present, count)
      present = count
      await applyRules(pods, count)
      for (const i of [count >> 1, count - 1])
        await untilServiceAnswers(pods, addressOf(NETWORKS.ours, i), context.signal)
      for (const mode of MODES) yield* measure(pods, mode, count, context)
    }
  },
}

/** The one in the middle. */
function target(network: string, count: number): string {
  return addressOf(network, count >> 1)
}

async function* measure(pods: WiredPods, mode: Mode, count: number, context: BenchContext): AsyncIterable<Result> {
  const to =
    (address: string, port: number, inNode = false) =>
    (): Promise<Latency> =>
      pods.latencyTo(mode, { address, port, inNode }, SECONDS)
  const service = target(NETWORKS.ours, count)
  const samples = await interleave<Way, Latency>(
    {
      bare: to(wireAddress('bare', 2, 4), SERVER_PORT),
      direct: to(pods.podAddress(4), SERVER_PORT),
      socket: to(service, PORT, true),
      packet: to(service, PORT),
      nft: to(target(NETWORKS.nft, count), PORT),
      iptables: to(target(NETWORKS.iptables, count), PORT),
    },
    context,
  )
  const p50 = (way: Way): number[] => samples[way].map(s => s.p50Us)
  for (const { way, peer, limit } of LINES) {
    const what = { bench: NAME, case: `${count} services, ${way}, ${mode.toUpperCase()}`, unit: 'µs' }
    yield compare(
      { ...what, peer: PEERS[peer] ?? peer },
      p50(way),
      p50(peer),
      limit === undefined ? undefined : { ratio: limit },
    )
  }
}

/** The pod that asks sends what is for the peers' services to the namespaces that have their rules. */
function routeToRules({ places }: WiredPods): void {
  using kernel = new LinuxKernel()
  using net = kernel.openNet(places.a)
  for (const wire of ['nft', 'iptables'] as const)
    net.run([{ op: 'route-add', route: { dst: `${NETWORKS[wire]}.0.0/16`, via: wireAddress(wire, 3, 4) } }])
}

async function applyRules({ places }: WiredPods, count: number): Promise<void> {
  const services = (network: string): RuleService[] =>
    Array.from({ length: count }, (_, i) => PORTS.map(ports => ({ address: addressOf(network, i), ...ports }))).flat()
  await mustRun(inNamespace(places.nft, ['nft', 'flush', 'ruleset']))
  await mustRun(inNamespace(places.nft, ['nft', '-f', '-']), {
    input: nftRules(services(NETWORKS.nft), wireAddress('nft', 2, 4)),
  })
  await mustRun(inNamespace(places.iptables, ['iptables-restore']), {
    input: iptablesRules(services(NETWORKS.iptables), wireAddress('iptables', 2, 4)),
  })
}
