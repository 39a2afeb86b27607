/**
 * `k8s-scale`: one daemon in a cluster of 5,000 nodes, 10,000 services and 100,000 endpoints, against the project's API
 * server in a process of its own: how long until it is ready, what it holds, what a change costs and how soon the
 * programs' maps have it. Then the operator that gives ranges to 5,000 nodes. Beside them a Node process that does nothing.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { against, type Bench, type BenchContext, median, quantile, type Result } from './bench.ts'
import { BenchNode } from './support/bench-node.ts'
import { changedService, type ClusterSize, ENDPOINTS } from './support/big-cluster.ts'
import { type ChangeKind, ClusterServer, type Made } from './support/cluster-server.ts'
import { cpuMs, memoryOf } from './support/process-figures.ts'
import { residentMbOfBareNode } from './support/resident.ts'
import { measureOperator } from './support/scale-operator.ts'
import { ServiceWatch } from './support/service-watch.ts'

const NAME = 'k8s-scale'
const BIG: ClusterSize = { nodes: 5000, services: 10_000, pods: 5000, ownPods: 100, namespaces: 100, ranges: true }
const IDLE: ClusterSize = { nodes: 3, services: 5, pods: 20, ownPods: 10, namespaces: 5, ranges: true }
/** What `brief` takes for BIG. */
const SMALL: ClusterSize = { ...BIG, nodes: 50, services: 100, pods: 200, namespaces: 5 }
/** The API server sends no bookmarks meanwhile. */
const IN_KUBERNETES = { kubernetes: true, set: ['cluster.kubernetes.idleSeconds=3600'] } as const
const LIMITS = { bigRatio: 4, idleMb: 90 }
/** By then what a start has left is collected, if it ever is. */
const SETTLE_MS = 20_000
/** Of each kind of change: how many, in how many batches there and back, and how long until all work of a batch is done. */
const COSTS = { count: 200, batches: 3, quietMs: 1000 }
const BRIEF_COSTS = { count: 10, batches: 1, quietMs: 100 }
const STREAM = { perSecond: 100, seconds: 10 }
/** Of one kind of change, processor time and bytes. */
const KINDS = ['slice', 'service', 'heartbeat', 'pod elsewhere'] as const satisfies readonly ChangeKind[]
const CASES = {
  slice: 'one EndpointSlice changed',
  service: 'one Service changed',
  heartbeat: "one Node's heartbeat",
  'pod elsewhere': 'one Pod elsewhere changed',
} as const satisfies Record<ChangeKind, string>

export const k8sScale: Bench = {
  name: NAME,
  summary: 'daemon and operator in a cluster of 5,000 nodes and 100,000 endpoints',
  async *run(context): AsyncIterable<Result> {
    const bare = { peer: 'bare Node', peerValue: await residentMbOfBareNode() }
    yield* idleDaemon(context, bare)
    yield* bigDaemon(context, bare)
    yield* operator(context, bare)
  },
}

type Bare = { readonly peer: string; readonly peerValue: number }

async function* idleDaemon({ brief = false, say, signal }: BenchContext, bare: Bare): AsyncIterable<Result> {
  say('a cluster of three nodes')
  await using node = await BenchNode.create('benchk8sidle', signal, IN_KUBERNETES)
  await using _server = await ClusterServer.start(node.lab, IDLE)
  const { pid } = await node.startDaemon()
  await delay(brief ? 1000 : SETTLE_MS, undefined, { signal })
  const { residentMb, peakMb } = memoryOf(pid)
  yield { ...one('3 nodes, resident, at most', peakMb, 'MB'), ...bare, ratio: peakMb / bare.peerValue }
  yield against({ ...figure('3 nodes, resident', 'MB'), ...bare }, [residentMb], LIMITS.idleMb)
}

async function* bigDaemon({ brief = false, say, signal }: BenchContext, bare: Bare): AsyncIterable<Result> {
  const size = brief ? SMALL : BIG
  const settleMs = brief ? 1000 : SETTLE_MS
  say(`loading ${size.nodes} nodes, ${size.services} services`)
  await using node = await BenchNode.create('benchk8s', signal, IN_KUBERNETES)
  await using server = await ClusterServer.start(node.lab, size)
  const serverBefore = cpuMs(server.pid)
  say('starting the daemon')
  const { pid, readyMs } = await node.startDaemon()
  const start = { daemonMs: cpuMs(pid), serverMs: cpuMs(server.pid) - serverBefore }
  yield one('start to ready', readyMs, 'ms')
  yield one('processor time of the start', start.daemonMs, 'ms')
  yield one("likewise, the API server's", start.serverMs, 'ms')
  using services = new ServiceWatch(node.layout)
  const every = Array.from({ length: size.services }, (_, index) => index)
  const readyAt = performance.now()
  await services.seen(every, ENDPOINTS)
  yield one('start to all services in the map', readyMs + performance.now() - readyAt, 'ms')
  await delay(settleMs, undefined, { signal })
  const memory = memoryOf(pid)
  const limit = LIMITS.bigRatio
  yield { ...one('resident, at most', memory.peakMb, 'MB'), ...bare, ratio: memory.peakMb / bare.peerValue }
  yield {
    ...one('resident, proportional', memory.proportionalMb, 'MB'),
    ...bare,
    ratio: memory.proportionalMb / bare.peerValue,
  }
  yield against(
    { ...figure('resident, settled', 'MB'), ...bare },
    [memory.residentMb],
    Math.floor(limit * bare.peerValue),
  )
  const { watchBytes } = await server.counters()
  yield one('bytes of watches, initial', sum(Object.values(watchBytes)) / 1e6, 'MB')
  yield* costs({ pid, server, services, ...(brief ? BRIEF_COSTS : COSTS), say, signal })
  yield* stream({ pid, server, services, size, seconds: brief ? 1 : STREAM.seconds, say })
  yield one('resident after all changes', memoryOf(pid).residentMb, 'MB')
}

