/** Flows: their states, lifetimes and events, packet by packet, and the way a flow's replies take. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, suite, test } from 'node:test'
import { toMapped16 } from '../../daemon/kernel/ip.ts'
import { type CtValue, CtFlags } from '../../daemon/datapath/shared.gen.ts'
import { eth, type Layer, payload } from '../support/packet.ts'
import { icmp, icmpv6, protocol, tcp, udp } from '../support/packet-transport.ts'
import { counts, effects, eventText, flows } from './effects.ts'
import { compilePrograms, type ProgramName, TestNode, type Verdict } from './node.ts'
import type { Devices } from './devices.ts'
import { A, B, type Both, FAMILIES, type Family, fromPod, fromRouter, HOST, ip, OUTSIDE, toPod } from './world.ts'

let node: TestNode
before(async () => {
  await compilePrograms()
  node = new TestNode()
})
after(() => node[Symbol.dispose]())
beforeEach(() => {
  node.reset()
  began = process.hrtime.bigint()
})

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
function step(text: string, family: Family): Verdict {
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

/** When the test began; the programs' clock may lag behind by a tick. */
let began = 0n
const TICK_NS = 10_000_000n

/** Lifetimes of flows' states, in seconds. */
const LIFETIMES = [10, 30, 60, 120, 600, 8000]

/** The lifetime that an entry was given at some moment of this test; however long the test was held up meanwhile. */
function lifetime({ expires }: CtValue): string {
  const given = (seconds: number): bigint => expires - BigInt(seconds) * 1_000_000_000n
  const now = process.hrtime.bigint()
  const found = LIFETIMES.find(seconds => given(seconds) >= began - TICK_NS && given(seconds) <= now)
  return found === undefined ? `${expires - now} ns from now` : `${found} s`
}

/** Flags and counters of the only flow, addresses left out; and its lifetime. */
function state(): string {
  const all = flows(node)
  const [, value] = [...node.conntrack.entries()][0] ?? []
  if (all.length !== 1 || value === undefined) return `${all.length} flows`
  const words = all[0]?.split(' ').filter(word => /^[A-Z_]+$|^\d+\/\d+$/.test(word)) ?? []
  return [...words, lifetime(value)].join(' ')
}

/** Moments of events, in order. */
function moments(): string {
  return node
    .takeEvents()
    .map(event => eventText(event).split(' ')[1])
    .join(' ')
}

const handshake = ['A→B S', 'B→A ^SA', 'A→B A']

