/**
 * `service-connect`: what it costs to reach a backend through its service's address, with more and more services beside it, as
 * a ratio to the same backend without a service: translated at the socket, and packet by packet. Beside it the rules of
 * kube-proxy, for nftables and for iptables, in a namespace that routes. All on one core.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { PROBE } from '../../deploy/lab/built.ts'
import { inNamespace, mustRun, runCommand } from '../../deploy/lab/command.ts'
import { LinuxKernel } from '../../daemon/kernel/linux.ts'
import { type Bench, type BenchContext, compare, interleave, type Result } from './bench.ts'
import { iptablesRules, nftRules, type RuleService } from './support/service-rules.ts'
import { type Latency, SERVER_PORT, WiredPods } from './support/wired-pods.ts'
import { wireAddress } from './support/wires.ts'

const NAME = 'service-connect'
const COUNTS = [1, 1000, 10_000]
const MODES = ['rr', 'crr'] as const
type Mode = (typeof MODES)[number]
const SECONDS = 0.07
const PORT = 80
/** Connections are counted at the server two ports further on (cw-probe serve), and so is the service. */
const PORTS = [0, 2].map(more => ({ port: PORT + more, targetPort: SERVER_PORT + more }))
/** Objects in one manifest: a daemon reads each file in one go. */
const PER_FILE = 200
const SYNC_TIMEOUT_MS = 240_000

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
    for (const count of COUNTS) {
      context.say(`${count} services`)
      writeServices(pods, present, count)
      present = count
      await applyRules(pods, count)
      for (const i of [count >> 1, count - 1]) await answers(pods, addressOf(NETWORKS.ours, i), context.signal)
      for (const mode of MODES) yield* measure(pods, mode, count, context)
    }
  },
}

/** The one in the middle. */
function target(network: string, count: number): string {
  return addressOf(network, count >> 1)
}

function addressOf(network: string, i: number): string {
  return `${network}.${i >> 8}.${i & 255}`
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

/** Tells the cluster of services `from` to `to - 1`, each with the pod that the servers run in as its endpoint. */
function writeServices(pods: WiredPods, from: number, to: number): void {
  const { layout } = pods.lab
  for (let first = from; first < to; first += PER_FILE) {
    const numbers = Array.from({ length: Math.min(PER_FILE, to - first) }, (_, i) => first + i)
    const items = numbers.flatMap(i => objectsOf(i, pods.podAddress(4)))
    const temporary = join(layout.root, '.bench.json')
    writeFileSync(temporary, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
    renameSync(temporary, join(layout.cluster, `bench-${first}.json`))
  }
}

function objectsOf(i: number, backend: string): object[] {
  const name = `bench-${i}`
  const metadata = { name, namespace: 'default' }
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: {
        clusterIP: addressOf(NETWORKS.ours, i),
        ports: PORTS.map(({ port }) => ({ name: `p${port}`, protocol: 'TCP', port })),
      },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      ports: PORTS.map(({ port, targetPort }) => ({ name: `p${port}`, protocol: 'TCP', port: targetPort })),
      endpoints: [{ addresses: [backend], conditions: { ready: true } }],
    },
  ]
}

/** Resolves once the daemon has carried the service into the maps: a connection by packets shows it. */
async function answers(pods: WiredPods, address: string, signal: AbortSignal): Promise<void> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(SYNC_TIMEOUT_MS)])
  const check = inNamespace(pods.places.a, [PROBE, 'check', 'tcp', address, `${PORT}`, '1', '--timeout', '500'])
  while ((await runCommand(check, { signal: limit })).status !== 0) await delay(100, undefined, { signal: limit })
}
