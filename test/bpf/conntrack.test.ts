/** Flows: their states, lifetimes and events, packet by packet. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, suite, test } from 'node:test'
import { toMapped16 } from '../../daemon/kernel/ip.ts'
import { type CtValue, CtFlags } from '../../daemon/datapath/shared.gen.ts'
import { eth } from '../support/packet.ts'
import { udp } from '../support/packet-transport.ts'
import { counts, effects, eventText, flows } from './effects.ts'
import { compilePrograms, TestNode, type Verdict } from './node.ts'
import { lifetime, state, step } from './steps.ts'
import { A, B, type Both, FAMILIES, fromPod, fromRouter, ip } from './world.ts'

let node: TestNode
let began: bigint
before(async () => {
  await compilePrograms()
  node = new TestNode()
})
after(() => node[Symbol.dispose]())
beforeEach(() => {
  node.reset()
  began = process.hrtime.bigint()
})

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
    state: 'ESTABLISHED FIN_IN REPLIED WAITS 2/2 120 s',
    moments: 'first reply',
  },
  {
    what: 'data after a FIN of the other side keeps it',
    steps: [...handshake, 'B→A ^FA', 'A→B PA'],
    state: 'ESTABLISHED FIN_IN REPLIED WAITS 3/2 120 s',
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
        const verdicts = steps.map(text => step(node, text, family))
        assert.deepEqual(
          verdicts,
          steps.map(() => 'redirect'),
        )
        assert.deepEqual({ state: state(node, began), moments: moments() }, { state: wanted, moments: told })
      })

    for (const flags of ['-', 'P', 'SF', 'SR', 'SFA'])
      test(`flags no TCP sends (${flags}) are refused, with and without a flow`, () => {
        assert.equal(step(node, `A→B ${flags}`, family), 'drop')
        assert.deepEqual(counts(node), ['count DROPPED pod_out CT_INVALID 1'])
        assert.equal(state(node, began), '0 flows')
        for (const text of handshake) step(node, text, family)
        const before = state(node, began)
        assert.equal(step(node, `A→B ${flags}`, family), 'drop')
        assert.equal(state(node, began), before)
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
    step(node, 'B→A S', 4)
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
    for (const text of ['A→B udp', 'A→B udp', 'B→A ^udp']) step(node, text, 4)
    alter({ expires: 1n })
    node.takeEvents()
    assert.equal(step(node, 'B→A ^udp', 4), 'redirect')
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
    for (const text of ['A→B S', 'B→A ^RA']) step(node, text, 4)
    alter({ expires: 1n })
    node.takeEvents()
    step(node, 'A→B S', 4)
    assert.equal(moments(), 'first')
  })

  test('the time of expiry moves in steps of more than a second', () => {
    for (const text of handshake) step(node, text, 4)
    const soon = process.hrtime.bigint() + 7_999_500_000_000n
    alter({ expires: soon })
    step(node, 'A→B A', 4)
    // It may have been held up for half a second: then a step is due.
    assert.ok(only().expires === soon || only().expires - soon > 1_000_000_000n, `${only().expires - soon} ns`)
    alter({ expires: soon - 2_000_000_000n })
    step(node, 'A→B A', 4)
    assert.ok(only().expires > soon)
  })

  test('bytes are those of the frames', () => {
    step(node, 'A→B udp', 6)
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
  assert.equal(value && lifetime(value, began), '600 s')
})
