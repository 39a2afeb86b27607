/**
 * A node for tests of the programs: a namespace with devices and routes, and one set of maps with all programs loaded.
 * Packets go in by test run; what comes out are a verdict, the packet, and the effects on maps and events.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { bytes, codec, type Layout, perCpu, u32, u64 } from '../../daemon/kernel/bpf/layout.ts'
import type { EbpfMap } from '../../daemon/kernel/bpf/map.ts'
import { possibleCpus } from '../../daemon/kernel/bpf/map-info.ts'
import { loadObject, type LoadedObject } from '../../daemon/kernel/bpf/object.ts'
import { RingBuffer } from '../../daemon/kernel/bpf/ring-buffer.ts'
import { runSyscallProgram } from '../../daemon/kernel/bpf/run-syscall-program.ts'
import { skbContext, testRun, xdpContext } from '../../daemon/kernel/bpf/test-run.ts'
import { toMapped16, toMappedPrefix } from '../../daemon/kernel/ip.ts'
import type { Net } from '../../daemon/kernel/kernel.ts'
import { NetlinkNet } from '../../daemon/kernel/netlink/net.ts'
import { openNewNetns, type OpenNetns } from '../../daemon/kernel/netns/create.ts'
import { inNetns } from '../../daemon/kernel/netns/in-netns.ts'
import {
  addressLayout,
  type CrowdKey,
  crowdKeyLayout,
  CrowdSize,
  CT_EXPIRY_SIZE,
  type CtExpiry,
  type CtKey,
  ctKeyLayout,
  type CtValue,
  ctValueLayout,
  decodeCtExpiry,
  decodeEvent,
  encodeCtExpiry,
  EndpointFlags,
  type EndpointValue,
  endpointValueLayout,
  type Event,
  type FragKey,
  fragKeyLayout,
  type FragValue,
  fragValueLayout,
  IpcacheFlags,
  ipcacheKeyLayout,
  ipcacheValueLayout,
  type MetricKey,
  metricKeyLayout,
  type MetricValue,
  metricValueLayout,
  type Share,
  type ShareKey,
  shareKeyLayout,
  shareLayout,
  STEADY_SIZE,
  SteadySize,
} from '../../daemon/datapath/shared.gen.ts'
import { OBJECT_OF } from '../../daemon/datapath/objects.ts'
import { steadyEntries } from '../../daemon/datapath/constants.ts'
import type { DatapathConfig } from '../../daemon/datapath/config.gen.ts'
import { compileBpf, compileObject } from '../../deploy/setup/compile-bpf.mjs'
import { type Layer, mac, packet } from '../support/packet.ts'
import { type Devices, makeDevices } from './devices.ts'
import { A, B, HOST, type PodFacts, PREFIXES } from './world.ts'

const ROOT = resolve(import.meta.dirname, '../..')

export type ProgramName = keyof typeof OBJECT_OF

/** TC_ACT_*: `pass` leaves the packet to other programs on the device, `stack` ends there. */
export type Verdict = 'pass' | 'stack' | 'drop' | 'redirect' | `${number}`
const VERDICTS: Readonly<Record<number, Verdict>> = { [-1]: 'pass', 0: 'stack', 2: 'drop', 7: 'redirect' }

/** XDP_*: `pass` goes on to the stack, `turn` out by the device it came in by. */
export type XdpVerdict = 'pass' | 'turn' | `${number}`
const XDP_VERDICTS: Readonly<Record<number, XdpVerdict>> = { 2: 'pass', 3: 'turn' }
export interface SentXdp {
  readonly verdict: XdpVerdict
  readonly bytes: Uint8Array
}

/** States of a packet that come from before the program; see prelude.bpf.c. */
export interface Prelude {
  readonly underlay?: 4 | 6
  readonly vni?: number
  readonly otherHost?: boolean
  readonly vlan?: number
  readonly gsoSize?: number
}
export interface Sent {
  readonly verdict: Verdict
  readonly bytes: Uint8Array
}
export interface NodeOptions {
  readonly constants?: Partial<DatapathConfig>
  readonly conntrackEntries?: number
  readonly eventBytes?: number
  /** Entries of other maps, by name. */
  readonly sizes?: Readonly<Record<string, number>>
}

