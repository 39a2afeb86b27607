/**
 * `forwarding --test-run`: nanoseconds of `pod_out` for one packet of an established flow between two pods of a node,
 * by test run on one core. What the packet's restoration and the test run itself cost is measured by an empty program in
 * the same place and taken away.
 */
import { CtFlags, type CtKey, type CtValue } from '../../daemon/datapath/shared.gen.ts'
import { loadConfig } from '../../daemon/config/load.ts'
import { programConstants } from '../../daemon/datapath/constants.ts'
import { bytes, codec, u32 } from '../../daemon/kernel/bpf/layout.ts'
import type { LoadedObject } from '../../daemon/kernel/bpf/object.ts'
import { skbContext, testRun } from '../../daemon/kernel/bpf/test-run.ts'
import { toMapped16 } from '../../daemon/kernel/ip.ts'
import { compilePrograms, TestNode } from '../bpf/node.ts'
import { A, B, FAMILIES, type Family, fromPod, ip } from '../bpf/world.ts'
import { packet, payload } from '../support/packet.ts'
import { tcp } from '../support/packet-transport.ts'
import { against, type Bench, type BenchContext, interleave, type Result } from './bench.ts'
import { loadReset } from './support/load-reset.ts'

const NAME = 'forwarding --test-run'

/** Flows that take turns, and nanoseconds a packet may cost then. */
const CASES = [
  { flows: 1, limitNs: 250 },
  { flows: 1024, limitNs: 300 },
  { flows: 65_536, limitNs: 450 },
] as const
/** Runs of a sample: each flow at least once. */
const REPEAT = 131_072
const CONNTRACK_ENTRIES = 262_144
const FIRST_PORT = 1024
/** TC_ACT_REDIRECT and TC_ACT_OK: what `pod_out` and `empty` answer. */
const REDIRECTED = 7
const PASSED = 0

export const forwardingTestRun: Bench = {
  name: NAME,
  summary: 'nanoseconds a packet in pod_out, pod to pod, by test run',
  async *run(context) {
    await compilePrograms()
    for (const family of FAMILIES) yield* measureFamily(family, context)
  },
}

async function* measureFamily(family: Family, context: BenchContext): AsyncIterable<Result> {
  using node = new TestNode({
    conntrackEntries: CONNTRACK_ENTRIES,
    constants: defaultConstants(),
  })
  node.conntrack.updateBatch(establishedFlows(family))
  using wrapper = await loadReset('reset')
  const sample = (program: number, flows: number, verdict: number) => (): number =>
    timeOne(node, wrapper, { family, program, flows, verdict })
  const programs = { ours: node.object('pod').programFd('pod_out'), empty: wrapper.programFd('empty') }
  const samples = await interleave(
    Object.fromEntries(
      CASES.flatMap(({ flows }) => [
        [`ours ${flows}`, sample(programs.ours, flows, REDIRECTED)],
        [`empty ${flows}`, sample(programs.empty, flows, PASSED)],
      ]),
    ),
    context,
  )
  for (const { flows, limitNs } of CASES) {
    const net = (samples[`ours ${flows}`] ?? []).map((ns, i) => ns - (samples[`empty ${flows}`]?.[i] ?? Number.NaN))
    yield against({ bench: NAME, case: `IPv${family}, ${flows} flow${flows > 1 ? 's' : ''}`, unit: 'ns' }, net, limitNs)
  }
}

/** What the daemon loads the programs with when nothing is configured. */
function defaultConstants(): Readonly<Record<string, number | bigint>> {
  const { config } = loadConfig({ pluginNames: [], file: '/dev/null' })
  return programConstants({ datapath: config.datapath })
}

interface Sample {
  readonly family: Family
  readonly program: number
  readonly flows: number
  /** What every run must answer: anything else is another way through the program. */
  readonly verdict: number
}

function timeOne(node: TestNode, wrapper: LoadedObject, { family, program, flows, verdict }: Sample): number {
  const data = flowPacket(family)
  using originals = wrapper.map('originals', codec(u32, bytes(80)))
  using target = wrapper.map('under_test', codec(u32, u32))
  originals.update(0, original(data, flows, family))
  target.update(0, program)
  const context = skbContext({ ifindex: node.devices.a })
  const result = node.within(() => testRun(wrapper.programFd('reset'), { data, context, repeat: REPEAT }))
  if (result.retval !== verdict) throw new Error(`a packet of ${flows} flows got the verdict ${result.retval}`)
  return result.durationNs
}

/** `struct original` of reset.bpf.c. */
function original(data: Uint8Array, flows: number, family: Family): Uint8Array {
  const value = new Uint8Array(80)
  value.set(data.subarray(0, 64))
  new Uint32Array(value.buffer, 64).set([flows - 1, FIRST_PORT, family === 4 ? 34 : 54, 0])
  return value
}

function flowPacket(family: Family): Uint8Array {
  return packet(fromPod(A), ip(family, A, B), tcp({ sport: FIRST_PORT, dport: 80, flags: 'A' }), payload(10))
}

/** Conntrack entries as the flows' own packets would have left them. */
function* establishedFlows(family: Family): Iterable<readonly [CtKey, CtValue]> {
  const now = process.hrtime.bigint()
  const value: CtValue = {
    expires: now + 3_600_000_000_000n,
    created: now,
    packetsA: 2n,
    packetsB: 1n,
    bytesA: 132n,
    bytesB: 66n,
    end: 0,
    flags: CtFlags.CT_ORIGIN_A | CtFlags.CT_REPLIED | CtFlags.CT_ESTABLISHED,
  }
  const most = Math.max(...CASES.map(c => c.flows))
  for (let flow = 0; flow < most; flow++) {
    const portA = (FIRST_PORT + flow) & 0xffff
    yield [{ a: toMapped16(A[family]), b: toMapped16(B[family]), portA, portB: 80, protocol: 6 }, value]
  }
}
