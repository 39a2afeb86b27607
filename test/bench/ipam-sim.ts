/**
 * `ipam-sim`: how soon pods have addresses of a cloud, and what that costs in calls; the VPC CNI's algorithm and that of
 * Cilium's operator against the same cloud. Simulated time, the same in every run; EC2's buckets and latencies as
 * `plugins/cloud-core/memory/aws.ts` has them.
 */
import { bestWaits } from '../../plugins/cloud-core/simulate/best.ts'
import { AWS_BUDGETS } from '../../plugins/cloud-core/memory/aws.ts'
import { type Figures, reportOf } from '../../plugins/cloud-core/simulate/report.ts'
import { runHour } from '../../plugins/cloud-core/simulate/hour.ts'
import { type Algorithm, burstTimes, runScenario, type Scenario } from '../../plugins/cloud-core/simulate/scenario.ts'
import { against, type Bench, quantile, type Result } from './bench.ts'

const NAME = 'ipam-sim'
/** m5.4xlarge: 8 interfaces of 30 addresses, one of which is the interface's own. */
const MACHINE = { nics: 8, slots: 29, wholeWrites: false } as const
const MAX_PODS = 110
const ASSIGN_MS = 400
const PEERS: readonly Algorithm[] = ['vpc-cni', 'vpc-cni WARM_IP_TARGET=5', 'cilium']

export const ipamSim: Bench = {
  name: NAME,
  summary: 'addresses from a cloud, simulated: time until pods have them, calls, throttling; beside other algorithms',
  async *run(context): AsyncIterable<Result> {
    yield* oneNode('prefixes', true, { lastMs: 500, changes: 1 })
    yield* oneNode('secondary addresses', false, { lastMs: 4000, changes: 10 })
    yield* manyNodes(context.brief === true ? 20 : 200)
    yield* atTheLimit(context.brief === true ? 100 : 1000)
    yield* anHour(context.brief === true ? 500 : 5000)
  },
}

/** 1 → 110 pods at once. */
async function* oneNode(
  what: string,
  prefixes: boolean,
  limits: { lastMs: number; changes: number },
): AsyncIterable<Result> {
  const scenario = scenarioOf({ nodes: 1, pods: MAX_PODS - 1, withinMs: 0, before: 1, prefixes })
  const ours = await figuresOf(scenario, 'causeway')
  const of = `1 → ${MAX_PODS} pods, ${what}`
  yield limited(`${of}, last address`, 's', seconds(ours.lastMs), limits.lastMs / 1000)
  yield limited(`${of}, mutating calls`, 'calls', ours.changes, limits.changes)
  yield { bench: NAME, case: `${of}, addresses held`, ours: ours.held.after, unit: 'addresses', samples: 1 }
  for (const peer of PEERS)
    if (!prefixes || !peer.includes('WARM')) yield* shown(of, peer, await figuresOf(scenario, peer))
}

/** +30 pods on each node within a minute, each with 16 free addresses. */
async function* manyNodes(nodes: number): AsyncIterable<Result> {
  const scenario = scenarioOf({ nodes, pods: 30, withinMs: 60_000, before: 0, prefixes: true })
  const ours = await figuresOf(scenario, 'causeway')
  const of = `${nodes} nodes, +30 pods in 60 s`
  yield limited(`${of}, p99`, 's', seconds(ours.p99Ms), 5)
  yield limited(`${of}, throttled`, 'calls', ours.throttled, 0)
  yield { bench: NAME, case: `${of}, mutating calls`, ours: ours.changes, unit: 'calls', samples: 1 }
  for (const peer of PEERS) if (!peer.includes('WARM')) yield* shown(of, peer, await figuresOf(scenario, peer))
}

/** The same on so many nodes that the cloud's budget is what pods wait for. */
async function* atTheLimit(nodes: number): AsyncIterable<Result> {
  const scenario = scenarioOf({ nodes, pods: 30, withinMs: 60_000, before: 0, prefixes: true })
  const ours = await figuresOf(scenario, 'causeway')
  const of = `${nodes} nodes, +30 pods in 60 s`
  const free = 16
  const beyond = burstTimes(scenario).map(times => times.slice(free))
  const waits = [...Array<number>(nodes * free).fill(0), ...bestWaits(beyond, AWS_BUDGETS.assign.rate, ASSIGN_MS)]
  const best = quantile(waits, 0.99) / 1000
  const p99 = seconds(ours.p99Ms)
  const beside = { peer: 'the least that buckets allow', peerValue: best, ratio: p99 / best }
  yield {
    bench: NAME,
    case: `${of}, p99`,
    ours: p99,
    unit: 's',
    ...beside,
    ...verdict(p99 / best, 1.2, '×'),
    samples: 1,
  }
  yield limited(`${of}, throttled`, 'calls', ours.throttled, 0)
}

/** What the scheduler itself costs: seconds of this machine for an hour of the cluster. */
function* anHour(nodes: number): Iterable<Result> {
  const { limits, policy, cooldownMs, seed } = scenarioOf({ nodes, pods: 20, withinMs: 0, before: 0, prefixes: true })
  const began = performance.now()
  const { served, came, throttled } = runHour({ nodes, pods: 20, limits, policy, cooldownMs, seed })
  const of = `${nodes} nodes, an hour of +20 pods and -10`
  yield limited(`${of}, simulated in`, 's', (performance.now() - began) / 1000, 60)
  yield limited(`${of}, throttled`, 'calls', throttled, 0)
  yield limited(`${of}, pods without an address`, 'pods', came - served, 0)
}

function* shown(of: string, algorithm: Algorithm, { lastMs, changes, throttled }: Figures): Iterable<Result> {
  yield { bench: NAME, case: `${of}, last address, ${algorithm}`, ours: seconds(lastMs), unit: 's', samples: 1 }
  const calls = `${of}, mutating calls, ${algorithm} (${throttled} throttled)`
  yield { bench: NAME, case: calls, ours: changes, unit: 'calls', samples: 1 }
}

function scenarioOf(of: Pick<Scenario, 'nodes' | 'pods' | 'withinMs' | 'before' | 'prefixes'>): Scenario {
  const lengths = { 4: of.prefixes ? [28, 32] : [32], 6: [80] }
  return {
    ...of,
    seed: 1,
    limits: { ...MACHINE, lengths },
    policy: {
      families: [4],
      preAllocate: 8,
      min: 0,
      maxAbove: 16,
      maxPods: MAX_PODS,
      releaseDelayMs: 180_000,
      firstNic: 0,
      prefixes: of.prefixes,
    },
    cooldownMs: 30_000,
  }
}

async function figuresOf(scenario: Scenario, algorithm: Algorithm): Promise<Figures> {
  const [figures] = reportOf(scenario, [await runScenario(scenario, algorithm)]).figures
  if (figures === undefined) throw new Error(`the scenario of ${algorithm} has no figures`)
  return figures
}

/** Simulated time has no spread: one run is all there is. */
function limited(of: string, unit: string, ours: number, limit: number): Result {
  return against({ bench: NAME, case: of, unit }, [ours], limit)
}

function verdict(ratio: number, limit: number, unit: string): Pick<Result, 'target' | 'ok'> {
  return { target: `≤ ${limit} ${unit}`, ok: ratio <= limit }
}

/** Never is no number of seconds. */
function seconds(ms: number | null): number {
  return ms === null ? Infinity : ms / 1000
}