interface Story {
  readonly what: string
  readonly steps: readonly string[]
  readonly state: string
  readonly moments: string
}
const stories: readonly Story[] = [
  { what: 'a SYN opens a flow', steps: ['A→B S'], state: '1/0 60 s', moments: 'first' },
  { what: 'a SYN sent again changes nothing', steps: ['A→B S', 'A→B S'], state: '2/0 60 s', moments: 'first' },
  { what: 'a SYN ACK answers it', steps: ['A→B S', 'B→A ^SA'], state: 'REPLIED 1/1 60 s', moments: 'first reply' },
  { what: 'the ACK completes it', steps: handshake, state: 'ESTABLISHED REPLIED 2/1 8000 s', moments: 'first reply' },
  {
    what: 'data of both sides is counted',
    steps: [...handshake, 'A→B PA', 'B→A ^PA', 'B→A ^A'],
    state: 'ESTABLISHED REPLIED 3/3 8000 s',
    moments: 'first reply',
  },
  {
    what: 'a FIN of the opener shortens its life',
    steps: [...handshake, 'A→B FA'],
    state: 'ESTABLISHED FIN_OUT REPLIED 3/1 120 s',
    moments: 'first reply',
  },
  {
    what: 'a FIN of the other side too',
    steps: [...handshake, 'B→A ^FA'],
    state: 'ESTABLISHED FIN_IN REPLIED 2/2 120 s',
    moments: 'first reply',
  },
  {
    what: 'data after a FIN of the other side keeps it',
    steps: [...handshake, 'B→A ^FA', 'A→B PA'],
    state: 'ESTABLISHED FIN_IN REPLIED 3/2 120 s',
    moments: 'first reply',
  },
  {
    what: 'a FIN of both ends it',
    steps: [...handshake, 'A→B FA', 'B→A ^FA', 'A→B A'],
    state: 'ESTABLISHED FIN_IN FIN_OUT REPLIED 4/2 10 s',
    moments: 'first reply end',
  },
  {
    what: 'a RST ends it',
    steps: [...handshake, 'B→A ^RA'],
    state: 'ESTABLISHED REPLIED RST 2/2 10 s',
    moments: 'first reply end',
  },
  {
    what: 'a refused connection ends at once',
    steps: ['A→B S', 'B→A ^RA'],
    state: 'REPLIED RST 1/1 10 s',
    moments: 'first reply+end',
  },
  {
    what: 'ports used again open a new flow',
    steps: [...handshake, 'A→B FA', 'B→A ^FA', 'A→B S'],
    state: '1/0 60 s',
    moments: 'first reply end first',
  },
  {
    what: 'ports used again after a RST open a new flow',
    steps: ['A→B S', 'B→A ^RA', 'A→B S'],
    state: '1/0 60 s',
    moments: 'first reply+end first',
  },
  {
    what: 'a SYN on a complete connection is for the ends to judge',
    steps: [...handshake, 'A→B S'],
    state: 'ESTABLISHED REPLIED 3/1 8000 s',
    moments: 'first reply',
  },
  {
    what: 'a stream first seen in the middle is taken as complete',
    steps: ['A→B PA', 'B→A ^A'],
    state: 'ESTABLISHED PICKED_UP REPLIED 1/1 8000 s',
    moments: 'first',
  },
  {
    what: 'a SYN ACK without its SYN was sent by the side that answers',
    steps: ['B→A ^SA', 'A→B A'],
    state: 'ESTABLISHED PICKED_UP REPLIED 1/1 8000 s',
    moments: 'first',
  },
  {
    what: 'a FIN first seen in the middle is remembered',
    steps: ['A→B FA', 'B→A ^FA'],
    state: 'ESTABLISHED FIN_IN FIN_OUT PICKED_UP REPLIED 1/1 10 s',
    moments: 'first end',
  },
  { what: 'a RST of no flow makes none', steps: ['A→B R', 'B→A ^RA'], state: '0 flows', moments: '' },
  { what: 'a datagram opens a flow', steps: ['A→B udp', 'A→B udp'], state: '2/0 30 s', moments: 'first' },
  {
    what: 'a datagram back completes it',
    steps: ['A→B udp', 'B→A ^udp', 'A→B udp'],
    state: 'ESTABLISHED REPLIED 2/1 120 s',
    moments: 'first reply',
  },
  { what: 'an echo request opens a flow', steps: ['A→B echo', 'A→B echo'], state: '2/0 30 s', moments: 'first' },
  {
    what: 'an echo reply completes it',
    steps: ['A→B echo', 'B→A echo-reply'],
    state: 'ESTABLISHED REPLIED 1/1 30 s',
    moments: 'first reply',
  },
  {
    what: 'a protocol without ports is a flow too',
    steps: ['A→B gre', 'B→A gre', 'A→B gre'],
    state: 'ESTABLISHED REPLIED 2/1 600 s',
    moments: 'first reply',
  },
]

for (const family of FAMILIES)
  suite(`IPv${family}, between two pods`, () => {
    for (const { what, steps, state: wanted, moments: told } of stories)
      test(what, () => {
        const verdicts = steps.map(text => step(text, family))
        assert.deepEqual(
          verdicts,
          steps.map(() => 'redirect'),
        )
        assert.deepEqual({ state: state(), moments: moments() }, { state: wanted, moments: told })
      })

    for (const flags of ['-', 'P', 'SF', 'SR', 'SFA'])
      test(`flags no TCP sends (${flags}) are refused, with and without a flow`, () => {
        assert.equal(step(`A→B ${flags}`, family), 'drop')
        assert.deepEqual(counts(node), ['count DROPPED pod_out CT_INVALID 1'])
        assert.equal(state(), '0 flows')
        for (const text of handshake) step(text, family)
        const before = state()
        assert.equal(step(`A→B ${flags}`, family), 'drop')
        assert.equal(state(), before)
      })
  })

