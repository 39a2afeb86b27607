/**
 * A packet as it comes out of a tunnel: a test run has no way to say so, hence a program in front that writes the tunnel's
 * metadata and goes on with the one that is traced.
 */
import { closeSync } from 'node:fs'
import { codec, u32 } from '../kernel/bpf/layout.ts'
import { newMap } from '../kernel/bpf/map.ts'
import { loadInstructions } from '../kernel/bpf/program.ts'

/** A verdict that none of the programs gives. */
export const NO_TUNNEL = 99

export interface TunnelArrival extends Disposable {
  /** Of the program in front, which is run instead. */
  readonly fd: number
}

/** In front of a program of the type `sched-cls`, whose descriptor stays the caller's. Throws BpfError. */
export function tunnelArrival(programFd: number, vni: number): TunnelArrival {
  using stack = new DisposableStack()
  const next = stack.use(
    newMap({ type: 'prog-array', name: 'trace_next', keySize: 4, valueSize: 4, maxEntries: 1 }, codec(u32, u32)),
  )
  next.update(0, programFd)
  const fd = stack.adopt(
    loadInstructions('sched-cls', undefined, instructions(vni, next.fd), 'trace_tunnel'),
    closeSync,
  )
  const owned = stack.move()
  return { fd, [Symbol.dispose]: () => owned.dispose() }
}

/** Registers of eBPF (Documentation/bpf/instruction-set); r10 is the frame. */
type Register = 0 | 1 | 2 | 3 | 4 | 6 | 10

interface Instruction {
  readonly to?: Register
  readonly from?: number
  readonly offset?: number
  readonly value?: number
}

function instruction(code: number, { to = 0, from = 0, offset = 0, value = 0 }: Instruction = {}): bigint {
  const low = code | (((from << 4) | to) << 8) | ((offset & 0xffff) << 16)
  return (BigInt(value >>> 0) << 32n) | BigInt(low >>> 0)
}

const moveValue = (to: Register, value: number): bigint => instruction(0xb7, { to, value })
const move = (to: Register, from: Register): bigint => instruction(0xbf, { to, from })
/** 32 bits of the frame. */
const store = (offset: number, value: number): bigint => instruction(0x62, { to: 10, offset, value })
const call = (helper: number): bigint => instruction(0x85, { value: helper })
/** BPF_PSEUDO_MAP_FD; the second half of the 64 bits is zero. */
const loadMap = (to: Register, fd: number): readonly [bigint, bigint] => [
  instruction(0x18, { to, from: 1, value: fd }),
  instruction(0),
]
const EXIT = instruction(0x95)

const SET_TUNNEL_KEY = 21
const TAIL_CALL = 12
/** Of struct bpf_tunnel_key the part up to the remote address of IPv4, which the kernel takes alone. */
const KEY_BYTES = 8
const REMOTE = 0x0100_0002

function instructions(vni: number, next: number): BigUint64Array {
  return new BigUint64Array([
    move(6, 1),
    store(-8, vni),
    store(-4, REMOTE),
    move(2, 10),
    instruction(0x07, { to: 2, value: -8 }),
    moveValue(3, KEY_BYTES),
    moveValue(4, 0),
    call(SET_TUNNEL_KEY),
    move(1, 6),
    ...loadMap(2, next),
    moveValue(3, 0),
    call(TAIL_CALL),
    moveValue(0, NO_TUNNEL),
    EXIT,
  ])
}
