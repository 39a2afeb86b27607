/**
 * `maglev-xdp`: nanoseconds of `uplink_xdp` for one packet from outside to a service's backend elsewhere, translated there
 * and back (SNAT), or wrapped on its way to a pod that answers the client itself (DSR by IPIP); by test run on one core, among 10,000 services with 100 backends each. What the packet's restoration and the test run itself cost is
 * measured by an empty program in the same place and taken away. The peer only parses and bounces, in less time than the
 * clock's steps: its figure, and the ratio, are with the restoration and the test run in them.
 */
import { readFileSync } from 'node:fs'
import { ServiceTarget } from '../../daemon/datapath/service-target.ts'
import {
  CtFlags,
  DsrDispatch,
  type CtKey,
  type CtValue,
  NatFlags,
  type NatKey,
  natKeyLayout,
  type NatValue,
  natValueLayout,
} from '../../daemon/datapath/shared.gen.ts'
import { steadySets } from '../../daemon/datapath/constants.ts'
import { bytes, codec, u32 } from '../../daemon/kernel/bpf/layout.ts'
import type { LoadedObject } from '../../daemon/kernel/bpf/object.ts'
import { testRun, xdpContext } from '../../daemon/kernel/bpf/test-run.ts'
import { toMapped16 } from '../../daemon/kernel/ip.ts'
import { DEFAULT_TABLE_SIZE } from '../../daemon/service/maglev.ts'
import type { FrontendRow } from '../../daemon/state/service-rows.ts'
import { compilePrograms, TestNode } from '../bpf/node.ts'
import { serviceMaps } from '../bpf/service-maps.ts'
import { type Both, FAMILIES, type Family, fromRouter, HOST, ip } from '../bpf/world.ts'
import { packet, payload, PROTOCOL } from '../support/packet.ts'
import { tcp } from '../support/packet-transport.ts'
import { against, beside, type Bench, type BenchContext, interleave, median, type Result } from './bench.ts'
import { PLAIN_FRONTEND } from '../support/service-row.ts'
import { loadReset } from './support/load-reset.ts'

const NAME = 'maglev-xdp'
const FULL = { services: 10_000, backends: 100, repeat: 131_072, flows: [1, 1024, 65_536, 1_048_576] }
/** Long enough that what interrupts a sample does not take longer than the sample itself. */
const BRIEF = { services: 10, backends: 10, repeat: 131_072, flows: [1, 1024] }
type Size = typeof FULL
/** What the daemon sets on a node of one CPU, which is what a test run is. */
const STEADY_SETS = steadySets(1)
const FORWARDINGS = ['SNAT', 'DSR by IPIP'] as const
type Forwarding = (typeof FORWARDINGS)[number]
/** Nanoseconds that a packet may cost, by how many flows there are. */
const LIMITS_NS: Readonly<Record<Forwarding, Readonly<Record<number, number>>>> = {
  SNAT: { 1: 180 },
  'DSR by IPIP': { 1: 75, 1024: 95, 65_536: 280 },
}
/** XDP_TX, which all programs here answer. */
const TURNED = 3
const HEADERS = 74
const SERVICE_PORT = 80
const BACKEND_PORT = 8080

/** Everything is behind one router, and the way to it known. */
const CLIENT: Both = { 4: '198.18.0.0', 6: '2001:db8:2::' }
const serviceAddress = (f: Family, i: number): string =>
  f === 4 ? `203.0.${i >> 8}.${i & 255}` : `2001:db8:1::${i.toString(16)}`
const backendAddress = (f: Family, i: number): string =>
  f === 4 ? `198.19.${i >> 8}.${i & 255}` : `2001:db8:3::${i.toString(16)}`

export const maglevXdp: Bench = {
  name: NAME,
  summary: 'nanoseconds a packet from outside takes in uplink_xdp, by test run',
  async *run(context) {
    await compilePrograms()
    for (const forwarding of FORWARDINGS)
      for (const family of FAMILIES) yield* measure(forwarding, family, context.brief ? BRIEF : FULL, context)
  },
}