interface WayStory {
  readonly what: string
  /** Each with its verdict. */
  readonly steps: readonly (readonly [string, Verdict])[]
  readonly state: string
}
const ways: readonly WayStory[] = [
  {
    what: 'a flow that entered through the stack goes back through it',
    steps: [
      ['out→stack→A S', 'stack'],
      ['A→out ^SA', 'stack'],
      ['out→stack→A A', 'stack'],
      ['A→out ^PA', 'stack'],
    ],
    state: 'ESTABLISHED REPLIED VIA_STACK 2/2 8000 s',
  },
  {
    what: 'a datagram that entered through the stack is answered through it',
    steps: [
      ['out→stack→A udp', 'stack'],
      ['A→out ^udp', 'stack'],
    ],
    state: 'ESTABLISHED REPLIED VIA_STACK 1/1 120 s',
  },
  {
    what: 'a flow that a pod opened keeps its way though replies come through the stack',
    steps: [
      ['A→out S', 'redirect'],
      ['out→stack→A ^SA', 'stack'],
      ['A→out A', 'redirect'],
      ['out→stack→A ^PA', 'stack'],
      ['A→out A', 'redirect'],
    ],
    state: 'ESTABLISHED REPLIED 3/2 8000 s',
  },
  {
    what: 'a flow that entered by an uplink goes back by itself',
    steps: [
      ['out→A S', 'redirect'],
      ['A→out ^SA', 'redirect'],
      ['out→A A', 'redirect'],
    ],
    state: 'ESTABLISHED REPLIED 2/1 8000 s',
  },
  {
    what: 'ports used again through the stack are answered through it',
    steps: [
      ['out→A S', 'redirect'],
      ['A→out ^RA', 'redirect'],
      ['out→stack→A S', 'stack'],
      ['A→out ^SA', 'stack'],
    ],
    state: 'REPLIED VIA_STACK 1/1 60 s',
  },
  {
    what: 'ports used again by an uplink are answered by it',
    steps: [
      ['out→stack→A S', 'stack'],
      ['A→out ^RA', 'stack'],
      ['out→A S', 'redirect'],
      ['A→out ^SA', 'redirect'],
    ],
    state: 'REPLIED 1/1 60 s',
  },
  {
    what: 'a flow whose answer was seen first goes back through the stack once its opener came through it',
    steps: [
      ['A→out ^SA', 'redirect'],
      ['out→stack→A S', 'stack'],
      ['A→out ^SA', 'stack'],
    ],
    state: 'PICKED_UP REPLIED VIA_STACK 1/2 60 s',
  },
  {
    what: 'ports used again through the stack, of a flow that never closed, are answered through it',
    steps: [
      ['out→A S', 'redirect'],
      ['A→out ^SA', 'redirect'],
      ['out→stack→A S', 'stack'],
      ['A→out ^SA', 'stack'],
    ],
    state: 'REPLIED VIA_STACK 2/2 60 s',
  },
  {
    what: 'a flow to the node and its replies are one',
    steps: [
      ['A→host S', 'stack'],
      ['host→A ^SA', 'stack'],
      ['A→host A', 'stack'],
    ],
    state: 'ESTABLISHED REPLIED 2/1 8000 s',
  },
  {
    what: 'a flow of the node to a pod and its replies are one',
    steps: [
      ['host→A S', 'stack'],
      ['A→host ^SA', 'stack'],
      ['host→A A', 'stack'],
    ],
    state: 'ESTABLISHED REPLIED VIA_STACK 2/1 8000 s',
  },
]
for (const family of FAMILIES)
  suite(`IPv${family}, ways`, () => {
    for (const { what, steps, state: wanted } of ways)
      test(what, () => {
        assert.deepEqual(
          steps.map(([text]) => [text, step(text, family)]),
          steps.map(pair => [...pair]),
        )
        assert.equal(state(), wanted)
      })
  })