/** Objects that are loaded when they are asked for, over the maps of `pod`. */
const LATER: readonly string[] = ['uplink', 'overlay', 'conntrack', 'xdp']

/** What the programs have unless told otherwise; that of the daemon would take long to be forgotten. */
const STEADY_SETS = 256

/** Of struct nat_crowd in bpf/lib/maps.h: five numbers and a gap, then a bit a word, and two bits a port. */
export const CROWD_SIZE = 6 * 4 + CrowdSize.CROWD_GROUPS * 8 + 2 * CrowdSize.CROWD_WORDS * 8

/** Per-CPU counters of one hook or metric. */
type Counters = readonly MetricValue[]

export class TestNode implements Disposable {
  readonly devices: Devices
  readonly endpoints: EbpfMap<Uint8Array, EndpointValue>
  readonly conntrack: EbpfMap<CtKey, CtValue>
  readonly crowds: EbpfMap<CrowdKey, Uint8Array>
  readonly shares: EbpfMap<ShareKey, Share>
  readonly departed: EbpfMap<Uint8Array, bigint>
  readonly fragments: EbpfMap<FragKey, FragValue>
  readonly metrics: EbpfMap<MetricKey, Counters>
  readonly forwarded: EbpfMap<number, Counters>
  readonly #stack: DisposableStack
  readonly #options: NodeOptions
  readonly #netns: OpenNetns
  readonly #net: Net
  readonly #objects = new Map<string, LoadedObject>()
  readonly #prelude: LoadedObject
  readonly #preludes: EbpfMap<number, Uint8Array>
  readonly #ring: RingBuffer
  readonly #events: Event[] = []

