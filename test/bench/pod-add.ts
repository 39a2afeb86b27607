/**
 * `pod-add`: ADD and DEL of one pod from exec to exit of the CNI executable, one after another and 110 at once, beside
 * the Go plugins bridge with host-local and portmap, chained as a runtime does, on the same node.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { against, type Bench, type BenchContext, beside, median, quantile, type Result } from './bench.ts'
import { BenchNode } from './support/bench-node.ts'
import { type SpawnTimes, type Stage, timeSpawns } from './support/spawn-timer.ts'

const NAME = 'pod-add'
/** Pods of one round that come one after another; all rounds together make about a hundred. */
const BATCH = 10
const AT_ONCE = 110
const ROUNDS_AT_ONCE = 3
/** Daemons whose first ADD is looked at. */
const RESTARTS = 5
const LIMITS = { addP50: 10, addP99: 40, addAtOnce: 2000, del: 30, delAtOnce: 1000 } as const
const PEER = 'bridge + host-local + portmap'

export const podAdd: Bench = {
  name: NAME,
  summary: 'ADD and DEL of a pod, one after another and 110 at once, beside bridge + host-local + portmap',
  async *run(context): AsyncIterable<Result> {
    await using node = await BenchNode.create('benchadd', context.signal)
    node.makePods('pod', 0, AT_ONCE)
    node.makePods('peer', 0, AT_ONCE)
    await node.startDaemon()
    const contenders = { ours: ownCalls(node), peer: peerCalls(node) }
    const usual = yield* oneByOne(node, contenders, context)
    yield* atOnce(node, contenders, context)
    yield* firstOnes(node, contenders.ours, usual, context)
  },
}

interface Calls {
  readonly add: readonly Stage[]
  readonly del: readonly Stage[]
}
interface Contenders {
  readonly ours: Calls
  readonly peer: Calls
}

function ownCalls(node: BenchNode): Calls {
  return { add: [node.ownStage('ADD', 'pod')], del: [node.ownStage('DEL', 'pod')] }
}

/** portmap gets a result as its predecessor would give it; DEL goes in reverse order (CNI specification, section 3). */
function peerCalls(node: BenchNode): Calls {
  const prevResult = {
    interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', sandbox: '/run/netns/pod' }],
    ips: [{ interface: 0, address: '10.88.0.2/16', gateway: '10.88.0.1' }],
  }
  const ipam = {
    type: 'host-local',
    dataDir: join(node.folder, 'host-local'),
    ranges: [[{ subnet: '10.88.0.0/16' }], [{ subnet: 'fd00:88::/112' }]],
    routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
  }
  const confs = {
    bridge: { bridge: 'bench0', isGateway: true, ipam },
    portmap: { capabilities: { portMappings: true }, prevResult: { cniVersion: '1.0.0', ...prevResult } },
  }
  const stage = (verb: 'ADD' | 'DEL', type: keyof typeof confs): Stage => {
    const input = join(node.folder, `${type}.json`)
    writeFileSync(input, JSON.stringify({ cniVersion: '1.0.0', name: 'bench', type, ...confs[type] }))
    return node.cniStage({ verb, kind: 'peer', input, command: `/usr/lib/cni/${type}` })
  }
  return {
    add: [stage('ADD', 'bridge'), stage('ADD', 'portmap')],
    del: [stage('DEL', 'portmap'), stage('DEL', 'bridge')],
  }
}

type Verb = keyof Calls
type Samples = Record<keyof Contenders, Record<Verb, SpawnTimes[]>>

/** Ours and the peer take turns: batches of ADDs, then of DELs. */
async function takeTurns(
  node: BenchNode,
  contenders: Contenders,
  how: { readonly rounds: number; readonly runs: number; readonly parallel: boolean },
  { signal, say }: BenchContext,
): Promise<Samples> {
  const samples: Samples = { ours: { add: [], del: [] }, peer: { add: [], del: [] } }
  const { runs, parallel } = how
  // One uncounted round first.
  for (let round = -1; round < how.rounds; round++) {
    say(`${parallel ? `${runs} at once` : 'one by one'}, round ${round + 1} of ${how.rounds}`)
    for (const who of ['ours', 'peer'] as const)
      for (const verb of ['add', 'del'] as const) {
        const times = await timeSpawns(contenders[who][verb], { runs, parallel, netns: node.layout.netns, signal })
        if (round >= 0) samples[who][verb].push(times)
      }
  }
  return samples
}

/** Returns the milliseconds of all ADDs of ours. */
async function* oneByOne(node: BenchNode, contenders: Contenders, context: BenchContext) {
  const how = { rounds: context.rounds, runs: BATCH, parallel: false }
  const { ours, peer } = await takeTurns(node, contenders, how, context)
  const all = (times: readonly SpawnTimes[]): number[] => times.flatMap(t => t.ms)
  const typical = (times: readonly SpawnTimes[]): number[] => times.map(t => median(t.ms))
  const p50 = (verb: Verb, limit: number): Result => {
    const what = { bench: NAME, case: `${verb.toUpperCase()} one by one, p50`, unit: 'ms' }
    return against({ ...what, ...beside(PEER, typical(ours[verb]), typical(peer[verb])) }, all(ours[verb]), limit)
  }
  yield p50('add', LIMITS.addP50)
  // A round is too small for a p99 of its own.
  const p99 = { bench: NAME, case: 'ADD one by one, p99', unit: 'ms', peer: PEER, peerValue: slowest(all(peer.add)) }
  yield against(p99, all(ours.add), LIMITS.addP99, slowest)
  yield p50('del', LIMITS.del)
  return all(ours.add)
}

function slowest(samples: readonly number[]): number {
  return quantile(samples, 0.99)
}

async function* atOnce(node: BenchNode, contenders: Contenders, context: BenchContext): AsyncIterable<Result> {
  const how = { rounds: Math.min(ROUNDS_AT_ONCE, context.rounds), runs: AT_ONCE, parallel: true }
  const { ours, peer } = await takeTurns(node, contenders, how, context)
  const totals = (times: readonly SpawnTimes[]): number[] => times.map(t => t.totalMs)
  const row = (verb: Verb, limit: number): Result => {
    const what = { bench: NAME, case: `${verb.toUpperCase()}, ${AT_ONCE} at once`, unit: 'ms' }
    return against({ ...what, ...beside(PEER, totals(ours[verb]), totals(peer[verb])) }, totals(ours[verb]), limit)
  }
  yield row('add', LIMITS.addAtOnce)
  yield row('del', LIMITS.delAtOnce)
}

/** The first ADDs that daemons serve, each of them, are held to what the slowest of the others may take. */
async function* firstOnes(
  node: BenchNode,
  ours: Calls,
  usual: readonly number[],
  { signal, rounds }: BenchContext,
): AsyncIterable<Result> {
  const first: number[] = []
  for (let i = 0; i < Math.min(RESTARTS, rounds); i++) {
    await node.stopDaemon()
    await node.startDaemon()
    const { ms } = await timeSpawns(ours.add, { runs: 1, netns: node.layout.netns, signal })
    first.push(...ms)
    await timeSpawns(ours.del, { runs: 1, netns: node.layout.netns, signal })
  }
  const what = { bench: NAME, case: 'first ADD of a daemon, slowest', unit: 'ms' }
  const others = { peer: 'p99 of the others', peerValue: slowest(usual) }
  yield against({ ...what, ...others }, first, LIMITS.addP99, all => Math.max(...all))
}