async function* measure(
  forwarding: Forwarding,
  family: Family,
  size: Size,
  context: BenchContext,
): AsyncIterable<Result> {
  const most = Math.max(...size.flows)
  using node = new TestNode({
    constants: {
      steady_sets: STEADY_SETS,
      dsr_dispatch: forwarding === 'SNAT' ? DsrDispatch.DSR_OFF : DsrDispatch.DSR_IPIP,
    },
    conntrackEntries: 2 * most,
    sizes: {
      translations: 4 * most,
      services: 2 * size.services,
      service_slots: size.services * size.backends,
      backends: size.services * size.backends,
    },
  })
  makeServices(node, family, size)
  context.say(`IPv${family}: ${size.services} services × ${size.backends} backends`)
  openFlows(node, forwarding, family, size)
  context.say(`IPv${family}: ${most} flows by ${forwarding}`)
  using wrapper = await loadReset('reset-xdp')
  const programs = {
    ours: node.object('xdp').programFd('uplink_xdp'),
    bounce: wrapper.programFd('bounce_xdp'),
    empty: wrapper.programFd('empty_xdp'),
  }
  const cases = size.flows.flatMap(flows =>
    Object.entries(programs).map(([name, program]) => {
      const sample = { family, program, flows, repeat: repeatsFor(flows, size), service: size.services >> 1 }
      return [`${name} ${flows}`, () => timeOne(node, wrapper, sample)] as const
    }),
  )
  const samples = await interleave(Object.fromEntries(cases), context)
  const net = (name: string, flows: number): number[] =>
    (samples[`${name} ${flows}`] ?? []).map((ns, i) => ns - (samples[`empty ${flows}`]?.[i] ?? Number.NaN))
  for (const flows of size.flows) {
    const what = {
      bench: NAME,
      case: `IPv${family}, ${forwarding}, ${flows} flow${flows > 1 ? 's' : ''}`,
      unit: 'ns',
      ...beside('bounce and run', samples[`ours ${flows}`] ?? [], samples[`bounce ${flows}`] ?? []),
    }
    const ours = net('ours', flows)
    const limit = LIMITS_NS[forwarding][flows]
    if (limit !== undefined) yield against(what, ours, limit)
    else yield { ...what, ours: median(ours), samples: ours.length }
  }
  if (forwarding !== 'SNAT') return
  for (const map of ['services', 'service_slots', 'backends', 'conntrack', 'translations'])
    yield { bench: NAME, case: `IPv${family}, map ${map}`, ours: mapMegabytes(node, map), unit: 'MB', samples: 1 }
}

/** So often that what a flow's first packet finds out counts for little, as long as that does not take for ever. */
function repeatsFor(flows: number, { repeat }: Size): number {
  return Math.max(repeat, flows > MOST_REPEATED_FLOWS ? flows : PASSES * flows)
}
const PASSES = 64
const MOST_REPEATED_FLOWS = 65_536

/** As the daemon carries them. */
function makeServices(node: TestNode, family: Family, size: Size): void {
  using stack = new DisposableStack()
  const maps = serviceMaps(node.object('xdp'), stack)
  const target = new ServiceTarget({ maps: () => maps, seed: '' })
  const rowsAtOnce = 100
  for (let first = 0; first < size.services; first += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, size.services - first)
    void target.updateBatch(Array.from({ length: count }, (_, i) => frontend(family, first + i, size.backends)))
  }
}

function frontend(family: Family, i: number, backends: number): FrontendRow {
  const address = serviceAddress(family, i)
  return {
    ...PLAIN_FRONTEND,
    key: `TCP ${address} ${SERVICE_PORT} outside`,
    address,
    port: SERVICE_PORT,
    scope: 'outside',
    kind: 'load-balancer',
    algorithm: 'maglev',
    tableSize: DEFAULT_TABLE_SIZE,
    backends: Array.from({ length: backends }, (_, b) => ({
      address: backendAddress(family, b),
      port: BACKEND_PORT + (i % 50_000),
      node: '',
      zone: '',
      weight: 1,
      terminating: false,
    })),
  }
}