interface Running {
  readonly pid: number
  readonly server: ClusterServer
  readonly services: ServiceWatch
  readonly say: BenchContext['say']
}

/**
 * What one change costs: the median of some batches, so that what the daemon does besides now and then (it gives memory back)
 * is not taken for a part of it; what it does all the time is taken away.
 */
async function* costs({
  pid,
  server,
  services,
  count,
  batches,
  quietMs,
  say,
  signal,
}: Running & typeof COSTS & { readonly signal: AbortSignal }): AsyncIterable<Result> {
  for (const kind of KINDS) {
    say(CASES[kind])
    const cpu: number[] = []
    const bytes: number[] = []
    // The first does not count: code is compiled for it.
    for (let round = 1; round <= 2 * batches; round++) {
      const idleUsed = await during(pid, () => delay(quietMs, undefined, { signal }))
      const before = await bytesOf(server, kind)
      const used = await during(pid, async () => {
        const made = await server.change({ kind, count, perSecond: 0, round })
        if (kind === 'slice') await services.seen(indexesOf(made), ENDPOINTS - (round % 2))
        await delay(quietMs, undefined, { signal })
      })
      if (round === 1) continue
      cpu.push((used.cpuMs - (idleUsed.cpuMs * used.ms) / idleUsed.ms) / count)
      bytes.push(((await bytesOf(server, kind)) - before) / count)
    }
    const cost = { ...figure(`${CASES[kind]}, processor time`, 'ms'), samples: cpu.length }
    yield { ...cost, ours: Math.max(0, median(cpu)) }
    const size = figure(`${CASES[kind]}, bytes`, 'B')
    if (kind === 'pod elsewhere') yield against(size, bytes, 0)
    else yield { ...size, ours: median(bytes), samples: bytes.length }
  }
}

async function during(pid: number, act: () => Promise<void>): Promise<{ readonly cpuMs: number; readonly ms: number }> {
  const before = { cpuMs: cpuMs(pid), at: performance.now() }
  await act()
  return { cpuMs: cpuMs(pid) - before.cpuMs, ms: performance.now() - before.at }
}

async function* stream({
  pid,
  server,
  services,
  size,
  seconds,
  say,
}: Running & { readonly size: ClusterSize; readonly seconds: number }): AsyncIterable<Result> {
  const { perSecond } = STREAM
  say(`${perSecond} changes a second`)
  const count = perSecond * seconds
  const before = { cpuMs: cpuMs(pid), at: performance.now() }
  const seeing = services.seen(
    Array.from({ length: count }, (_, n) => changedService(n, size)),
    ENDPOINTS - 1,
  )
  const made = await server.change({ kind: 'slice', count, perSecond, round: 3 })
  const seen = await seeing
  const used = { cpuMs: cpuMs(pid) - before.cpuMs, ms: performance.now() - before.at }
  const delays = made.map(({ index, atNs }) => Number((seen.get(index) ?? 0n) - BigInt(atNs)) / 1e6)
  const name = `${perSecond} slices changed a second`
  yield one(`${name}, share of a processor`, (100 * used.cpuMs) / used.ms, '%')
  for (const [share, text] of [
    [0.5, 'p50'],
    [0.99, 'p99'],
    [1, 'longest'],
  ] as const)
    yield {
      ...figure(`${name}, until the map has it, ${text}`, 'ms'),
      ours: quantile(delays, share),
      samples: delays.length,
    }
}

async function* operator({ brief = false, say, signal }: BenchContext, bare: Bare): AsyncIterable<Result> {
  const size = { ...(brief ? SMALL : BIG), services: 0, pods: 0, ownPods: 0, ranges: false }
  const { allMs, requests, memory } = await measureOperator({ size, settleMs: brief ? 1000 : SETTLE_MS, say, signal })
  yield one(`operator: ${size.nodes} nodes have ranges`, allMs, 'ms')
  yield one('operator: requests', (requests * 1000) / allMs, '1/s')
  yield { ...one('operator: resident, at most', memory.peakMb, 'MB'), ...bare, ratio: memory.peakMb / bare.peerValue }
  yield { ...one('operator: resident', memory.residentMb, 'MB'), ...bare, ratio: memory.residentMb / bare.peerValue }
}

function figure(what: string, unit: string): Pick<Result, 'bench' | 'case' | 'unit'> {
  return { bench: NAME, case: what, unit }
}

function one(what: string, ours: number, unit: string): Result {
  return { ...figure(what, unit), ours, samples: 1 }
}

const RESOURCES = {
  slice: 'endpointslices.discovery.k8s.io',
  service: 'services',
  heartbeat: 'nodes',
  'pod elsewhere': 'pods',
} as const satisfies Record<ChangeKind, string>

/** Of all watches of what such a change is made to. */
async function bytesOf(server: ClusterServer, kind: ChangeKind): Promise<number> {
  return (await server.counters()).watchBytes[RESOURCES[kind]] ?? 0
}

function indexesOf(made: readonly Made[]): readonly number[] {
  return made.map(({ index }) => index)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