suite('entries', () => {
  /** Changes the only entry. */
  function alter(change: Partial<CtValue>): void {
    const [[key, value] = []] = [...node.conntrack.entries()]
    if (key === undefined || value === undefined) throw new Error('no entry')
    node.conntrack.update(key, { ...value, ...change })
  }
  function only(): CtValue {
    const [[, value] = []] = [...node.conntrack.entries()]
    if (value === undefined) throw new Error('no entry')
    return value
  }

  test('the side whose address and port are smaller by memcmp is a', () => {
    step('B→A S', 4)
    const [[key] = []] = [...node.conntrack.entries()]
    assert.deepEqual([key?.a, key?.b, key?.portA, key?.portB], [toMapped16(A[4]), toMapped16(B[4]), 80, 1024])
    assert.equal(only().flags & CtFlags.CT_ORIGIN_A, 0)
  })

  test('an address of IPv4 and one of IPv6 are ordered by all their bytes', () => {
    const high: Both = { 4: '200.0.0.1', 6: 'fd00:10::3' }
    node.send('uplink_in', 'uplink', [fromRouter, ip(4, high, A), udp({ sport: 9, dport: 10 })])
    const [[key] = []] = [...node.conntrack.entries()]
    assert.deepEqual([key?.a, key?.portA], [toMapped16(A[4]), 10])
  })

  test('a pod that speaks to itself is ordered by ports', () => {
    node.send('pod_out', 'a', [fromPod(A), ip(4, A, A), udp({ sport: 2000, dport: 53 })])
    node.send('pod_out', 'a', [fromPod(A), ip(4, A, A), udp({ sport: 53, dport: 2000 })])
    assert.deepEqual(flows(node), ['flow udp 10.10.0.2:2000 > 10.10.0.2:53 ESTABLISHED REPLIED 1/1'])
  })

  test('a packet of a flow whose time has come ends it and opens it anew', () => {
    for (const text of ['A→B udp', 'A→B udp', 'B→A ^udp']) step(text, 4)
    alter({ expires: 1n })
    node.takeEvents()
    assert.equal(step('B→A ^udp', 4), 'redirect')
    const [end, first] = node.takeEvents()
    assert.ok(end && first)
    assert.deepEqual(
      [eventText(end), eventText(first)],
      [
        'event end pod_out udp 10.10.0.3:80 > 10.10.0.2:1024 reply',
        'event first pod_out udp 10.10.0.3:80 > 10.10.0.2:1024',
      ],
    )
    assert.deepEqual([end.packets, end.bytes, end.replyPackets, end.replyBytes], [2n, 104n, 1n, 52n])
    assert.deepEqual(flows(node), ['flow udp 10.10.0.3:80 > 10.10.0.2:1024 1/0'])
  })

  test('a flow whose end was told is not told of again when its ports are used anew', () => {
    for (const text of ['A→B S', 'B→A ^RA']) step(text, 4)
    alter({ expires: 1n })
    node.takeEvents()
    step('A→B S', 4)
    assert.equal(moments(), 'first')
  })

  test('the time of expiry moves in steps of more than a second', () => {
    for (const text of handshake) step(text, 4)
    const soon = process.hrtime.bigint() + 7_999_500_000_000n
    alter({ expires: soon })
    step('A→B A', 4)
    // It may have been held up for half a second: then a step is due.
    assert.ok(only().expires === soon || only().expires - soon > 1_000_000_000n, `${only().expires - soon} ns`)
    alter({ expires: soon - 2_000_000_000n })
    step('A→B A', 4)
    assert.ok(only().expires > soon)
  })

  test('bytes are those of the frames', () => {
    step('A→B udp', 6)
    assert.equal(only().bytesA + only().bytesB, BigInt(14 + 40 + 8 + 10))
  })
})

test('a packet of a full table passes uncounted, and that is counted', () => {
  using small = new TestNode({ conntrackEntries: 2 })
  const open = (sport: number): Verdict =>
    small.send('pod_out', 'a', [fromPod(A), ip(4, A, B), udp({ sport, dport: 53 })]).verdict
  const verdicts = Array.from({ length: 2000 }, (_, i) => open(i + 1))
  assert.deepEqual(new Set(verdicts), new Set(['redirect']))
  const full = counts(small).find(line => line.startsWith('count CT_FULL pod_out'))
  assert.ok(Number(full?.split(' ').pop()) > 0, full)
})

test('where the configuration is strict, a packet of a full table is dropped', () => {
  using small = new TestNode({ conntrackEntries: 2, constants: { ct_full_drops: 1, flow_events: 0 } })
  const open = (sport: number): Verdict =>
    small.send('pod_out', 'a', [fromPod(A), ip(4, A, B), udp({ sport, dport: 53 })]).verdict
  const verdicts = Array.from({ length: 300 }, (_, i) => open(i + 1))
  const dropped = verdicts.filter(v => v === 'drop').length
  assert.ok(dropped > 0)
  assert.equal(verdicts.filter(v => v === 'redirect').length, flows(small).length)
  const lines = effects(small)
  assert.ok(lines.includes(`count DROPPED pod_out CT_FULL ${dropped}`), lines.join('\n'))
  assert.equal(lines.filter(line => line.startsWith('event drop pod_out CT_FULL udp')).length, dropped)
})

test('timeouts are load-time constants', () => {
  using quick = new TestNode({ constants: { ct_udp_opening_ns: 600_000_000_000n } })
  quick.send('pod_out', 'a', [eth({ src: A.mac, dst: A.hostMac }), ip(4, A, B), udp({ sport: 1, dport: 2 })])
  const [[, value] = []] = [...quick.conntrack.entries()]
  assert.equal(value && lifetime(value), '600 s')
})
