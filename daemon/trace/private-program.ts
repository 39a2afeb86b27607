/**
 * One of the programs loaded once more, over the live maps where it only reads and over maps of its own where it writes. A
 * packet that it is run on (BPF_PROG_TEST_RUN) goes nowhere.
 */
import { join } from 'node:path'
import type { ProgramConstants } from '../datapath/constants.ts'
import {
  decodeEvent,
  type Event,
  MetricKind,
  type MetricKey,
  metricKeyLayout,
  type MetricValue,
  metricValueLayout,
} from '../datapath/shared.gen.ts'
import { CausewayError } from '../errors.ts'
import { codec, perCpu } from '../kernel/bpf/layout.ts'
import { type EbpfMap, mapOfFd } from '../kernel/bpf/map.ts'
import { possibleCpus } from '../kernel/bpf/map-info.ts'
import { type LoadedObject, loadObjectAsync, type MapOptions, readObject } from '../kernel/bpf/object.ts'
import { readObjectFile } from '../kernel/bpf/object-file.ts'
import { programInfo } from '../kernel/bpf/program.ts'
import { RingBuffer } from '../kernel/bpf/ring-buffer.ts'
import { skbContext, testRun } from '../kernel/bpf/test-run.ts'
import { OBJECT_OF } from '../datapath/objects.ts'
import { FlowMirror } from './flow-mirror.ts'
import { MAP_USE } from './map-use.ts'
import { tunnelArrival } from './tunnel-arrival.ts'

/** Programs that packets can be traced through. */
export type TracedProgram = keyof typeof OBJECT_OF

/** The live programs, as ProgramSet has them. */
export interface LiveSet {
  readonly constants: ProgramConstants
  programFd(name: string): number
  mapFd(name: string): number
}

/** TC_ACT_*: `pass` leaves the packet to other programs on the device and then to the host's stack, `stack` to that. */
export type Verdict = 'pass' | 'stack' | 'drop' | 'redirect'
const VERDICTS: Readonly<Record<number, Verdict>> = { [-1]: 'pass', 0: 'stack', 2: 'drop', 7: 'redirect' }

export interface RunResult {
  readonly verdict: Verdict
  /** The frame as the program left it. */
  readonly frame: Uint8Array
  /** What the program told of this packet. */
  readonly events: readonly Event[]
  /** Drops that were counted, told or not. */
  readonly drops: readonly MetricKey[]
  /** Whether all that others have is known to it; else ports were too many to find a free one for certain. */
  readonly settled: boolean
}

/** Another program is on the disk than in the kernel. */
export class OtherBuild extends CausewayError {
  constructor(program: string, path: string) {
    super(
      'OTHER_BUILD',
      `${path} holds another ${program} than the one that is loaded: it was replaced after the daemon's start. Restart the daemon, which loads it, and trace then`,
    )
  }
}

/** Ports that are tried one after the other where others have them. */
const MOST_RUNS = 64

export class PrivateProgram implements Disposable {
  readonly flow: FlowMirror
  readonly #fd: number
  readonly #ring: RingBuffer
  readonly #metrics: EbpfMap<MetricKey, readonly MetricValue[]>
  readonly #events: Event[] = []
  readonly #stack: DisposableStack

  /**
   * Loads it beside the live set, which must not be replaced meanwhile. Throws OtherBuild, and what `loadObjectAsync`
   * throws.
   */
  static async load(objects: string, live: LiveSet, program: TracedProgram): Promise<PrivateProgram> {
    using stack = new DisposableStack()
    const path = join(objects, `${OBJECT_OF[program]}.o`)
    const file = readObjectFile(path)
    const contents = readObject(file)
    const known = new Set(contents.constants.map(({ name }) => name))
    const constants = Object.fromEntries(Object.entries(live.constants).filter(([name]) => known.has(name)))
    const maps = Object.fromEntries(
      contents.maps.flatMap(({ name }) => {
        const options = mapOptions(name, live)
        return options === undefined ? [] : [[name, options] as const]
      }),
    )
    const object = stack.use(await loadObjectAsync(file, { only: [program], maps, constants }))
    const fd = object.programFd(program)
    if (programInfo(fd).tag !== programInfo(live.programFd(program)).tag) throw new OtherBuild(program, path)
    // What comes out of the overlay bears its network's identifier.
    const vni = Number(live.constants.overlay_vni ?? 0)
    const entry = program === 'overlay_in' ? stack.use(tunnelArrival(fd, vni)).fd : fd
    return new PrivateProgram(object, entry, live, stack.move())
  }

  /** Takes what is acquired over. */
  private constructor(object: LoadedObject, fd: number, live: LiveSet, acquired: DisposableStack) {
    using stack = acquired
    this.#fd = fd
    this.flow = stack.use(
      new FlowMirror(
        name => live.mapFd(name),
        name => object.mapFd(name),
      ),
    )
    const counters = perCpu(metricValueLayout, possibleCpus())
    this.#metrics = stack.use(mapOfFd(object.mapFd('metrics'), codec(metricKeyLayout, counters)))
    const onRecord = (view: DataView, offset: number): void => {
      this.#events.push(decodeEvent(view, offset))
    }
    this.#ring = stack.use(new RingBuffer(object.mapFd('events'), { onRecord }))
    this.#stack = stack.move()
  }

  /** Runs it on a frame as if that came by a device of the caller's namespace; call `flow.begin` before. Throws BpfError. */
  run(frame: Uint8Array, ifindex: number): RunResult {
    for (let runs = 1; ; runs++) {
      const result = this.#runOnce(frame, ifindex)
      if (!this.flow.learn()) return { ...result, settled: true }
      if (runs === MOST_RUNS) return { ...this.#runOnce(frame, ifindex), settled: false }
    }
  }

  [Symbol.dispose](): void {
    this.#stack.dispose()
  }

  #runOnce(data: Uint8Array, ifindex: number): Omit<RunResult, 'settled'> {
    this.#metrics.deleteBatch([...this.#metrics.entries()].map(([key]) => key))
    this.#ring.drain()
    this.#events.length = 0
    const { retval, data: frame } = testRun(this.#fd, { data, context: skbContext({ ifindex }) })
    this.#ring.drain()
    const verdict = VERDICTS[retval]
    if (verdict === undefined) throw new Error(`the program answered ${retval}, which is no verdict`)
    const drops = [...this.#metrics.entries()].map(([key]) => key).filter(key => key.kind === MetricKind.METRIC_DROPPED)
    return { verdict, frame, events: this.#events.splice(0), drops }
  }
}

/** Undefined for what is no map of maps.h, such as a program's constants. */
function mapOptions(name: string, live: LiveSet): MapOptions | undefined {
  const use = MAP_USE[name]
  if (use === undefined) return undefined
  if (use === 'shared') return { reuseFd: live.mapFd(name) }
  return use.own === 'as declared' ? {} : { maxEntries: use.own }
}
