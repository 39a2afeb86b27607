/** A burst of pods on nodes that have been at rest, and what becomes of it. Bit-identical for a seed. */
import { MemoryAws } from '../memory/aws.ts'
import type { Limits, Policy } from '../model.ts'
import { lengthOf } from '../node-blocks.ts'
import { Agenda } from './agenda.ts'
import { Cilium } from './cilium.ts'
import type { Contender, Ground } from './contender.ts'
import { randomOf } from './random.ts'
import { Simulation } from './simulation.ts'
import { VpcCni, type VpcCniSettings } from './vpc-cni.ts'

export interface Scenario {
  readonly seed: number
  readonly nodes: number
  /** Pods that come to each node. */
  readonly pods: number
  /** At random moments of so long (a Poisson process of a known number); 0: all at once. */
  readonly withinMs: number
  /** Pods that each node has before. */
  readonly before: number
  readonly prefixes: boolean
  readonly limits: Limits
  readonly policy: Policy
  readonly cooldownMs: number
}

export const ALGORITHMS = {
  causeway: {},
  'vpc-cni': {},
  'vpc-cni WARM_IP_TARGET=5': { warmIp: 5, minimumIp: 10 },
  cilium: {},
} as const satisfies Readonly<Record<string, VpcCniSettings>>
export type Algorithm = keyof typeof ALGORITHMS

export interface ApiCalls {
  readonly api: string
  readonly calls: number
  readonly throttled: number
}

export interface Outcome {
  readonly algorithm: Algorithm
  /** From ADD to its address, in milliseconds and in order. */
  readonly waits: readonly number[]
  /** Pods that had none when the end came. */
  readonly unserved: number
  readonly calls: readonly ApiCalls[]
  /** Addresses that the nodes have, before and at the end; the machines' own not counted. */
  readonly held: { readonly before: number; readonly after: number }
  /** When each pod came, and when each got its address, after the beginning; both in order. */
  readonly came: readonly number[]
  readonly served: readonly number[]
}

/** Until nodes are at rest, and budgets full. */
const SETTLE_MS = 600_000
/** After the last pod has come nothing is waited for longer. */
const LIMIT_MS = 1_800_000
const SUBNETS = Array.from({ length: 8 }, (_, i) => ({ id: `subnet-${i}`, cidr: `10.${i}.0.0/16`, zone: 'a' }))

export interface RunOptions {
  readonly signal?: AbortSignal
  /** Told now and then how much of the scenario has passed, from 0 to 1. */
  readonly onProgress?: (share: number) => void
}

/** Other work of the event loop has its turn so often. Rejects when the signal aborts. */
const TURN_MS = 50

export async function runScenario(
  scenario: Scenario,
  algorithm: Algorithm,
  { signal, onProgress }: RunOptions = {},
): Promise<Outcome> {
  const waits: number[] = []
  const served: number[] = []
  let beganMs = Infinity
  const contender = make(scenario, algorithm, (pod, _node, waitedMs) => {
    if (!pod.startsWith('burst')) return
    waits.push(waitedMs)
    served.push(contender.agenda.now() - beganMs)
  })
  const { agenda } = contender
  let turned = performance.now()
  const passTo = async (untilMs: number, done: () => boolean, share: () => number): Promise<void> => {
    while (agenda.now() < untilMs && !done()) {
      agenda.run(Math.min(untilMs, agenda.now() + 1000))
      if (performance.now() - turned < TURN_MS) continue
      await new Promise<void>(resolve => setImmediate(resolve))
      signal?.throwIfAborted()
      onProgress?.(share())
      turned = performance.now()
    }
  }
  for (let n = 0; n < scenario.nodes; n++) {
    const name = `node-${n}`
    contender.addNode(name, SUBNETS[n % SUBNETS.length]?.id ?? '')
    for (let pod = 0; pod < scenario.before; pod++) contender.add(name, `before-${pod}`)
  }
  await passTo(
    settleMs(scenario),
    () => false,
    () => 0,
  )
  const before = counted(contender)
  beganMs = agenda.now()
  const times = burstTimes(scenario)
  schedule(contender, times)
  const total = scenario.nodes * scenario.pods
  await passTo(
    beganMs + scenario.withinMs + LIMIT_MS,
    () => waits.length >= total,
    () => waits.length / total,
  )
  const after = counted(contender)
  return {
    algorithm,
    waits: waits.sort((a, b) => a - b),
    unserved: total - waits.length,
    calls: difference(before.calls, after.calls),
    held: { before: before.held, after: after.held },
    came: times.flat().sort((a, b) => a - b),
    served,
  }
}

/** A first call for each node is to be over, at the cloud's own rate. */
function settleMs({ nodes }: Scenario): number {
  return SETTLE_MS + nodes * 400
}

function make(scenario: Scenario, algorithm: Algorithm, onAddress: Ground['onAddress']): Contender {
  const { seed, limits, policy, cooldownMs, prefixes } = scenario
  if (algorithm === 'causeway') return new Simulation({ seed, policy, limits, cooldownMs, subnets: SUBNETS, onAddress })
  const agenda = new Agenda()
  const random = randomOf(seed)
  const cloud = new MemoryAws({ timer: agenda, random, subnets: SUBNETS })
  const ground = { agenda, cloud, random, limits, prefixes, subnets: SUBNETS.map(({ id }) => id), onAddress }
  return algorithm === 'cilium' ? new Cilium(ground) : new VpcCni(ground, ALGORITHMS[algorithm])
}

/** When pods come to each node, in milliseconds from the beginning and in order; the same for every algorithm. */
export function burstTimes({ seed, nodes, pods, withinMs }: Scenario): number[][] {
  const random = randomOf(seed + 1)
  const times = (): number[] => Array.from({ length: pods }, () => Math.floor(random() * withinMs))
  return Array.from({ length: nodes }, () => times().sort((a, b) => a - b))
}

function schedule(contender: Contender, times: readonly (readonly number[])[]): void {
  times.forEach((ofNode, n) =>
    ofNode.forEach((atMs, pod) => contender.agenda.after(atMs, () => contender.add(`node-${n}`, `burst-${pod}`))),
  )
}

function counted({ cloud }: Contender) {
  const calls = new Map([...cloud.tallies].map(([api, tally]) => [api, { ...tally }]))
  let held = 0
  for (const { blocks } of cloud.nics.values()) for (const block of blocks) held += 2 ** (32 - lengthOf(block))
  return { calls, held }
}

type Tallies = ReadonlyMap<string, { readonly calls: number; readonly throttled: number }>

function difference(before: Tallies, after: Tallies): ApiCalls[] {
  const rows = [...after].map(([api, { calls, throttled }]) => {
    const had = before.get(api)
    return { api, calls: calls - (had?.calls ?? 0), throttled: throttled - (had?.throttled ?? 0) }
  })
  return rows.filter(({ calls }) => calls > 0).sort((a, b) => (a.api < b.api ? -1 : 1))
}

/** The wait that `share` of the pods did not exceed; those without an address count as the longest. */
export function quantile({ waits, unserved }: Pick<Outcome, 'waits' | 'unserved'>, share: number): number {
  const at = Math.ceil((waits.length + unserved) * share) - 1
  return at >= waits.length ? Infinity : (waits[Math.max(0, at)] ?? 0)
}
