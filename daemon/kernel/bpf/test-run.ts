/** Runs of a program on packets that never touch a device (BPF_PROG_TEST_RUN), and the contexts they are given. */
import { Memory } from '../sys.ts'
import { bpfReading } from './syscall.ts'

export interface TestRun {
  readonly data: Uint8Array
  /** Made by `skbContext` or `xdpContext`; absent: all zero, on the loopback device. */
  readonly context?: Uint8Array
  /** Runs one after the other on the same memory; the duration is their mean. */
  readonly repeat?: number
  /** How much the packet may grow. Bytes. */
  readonly growth?: number
}
export interface TestRunResult {
  readonly retval: number
  /** Mean of one run. */
  readonly durationNs: number
  /** The packet after the last run. */
  readonly data: Uint8Array
  /** The context after the last run; empty when none was given. */
  readonly context: Uint8Array
}

const ATTR_SIZE = 80

/** Runs a program; packets of fewer than 14 bytes are refused by the kernel. Throws BpfError. */
export function testRun(programFd: number, run: TestRun): TestRunResult {
  const context = run.context ?? new Uint8Array()
  using dataIn = memoryOf(run.data)
  using dataOut = new Memory(run.data.length + (run.growth ?? 512))
  using contextIn = memoryOf(context)
  using contextOut = new Memory(context.length)
  const fill = (attr: DataView): void => {
    attr.setUint32(0, programFd, true)
    attr.setUint32(8, dataIn.bytes.length, true)
    attr.setUint32(12, dataOut.bytes.length, true)
    attr.setBigUint64(16, dataIn.address, true)
    attr.setBigUint64(24, dataOut.address, true)
    attr.setUint32(32, run.repeat ?? 1, true)
    if (context.length === 0) return
    attr.setUint32(40, context.length, true)
    attr.setUint32(44, context.length, true)
    attr.setBigUint64(48, contextIn.address, true)
    attr.setBigUint64(56, contextOut.address, true)
  }
  return bpfReading('PROG_TEST_RUN', `program at descriptor ${programFd}`, ATTR_SIZE, fill, attr => ({
    retval: attr.getInt32(4, true),
    durationNs: attr.getUint32(36, true),
    data: dataOut.bytes.slice(0, attr.getUint32(12, true)),
    context: contextOut.bytes.slice(0, attr.getUint32(44, true)),
  }))
}

/** The fields of `__sk_buff` that a test run takes in and gives back; the kernel refuses others that are not zero. */
export interface SkbContext {
  readonly mark: number
  readonly priority: number
  /** Device the packet came in by, as `ingress_ifindex`. */
  readonly ingressIfindex: number
  /** Device the packet is on; it must exist in the caller's namespace. */
  readonly ifindex: number
  readonly cb: readonly [number, number, number, number, number]
  readonly tstamp: bigint
  readonly wireLength: number
  readonly gsoSegments: number
  readonly gsoSize: number
}
const SKB_SIZE = 192

export function skbContext(context: Partial<SkbContext>): Uint8Array {
  const out = new Uint8Array(SKB_SIZE)
  const view = new DataView(out.buffer)
  view.setUint32(8, context.mark ?? 0, true)
  view.setUint32(32, context.priority ?? 0, true)
  view.setUint32(36, context.ingressIfindex ?? 0, true)
  view.setUint32(40, context.ifindex ?? 0, true)
  context.cb?.forEach((word, i) => {
    view.setUint32(48 + 4 * i, word, true)
  })
  view.setBigUint64(152, context.tstamp ?? 0n, true)
  view.setUint32(160, context.wireLength ?? 0, true)
  view.setUint32(164, context.gsoSegments ?? 0, true)
  view.setUint32(176, context.gsoSize ?? 0, true)
  return out
}

export function readSkbContext(context: Uint8Array): SkbContext {
  const view = new DataView(context.buffer, context.byteOffset, context.byteLength)
  const cb = (i: number): number => view.getUint32(48 + 4 * i, true)
  return {
    mark: view.getUint32(8, true),
    priority: view.getUint32(32, true),
    ingressIfindex: view.getUint32(36, true),
    ifindex: view.getUint32(40, true),
    cb: [cb(0), cb(1), cb(2), cb(3), cb(4)],
    tstamp: view.getBigUint64(152, true),
    wireLength: view.getUint32(160, true),
    gsoSegments: view.getUint32(164, true),
    gsoSize: view.getUint32(176, true),
  }
}

/** `xdp_md` for a packet of `dataLength` bytes that came in by a device. */
export function xdpContext(dataLength: number, ingressIfindex: number, queue = 0): Uint8Array {
  const out = new Uint8Array(24)
  const view = new DataView(out.buffer)
  view.setUint32(4, dataLength, true)
  view.setUint32(12, ingressIfindex, true)
  view.setUint32(16, queue, true)
  return out
}

function memoryOf(bytes: Uint8Array): Memory {
  const memory = new Memory(bytes.length)
  memory.bytes.set(bytes)
  return memory
}