/** Conntrack and translations as the flows' own packets would have left them. */
function openFlows(node: TestNode, forwarding: Forwarding, family: Family, size: Size): void {
  using translations = node.object('xdp').map('translations', codec(natKeyLayout, natValueLayout))
  const now = process.hrtime.bigint()
  const service = { address: toMapped16(serviceAddress(family, size.services >> 1)), port: SERVICE_PORT }
  const host = toMapped16(HOST[family])
  const backends = Array.from({ length: size.backends }, (_, b) => toMapped16(backendAddress(family, b)))
  const flow: CtValue = {
    expires: now + 3_600_000_000_000n,
    created: now,
    packetsA: 2n,
    packetsB: 1n,
    bytesA: 132n,
    bytesB: 66n,
    end: 0,
    flags:
      CtFlags.CT_ORIGIN_A |
      CtFlags.CT_ESTABLISHED |
      CtFlags.CT_TRANSLATED |
      (forwarding === 'SNAT' ? CtFlags.CT_REPLIED : CtFlags.CT_ONE_WAY),
  }
  const chunk = 16_384
  for (let first = 0; first < Math.max(...size.flows); first += chunk) {
    const flows: [CtKey, CtValue][] = []
    const ways: [NatKey, NatValue][] = []
    for (let i = first; i < first + chunk && i < Math.max(...size.flows); i++) {
      const client = { address: clientAddress(family, i >> 16), port: i & 0xffff }
      // One source port leads to many backends: these are as many as there are flows.
      const own = forwarding === 'SNAT' ? { address: host, port: i & 0xffff } : client
      const backend = { address: backends[(i >> 16) % backends.length] ?? host, port: BACKEND_PORT }
      const flags = forwarding === 'SNAT' ? 0 : NatFlags.NAT_DSR
      ways.push(way(client, service, own, backend, flags))
      ways.push(way(backend, own, service, client, flags | NatFlags.NAT_REPLY))
      flows.push([ctKey(own, backend), flow])
    }
    translations.updateBatch(ways)
    node.conntrack.updateBatch(flows)
  }
}

interface End {
  readonly address: Uint8Array
  readonly port: number
}

function way(source: End, destination: End, nextSource: End, nextDestination: End, flags: number): [NatKey, NatValue] {
  const ends = (from: End, to: End) => ({
    source: from.address,
    destination: to.address,
    sourcePort: from.port,
    destinationPort: to.port,
  })
  return [
    { ...ends(source, destination), protocol: PROTOCOL.tcp },
    { ...ends(nextSource, nextDestination), flags, created: 0n, backend: 0, ifindex: 0 },
  ]
}

function ctKey(x: End, y: End): CtKey {
  const [a, b] = Buffer.compare(x.address, y.address) < 0 ? [x, y] : [y, x]
  return { a: a.address, b: b.address, portA: a.port, portB: b.port, protocol: PROTOCOL.tcp }
}

function clientAddress(family: Family, last: number): Uint8Array {
  const address = toMapped16(CLIENT[family])
  address[15] = last
  return address
}

interface Sample {
  readonly family: Family
  readonly program: number
  readonly flows: number
  readonly repeat: number
  /** Number of the service that is spoken to. */
  readonly service: number
}

function timeOne(node: TestNode, wrapper: LoadedObject, { family, program, flows, repeat, service }: Sample): number {
  const to = serviceAddress(family, service)
  const data = packet(
    fromRouter,
    ip(family, CLIENT, { 4: to, 6: to }),
    tcp({ sport: 0, dport: SERVICE_PORT }),
    payload(64),
  )
  using originals = wrapper.map('originals', codec(u32, bytes(ORIGINAL_BYTES)))
  using target = wrapper.map('under_test', codec(u32, u32))
  originals.update(0, original(data, flows, family))
  target.update(0, program)
  const context = xdpContext(data.length, node.devices.uplink)
  const result = node.within(() => testRun(wrapper.programFd('reset_xdp'), { data, context, repeat }))
  if (result.retval !== TURNED) throw new Error(`a packet of ${flows} flows got the verdict ${result.retval}`)
  return result.durationNs
}

const ORIGINAL_BYTES = 92
/** `struct original` of reset-xdp.bpf.c. */
function original(data: Uint8Array, flows: number, family: Family): Uint8Array {
  const value = new Uint8Array(ORIGINAL_BYTES)
  value.set(data.subarray(0, HEADERS))
  new Uint32Array(value.buffer, 76).set([data.length, flows - 1, family === 4 ? 34 : 54, 0])
  return value
}

/** What the kernel charges for a map. */
function mapMegabytes(node: TestNode, name: string): number {
  const facts = readFileSync(`/proc/self/fdinfo/${node.object('xdp').mapFd(name)}`, 'utf8')
  return Number(/^memlock:\s+(\d+)/m.exec(facts)?.[1] ?? Number.NaN) / 1e6
}
