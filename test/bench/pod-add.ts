/**
 * `pod-add`: ADD and DEL of one pod from exec to exit of the CNI executable, one after another and 110 at once, beside
 * the Go plugins bridge with host-local and portmap, chained as a runtime does, on the same node.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { against, type Bench, type BenchContext, median, quantile, type Result } from './bench.ts'
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
    yield* oneByOne(node, contenders, context)
    yield* atOnce(node, contenders, context)
    yield* firstOnes(node, contenders.ours, context)
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

async function* oneByOne(node: BenchNode, contenders: Contenders, context: BenchContext): AsyncIterable<Result> {
  const how = { rounds: context.rounds, runs: BATCH, parallel: false }
  const { ours, peer } = await takeTurns(node, contenders, how, context)
  const all = (times: readonly SpawnTimes[]): number[] => times.flatMap(t => t.ms)
  const row = (verb: Verb, what: string, limit: number, value: (samples: readonly number[]) => number): Result => {
    const beside = { peer: PEER, peerValue: value(all(peer[verb])) }
    return against({ bench: NAME, case: what, unit: 'ms', ...beside }, all(ours[verb]), limit, value)
  }
  yield row('add', 'ADD one by one, p50', LIMITS.addP50, median)
  yield row('add', 'ADD one by one, p99', LIMITS.addP99, s => quantile(s, 0.99))
  yield row('del', 'DEL one by one, p50', LIMITS.del, median)
}

async function* atOnce(node: BenchNode, contenders: Contenders, context: BenchContext): AsyncIterable<Result> {
  const how = { rounds: ROUNDS_AT_ONCE, runs: AT_ONCE, parallel: true }
  const { ours, peer } = await takeTurns(node, contenders, how, context)
  const totals = (times: readonly SpawnTimes[]): number[] => times.map(t => t.totalMs)
  const row = (verb: Verb, limit: number): Result => {
    const beside = { peer: PEER, peerValue: median(totals(peer[verb])) }
    const what = `${verb.toUpperCase()}, ${AT_ONCE} at once`
    return against({ bench: NAME, case: what, unit: 'ms', ...beside }, totals(ours[verb]), limit)
  }
  yield row('add', LIMITS.addAtOnce)
  yield row('del', LIMITS.delAtOnce)
}

/** The first ADD a daemon serves is held to what the slowest of the others may take. */
async function* firstOnes(node: BenchNode, ours: Calls, { signal }: BenchContext): AsyncIterable<Result> {
  const first: number[] = []
  for (let i = 0; i < RESTARTS; i++) {
    await node.stopDaemon()
    await node.startDaemon()
    const { ms } = await timeSpawns(ours.add, { runs: 1, netns: node.layout.netns, signal })
    first.push(...ms)
    await timeSpawns(ours.del, { runs: 1, netns: node.layout.netns, signal })
  }
  yield against({ bench: NAME, case: 'first ADD of a daemon', unit: 'ms' }, first, LIMITS.addP99)
}