  /** `await compilePrograms()` first. */
  constructor(options: NodeOptions = {}) {
    using stack = new DisposableStack()
    this.#options = options
    this.#netns = stack.use(openNewNetns())
    this.#net = stack.use(new NetlinkNet(this.#netns.path))
    this.devices = makeDevices(this.#net, this.#netns.path)
    this.#loadObject('pod', options, stack)
    this.#prelude = stack.use(loadObject(preludePath()))
    this.#preludes = stack.use(this.#prelude.map('preludes', codec(u32, bytes(20))))
    const map = <K, V>(name: string, key: Layout<K>, value: Layout<V>): EbpfMap<K, V> =>
      stack.use(this.object('pod').map(name, codec(key, value)))
    const counters: Layout<Counters> = perCpu(metricValueLayout, possibleCpus())
    this.endpoints = map('endpoints', addressLayout, endpointValueLayout)
    this.conntrack = map('conntrack', ctKeyLayout, ctValueLayout)
    this.crowds = map('nat_crowds', crowdKeyLayout, bytes(CROWD_SIZE))
    this.shares = map('crowd_shares', shareKeyLayout, shareLayout)
    this.departed = map('departed', addressLayout, u64)
    this.fragments = map('fragments', fragKeyLayout, fragValueLayout)
    this.metrics = map('metrics', metricKeyLayout, counters)
    this.forwarded = map('forwarded', u32, counters)
    const onRecord = (view: DataView, offset: number): void => {
      this.#events.push(decodeEvent(view, offset))
    }
    this.#ring = stack.use(new RingBuffer(this.object('pod').mapFd('events'), { onRecord }))
    this.#populate()
    this.#stack = stack.move()
  }

  /** Path of the node's namespace. */
  get netns(): string {
    return this.#netns.path
  }

  /** Attaches programs to a device's sides, for frames that really travel. */
  attach(programs: Readonly<Partial<Record<'ingress' | 'egress', ProgramName>>>, on: keyof Devices): void {
    const link = this.devices[on]
    this.#net.run([{ op: 'clsact-add', link }])
    for (const side of ['ingress', 'egress'] as const) {
      const name = programs[side]
      if (name === undefined) continue
      const programFd = this.object(OBJECT_OF[name]).programFd(name)
      this.#net.run([{ op: 'filter-replace', at: { link, side }, priority: 1, programFd, name }])
    }
  }

  /** Runs one packet through a program as if it came by a device. */
  send(program: ProgramName, on: keyof Devices, layers: readonly Layer[] | Uint8Array, prelude: Prelude = {}): Sent {
    const whole = layers instanceof Uint8Array ? layers : packet(...layers)
    const cut = whole.length < KERNEL_TAKES
    const data = cut ? padded(whole) : whole
    const context = skbContext({
      ifindex: this.devices[on],
      ...(prelude.gsoSize === undefined ? {} : { gsoSize: prelude.gsoSize, gsoSegments: 2 }),
    })
    const fd = this.#programFd(program, prelude, cut ? whole.length : 0)
    const result = inNetns(this.#netns.fd, () => testRun(fd, { data, context }))
    return { verdict: VERDICTS[result.retval] ?? `${result.retval}`, bytes: result.data }
  }

  /** Runs one frame through `uplink_xdp` as if the uplink's driver had it. */
  sendXdp(layers: readonly Layer[] | Uint8Array): SentXdp {
    const data = layers instanceof Uint8Array ? layers : packet(...layers)
    const context = xdpContext(data.length, this.devices.uplink)
    const program = this.object('xdp').programFd('uplink_xdp')
    const result = inNetns(this.#netns.fd, () => testRun(program, { data, context }))
    return { verdict: XDP_VERDICTS[result.retval] ?? `${result.retval}`, bytes: result.data }
  }

  /** Calls a function in the node's namespace, for test runs of one's own. */
  within<T>(fn: () => T extends PromiseLike<unknown> ? never : T): T {
    return inNetns(this.#netns.fd, fn)
  }

  /** Events since the last call. */
  takeEvents(): readonly Event[] {
    this.#ring.drain()
    return this.#events.splice(0)
  }

  object(name: string): LoadedObject {
    const object = this.#objects.get(name)
    if (object !== undefined) return object
    // Most tests need few, and verifying one takes a slow machine seconds.
    if (LATER.includes(name)) return this.#loadObject(name, this.#options, this.#stack)
    throw new Error(`no object ${name}`)
  }

  /** Runs the program that expires conntrack. */
  async expire(loads = 0n): Promise<CtExpiry> {
    const request = new Uint8Array(CT_EXPIRY_SIZE)
    const none = { live: 0n, expired: 0n, translations: 0n, crowds: 0n }
    encodeCtExpiry(new DataView(request.buffer), 0, { ...none, loads })
    const context = await runSyscallProgram(this.object('conntrack').programFd('ct_expire'), request)
    return decodeCtExpiry(new DataView(context.buffer), 0)
  }

  /** Forgets flows, their ports, fragments, counters and events; addresses and routes stay. */
  reset(): void {
    for (const map of [this.conntrack, this.crowds, this.shares, this.fragments, this.metrics] as EbpfMap<
      unknown,
      unknown
    >[])
      for (const [key] of map.entries()) map.delete(key)
    for (const [hook, counters] of this.forwarded.entries())
      this.forwarded.update(
        hook,
        counters.map(() => ({ packets: 0n, bytes: 0n })),
      )
    if (this.#objects.has('xdp')) this.#forgetSteady()
    this.takeEvents()
  }

  [Symbol.dispose](): void {
    this.#stack.dispose()
  }

  /** What the program in front of the stack remembers. */
  #forgetSteady(): void {
    const set = STEADY_SIZE * SteadySize.STEADY_WAYS
    using steady = this.object('xdp').map('steady', codec(u32, bytes(set)))
    const nothing = new Uint8Array(set)
    steady.updateBatch(Array.from({ length: steady.maxEntries }, (_, place) => [place, nothing] as const))
  }

  /** Over the maps of the first one. */
  #loadObject(name: string, options: NodeOptions, stack: DisposableStack): LoadedObject {
    const { constants = {}, conntrackEntries = 4096, eventBytes = 1 << 20 } = options
    const sizes: Readonly<Record<string, number>> = {
      conntrack: conntrackEntries,
      events: eventBytes,
      steady: steadyEntries(possibleCpus(), constants.steady_sets ?? STEADY_SETS),
      ...options.sizes,
    }
    const all = { overlay_ifindex: this.devices.overlay, overlay_mtu: 1450, overlay_port: 4789, ...constants }
    const first = this.#objects.get('pod')
    const shared = [...(first?.maps ?? [])].filter(([map]) => !map.includes('.'))
    const maps = first
      ? Object.fromEntries(shared.map(([map, reuseFd]) => [map, { reuseFd, maxEntries: sizes[map] ?? 0 }]))
      : Object.fromEntries(Object.entries(sizes).map(([map, maxEntries]) => [map, { maxEntries }]))
    const object = stack.use(loadObject(join(ROOT, 'build/bpf', `${name}.o`), { constants: all, maps }))
    this.#objects.set(name, object)
    return object
  }

  #programFd(program: ProgramName, { underlay, vni, otherHost, vlan }: Prelude, length: number): number {
    const fd = this.object(OBJECT_OF[program]).programFd(program)
    if (underlay === undefined && otherHost === undefined && vlan === undefined && length === 0) return fd
    const settings = Uint32Array.of(underlay ?? 0, vni ?? 0, otherHost ? 1 : 0, vlan ?? 0, length)
    this.#preludes.update(0, new Uint8Array(settings.buffer))
    using target = this.#prelude.map('under_test', codec(u32, u32))
    target.update(0, fd)
    return this.#prelude.programFd('prelude')
  }

  #populate(): void {
    using devices = this.object('pod').map('devices', codec(u32, endpointValueLayout))
    using ipcache = this.object('pod').map('ipcache', codec(ipcacheKeyLayout, ipcacheValueLayout))
    for (const [pod, ifindex] of [
      [A, this.devices.a],
      [B, this.devices.b],
    ] as const) {
      for (const address of [pod[4], pod[6]]) this.endpoints.update(toMapped16(address), endpointValue(pod, ifindex))
      devices.update(ifindex, endpointValue(pod, ifindex))
    }
    const host = {
      ifindex: 0,
      id: 0,
      flags: EndpointFlags.ENDPOINT_HOST,
      mac: mac('0:0:0:0:0:0'),
      hostMac: mac('0:0:0:0:0:0'),
    }
    using own = this.object('pod').map('node_addresses', codec(u32, addressLayout))
    for (const [family, address] of [HOST[4], HOST[6]].entries()) own.update(family, toMapped16(address))
    for (const address of [HOST[4], HOST[6]]) this.endpoints.update(toMapped16(address), host)
    for (const { prefix, tunnel, node } of PREFIXES) {
      const { bytes: address, length } = toMappedPrefix(prefix)
      const value = {
        tunnel: tunnel === undefined ? new Uint8Array(16) : toMapped16(tunnel),
        flags: (tunnel === undefined ? 0 : IpcacheFlags.IPCACHE_OVERLAY) | (node ? IpcacheFlags.IPCACHE_NODE : 0),
        node: 1,
      }
      ipcache.update({ prefixLength: length, address }, value)
    }
  }
}

function endpointValue(pod: PodFacts, ifindex: number): EndpointValue {
  return { ifindex, id: pod.id, flags: 0, mac: mac(pod.mac), hostMac: mac(pod.hostMac) }
}

/** Test runs refuse frames that are shorter than their IP header; the prelude cuts longer ones. */
const KERNEL_TAKES = 64

function padded(frame: Uint8Array): Uint8Array {
  const out = new Uint8Array(KERNEL_TAKES)
  out.set(frame)
  return out
}

let scratch: string | undefined

/** Compiles what is stale of the programs, and the prelude. Await once before the first node. */
export async function compilePrograms(): Promise<void> {
  await compileBpf({ root: ROOT })
  if (scratch !== undefined) return
  const folder = mkdtempSync(join(tmpdir(), 'causeway-prelude-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  await compileObject({
    root: ROOT,
    source: join(import.meta.dirname, 'prelude.bpf.c'),
    output: join(folder, 'prelude.o'),
  })
  scratch = folder
}

function preludePath(): string {
  if (scratch === undefined) throw new Error('await compilePrograms() first')
  return join(scratch, 'prelude.o')
}
