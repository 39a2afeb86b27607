/**
 * `cni-exec`: the CNI executable from exec to exit, beside the Go plugins of containernetworking-plugins. Its ADD asks a
 * daemon that answers at once; the plugins' ADD is the least one of them does: loopback sets one device up, host-local
 * writes one file.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { openNewNetns } from '../../daemon/kernel/netns/create.ts'
import { rawDaemon } from '../support/fake-daemon.ts'
import { against, type Bench, type BenchContext, compare, interleave, median, type Result } from './bench.ts'
import { type Stage, timeSpawns } from './support/spawn-timer.ts'

const NAME = 'cni-exec'
const OURS = resolve(import.meta.dirname, '../../build/cni/causeway')
const GO = '/usr/lib/cni'
/** Runs of a sample, whose median is taken. */
const RUNS = 15
const WALL_RATIO = 0.7
const RESIDENT_MIB = 4
const RESULT = {
  interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', sandbox: '/run/netns/pod' }],
  ips: [{ interface: 0, address: '10.10.0.2/32', gateway: '169.254.1.1' }],
  routes: [{ dst: '0.0.0.0/0', gw: '169.254.1.1' }],
}

/** What the daemon answers, whatever is asked: its own time is measured by `pod-add`. */
const ANSWER = [
  'HTTP/1.1 200 OK',
  'Content-Type: application/json',
  `Content-Length: ${JSON.stringify(RESULT).length}`,
  '',
  JSON.stringify(RESULT),
].join('\r\n')

export const cniExec: Bench = {
  name: NAME,
  summary: 'CNI executable from exec to exit, beside Go plugins; resident size',
  async *run(context) {
    const folder = mkdtempSync(join(tmpdir(), 'cw-bench-'))
    try {
      await using stack = new AsyncDisposableStack()
      stack.use(await rawDaemon(join(folder, 'api.sock'), ANSWER))
      const netns = stack.use(openNewNetns())
      yield* measure(plans(folder, `/proc/${process.pid}/fd/${netns.fd}`), context)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
}

/** What is run of one verb, by name; `causeway` is ours. */
type Plan = Readonly<Record<string, Stage>>
type Verb = 'VERSION' | 'ADD'

async function* measure(verbs: Readonly<Record<Verb, Plan>>, context: BenchContext): AsyncIterable<Result> {
  for (const verb of ['VERSION', 'ADD'] as const) {
    const residentMib: number[] = []
    let runs = 0
    const sample = (name: string, stage: Stage) => async (): Promise<number> => {
      const times = await timeSpawns([stage], { runs: RUNS, first: runs, signal: context.signal })
      runs += RUNS
      if (name === 'causeway') residentMib.push(times.maxRssKib / 1024)
      return median(times.ms)
    }
    const cases = Object.fromEntries(Object.entries(verbs[verb]).map(([name, stage]) => [name, sample(name, stage)]))
    const { causeway = [], ...peers } = await interleave(cases, context)
    for (const [peer, ms] of Object.entries(peers))
      yield compare({ bench: NAME, case: verb, unit: 'ms', peer }, causeway, ms, { ratio: WALL_RATIO })
    yield against({ bench: NAME, case: `${verb}, resident`, unit: 'MiB' }, residentMib, RESIDENT_MIB)
  }
}

function plans(folder: string, netns: string): Readonly<Record<Verb, Plan>> {
  const input = (name: string, value: object): string => {
    const path = join(folder, `${name}.json`)
    writeFileSync(path, JSON.stringify({ cniVersion: '1.0.0', name: 'bench', type: name, ...value }))
    return path
  }
  const inputs = {
    causeway: input('causeway', { socket: join(folder, 'api.sock'), deleteQueue: join(folder, 'deletes') }),
    loopback: input('loopback', {}),
    bridge: input('bridge', {}),
    'host-local': input('host-local', {
      ipam: { type: 'host-local', dataDir: join(folder, 'host-local'), ranges: [[{ subnet: '10.64.0.0/12' }]] },
    }),
  }
  const stage = (name: keyof typeof inputs, verb: Verb): Stage => ({
    env: {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: 'bench-{}',
      CNI_NETNS: netns,
      CNI_IFNAME: name === 'loopback' ? 'lo' : 'eth0',
      CNI_PATH: GO,
    },
    input: inputs[name],
    command: [name === 'causeway' ? OURS : join(GO, name)],
  })
  const plan = (verb: Verb, names: readonly (keyof typeof inputs)[]): Plan =>
    Object.fromEntries(names.map(name => [name, stage(name, verb)]))
  return {
    VERSION: plan('VERSION', ['causeway', 'bridge', 'host-local', 'loopback']),
    ADD: plan('ADD', ['causeway', 'host-local', 'loopback']),
  }
}
