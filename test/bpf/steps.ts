/** Flows step by step: packets by the way they take, and what conntrack knows of the only flow after them. */
import type { CtValue } from '../../daemon/datapath/shared.gen.ts'
import { type Layer, payload } from '../support/packet.ts'
import { icmp, icmpv6, protocol, tcp, udp } from '../support/packet-transport.ts'
import type { Devices } from './devices.ts'
import { flows } from './effects.ts'
import type { ProgramName, TestNode, Verdict } from './node.ts'
import { A, B, type Both, type Family, fromPod, fromRouter, HOST, ip, OUTSIDE, toPod } from './world.ts'

/** Ways a packet takes: who sends it to whom, and the program that sees it. */
const WAYS = {
  'A→B': { program: 'pod_out', on: 'a', frame: fromPod(A), src: A, dst: B },
  'B→A': { program: 'pod_out', on: 'b', frame: fromPod(B), src: B, dst: A },
  'A→out': { program: 'pod_out', on: 'a', frame: fromPod(A), src: A, dst: OUTSIDE },
  'A→host': { program: 'pod_out', on: 'a', frame: fromPod(A), src: A, dst: HOST },
  'out→A': { program: 'uplink_in', on: 'uplink', frame: fromRouter, src: OUTSIDE, dst: A },
  /** The same, but the host's stack delivers it. */
  'out→stack→A': { program: 'pod_in', on: 'a', frame: toPod(A), src: OUTSIDE, dst: A },
  'host→A': { program: 'pod_in', on: 'a', frame: toPod(A), src: HOST, dst: A },
} as const satisfies Record<string, { program: ProgramName; on: keyof Devices; frame: Layer; src: Both; dst: Both }>
type Way = keyof typeof WAYS

/** Ports of the side that opened: replies swap them. */
const PORTS = { client: 1024, server: 80 } as const

/** Sends `WAY FLAGS` for TCP, `WAY udp`, `WAY echo` and so on; `^` before the flags: sent by the server's side. */
export function step(node: TestNode, text: string, family: Family): Verdict {
  const [way = '', what = ''] = text.split(' ')
  const { program, on, frame, src, dst } = WAYS[way as Way]
  const server = what.startsWith('^')
  const kind = what.replace('^', '')
  const ports = server ? { sport: PORTS.server, dport: PORTS.client } : { sport: PORTS.client, dport: PORTS.server }
  return node.send(program, on, [frame, ip(family, src, dst), ...transport(kind, ports, family), payload(10)]).verdict
}

function transport(kind: string, ports: { sport: number; dport: number }, family: Family): Layer[] {
  const echo = (request: boolean): Layer =>
    family === 4 ? icmp({ type: request ? 8 : 0, id: 5 }) : icmpv6({ type: request ? 128 : 129, id: 5 })
  if (kind === 'udp') return [udp(ports)]
  if (kind === 'echo') return [echo(true)]
  if (kind === 'echo-reply') return [echo(false)]
  if (kind === 'gre') return [protocol(47)]
  return [tcp({ ...ports, flags: kind === '-' ? '' : kind })]
}

/** What the programs' clock may lag behind. */
const TICK_NS = 10_000_000n

/** Lifetimes of flows' states, in seconds. */
const LIFETIMES = [10, 30, 60, 120, 600, 8000]

/** The lifetime that an entry was given at some moment since the test began, however long it was held up. */
export function lifetime({ expires }: CtValue, began: bigint): string {
  const given = (seconds: number): bigint => expires - BigInt(seconds) * 1_000_000_000n
  const now = process.hrtime.bigint()
  const found = LIFETIMES.find(seconds => given(seconds) >= began - TICK_NS && given(seconds) <= now)
  return found === undefined ? `${expires - now} ns from now` : `${found} s`
}

/** Flags and counters of the only flow, addresses left out; and its lifetime. */
export function state(node: TestNode, began: bigint): string {
  const all = flows(node)
  const [, value] = [...node.conntrack.entries()][0] ?? []
  if (all.length !== 1 || value === undefined) return `${all.length} flows`
  const words = all[0]?.split(' ').filter(word => /^[A-Z_]+$|^\d+\/\d+$/.test(word)) ?? []
  return [...words, lifetime(value, began)].join(' ')
}
