/** Fragments and ICMP errors take the way of the flow they belong to. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, suite, test } from 'node:test'
import { fragment6, ipv4, ipv6, type Layer, packet, payload, PROTOCOL } from '../support/packet.ts'
import { packetText } from '../support/packet-text.ts'
import { icmp, icmpv6, quote, tcp, udp } from '../support/packet-transport.ts'
import { counts, flows } from './effects.ts'
import { compilePrograms, TestNode, type Verdict } from './node.ts'
import { A, B, type Both, FAMILIES, type Family, fromPod, fromRouter, HOST, ip, OUTSIDE, toPod } from './world.ts'

let node: TestNode
before(async () => {
  await compilePrograms()
  node = new TestNode()
})
after(() => node[Symbol.dispose]())
beforeEach(() => node.reset())

const ID = 4711

/** A piece of a UDP datagram of A's; offset 0 carries the ports. */
function piece(family: Family, dst: Both, offset: number, more: boolean, hops = 64): Layer[] {
  const content = offset === 0 ? [udp({ sport: 1024, dport: 53 }), payload(16)] : [payload(24)]
  const next = offset === 0 ? {} : { protocol: PROTOCOL.udp, next: PROTOCOL.udp }
  return family === 4
    ? [ipv4({ src: A[4], dst: dst[4], ttl: hops, id: ID, offset, more, ...next }), ...content]
    : [ipv6({ src: A[6], dst: dst[6], hopLimit: hops }), fragment6({ id: ID, offset, more, ...next }), ...content]
}
const send = (family: Family, dst: Both, offset: number, more: boolean): Verdict =>
  node.send('pod_out', 'a', [fromPod(A), ...piece(family, dst, offset, more)]).verdict
const flowTo = (family: Family, dst: Both, rest: string): string =>
  family === 4 ? `flow udp ${A[4]}:1024 > ${dst[4]}:53 ${rest}` : `flow udp [${A[6]}]:1024 > [${dst[6]}]:53 ${rest}`

for (const family of FAMILIES)
  suite(`IPv${family}, fragments`, () => {
    test('all fragments of a datagram are counted with its flow and go the same way', () => {
      for (const [offset, more] of [
        [0, true],
        [24, true],
        [48, false],
      ] as const) {
        const result = node.send('pod_out', 'a', [fromPod(A), ...piece(family, B, offset, more)])
        assert.equal(packetText(result.bytes), packetText(packet(toPod(B), ...piece(family, B, offset, more, 63))))
        assert.equal(result.verdict, 'redirect')
      }
      assert.deepEqual(flows(node), [flowTo(family, B, '3/0')])
    })
    test('a fragment that came before its first one is forwarded without a flow', () => {
      assert.equal(send(family, B, 24, false), 'redirect')
      assert.deepEqual(flows(node), [])
      assert.equal(send(family, B, 0, true), 'redirect')
      assert.equal(send(family, B, 24, false), 'redirect')
      assert.deepEqual(flows(node), [flowTo(family, B, '2/0')])
    })
    test('fragments of a flow that entered through the stack go back through it', () => {
      const request = [toPod(A), ip(family, OUTSIDE, A), udp({ sport: 53, dport: 1024 })]
      assert.equal(node.send('pod_in', 'a', request).verdict, 'stack')
      for (const [offset, more] of [
        [0, true],
        [24, false],
      ] as const)
        assert.equal(send(family, OUTSIDE, offset, more), 'stack')
    })
    test('fragments of TCP change no state', () => {
      const first = [
        family === 4 ? ipv4({ src: A[4], dst: B[4], id: ID, more: true }) : ipv6({ src: A[6], dst: B[6] }),
        ...(family === 6 ? [fragment6({ id: ID, more: true })] : []),
        tcp({ sport: 1, dport: 2, flags: 'PA' }),
        payload(4),
      ]
      const later =
        family === 4
          ? [ipv4({ src: A[4], dst: B[4], id: ID, offset: 24, protocol: PROTOCOL.tcp }), payload(8)]
          : [ipv6({ src: A[6], dst: B[6] }), fragment6({ id: ID, offset: 24, next: PROTOCOL.tcp }), payload(8)]
      for (const layers of [first, later])
        assert.equal(node.send('pod_out', 'a', [fromPod(A), ...layers]).verdict, 'redirect')
      assert.match(flows(node)[0] ?? '', /ESTABLISHED PICKED_UP REPLIED 2\/0$/)
    })
    test('fragments of other datagrams between the same two are told apart', () => {
      send(family, B, 0, true)
      const other =
        family === 4
          ? [ipv4({ src: A[4], dst: B[4], id: ID + 1, offset: 24, protocol: PROTOCOL.udp }), payload(8)]
          : [ipv6({ src: A[6], dst: B[6] }), fragment6({ id: ID + 1, offset: 24, next: PROTOCOL.udp }), payload(8)]
      assert.equal(node.send('pod_out', 'a', [fromPod(A), ...other]).verdict, 'redirect')
      assert.deepEqual(flows(node), [flowTo(family, B, '1/0')])
    })
  })

test('an IPv6 fragment header on a whole packet makes no fragment of it', () => {
  const layers = [ipv6({ src: A[6], dst: B[6] }), fragment6({ id: 1 }), udp({ sport: 1024, dport: 53 })]
  assert.equal(node.send('pod_out', 'a', [fromPod(A), ...layers]).verdict, 'redirect')
  assert.deepEqual([[...node.fragments.entries()].length, flows(node)], [0, [flowTo(6, B, '1/0')]])
})

for (const family of FAMILIES) {
  const error = (kind: 'unreachable' | 'exceeded' | 'too-big'): Layer => {
    const [type4, code4] = kind === 'unreachable' ? [3, 3] : kind === 'exceeded' ? [11, 0] : [3, 4]
    const [type6, code6] = kind === 'unreachable' ? [1, 4] : kind === 'exceeded' ? [3, 0] : [2, 0]
    return family === 4 ? icmp({ type: type4, code: code4 }) : icmpv6({ type: type6, code: code6 })
  }
  const echo = (request: boolean): Layer =>
    family === 4 ? icmp({ type: request ? 8 : 0, id: 9 }) : icmpv6({ type: request ? 128 : 129, id: 9 })
  /** Packets from outside to A by their transport, and the same on the way there. */
  const quoted: readonly (readonly [string, Layer[]])[] = [
    ['TCP', [tcp({ sport: 1024, dport: 80, flags: 'S' })]],
    ['UDP', [udp({ sport: 1024, dport: 80 })]],
    ['echo', [echo(true)]],
  ]

  suite(`IPv${family}, ICMP errors`, () => {
    for (const [what, transport] of quoted) {
      test(`an error about ${what} that entered through the stack goes back through it`, () => {
        node.send('pod_in', 'a', [toPod(A), ip(family, OUTSIDE, A), ...transport])
        const before = flows(node)
        const sent = [
          fromPod(A),
          ip(family, A, OUTSIDE),
          error('unreachable'),
          quote(ip(family, OUTSIDE, A, 60), ...transport),
        ]
        assert.equal(node.send('pod_out', 'a', sent).verdict, 'stack')
        assert.deepEqual(flows(node), before)
      })
      test(`an error about ${what} that came by the uplink goes back by itself`, () => {
        node.send('uplink_in', 'uplink', [fromRouter, ip(family, OUTSIDE, A), ...transport])
        const before = flows(node)
        const sent = [
          fromPod(A),
          ip(family, A, OUTSIDE),
          error('unreachable'),
          quote(ip(family, OUTSIDE, A, 60), ...transport),
        ]
        assert.equal(node.send('pod_out', 'a', sent).verdict, 'redirect')
        assert.deepEqual(flows(node), before)
      })
    }
    for (const kind of ['exceeded', 'too-big'] as const)
      test(`an error (${kind}) of a router on the way reaches the pod and leaves the flow alone`, () => {
        const transport = tcp({ sport: 1024, dport: 80, flags: 'S' })
        node.send('pod_out', 'a', [fromPod(A), ip(family, A, OUTSIDE), transport])
        const before = flows(node)
        const router: Both = { 4: '203.0.113.1', 6: '2001:db8:1::1' }
        const layers = [error(kind), quote(ip(family, A, OUTSIDE, 1), transport)]
        const result = node.send('uplink_in', 'uplink', [fromRouter, ip(family, router, A), ...layers])
        assert.equal(packetText(result.bytes), packetText(packet(toPod(A), ip(family, router, A, 63), ...layers)))
        assert.deepEqual([result.verdict, flows(node)], ['redirect', before])
      })
    test('an error about a message without identifier goes the way of its flow too', () => {
      const message = family === 4 ? icmp({ type: 13, id: 9, sequence: 3 }) : icmpv6({ type: 139, id: 9, sequence: 3 })
      node.send('pod_in', 'a', [toPod(A), ip(family, OUTSIDE, A), message])
      const sent = [fromPod(A), ip(family, A, OUTSIDE), error('unreachable'), quote(ip(family, OUTSIDE, A), message)]
      assert.equal(node.send('pod_out', 'a', sent).verdict, 'stack')
    })
    test('an error about no known flow passes and makes none', () => {
      const sent = [
        fromPod(A),
        ip(family, A, B),
        error('unreachable'),
        quote(ip(family, B, A), udp({ sport: 5, dport: 6 })),
      ]
      assert.equal(node.send('pod_out', 'a', sent).verdict, 'redirect')
      assert.deepEqual(flows(node), [])
    })
    test('an error that quotes too little passes and makes no flow', () => {
      for (let bytes = 0; bytes < (family === 4 ? 28 : 48); bytes++) {
        const full = packet(ip(family, B, A), udp({ sport: 5, dport: 6 }))
        const sent = [fromPod(A), ip(family, A, B), error('unreachable'), payload(full.subarray(0, bytes))]
        assert.equal(node.send('pod_out', 'a', sent).verdict, 'redirect', `${bytes} bytes`)
      }
      assert.deepEqual([flows(node), counts(node)], [[], []])
    })
    test('an error from the node to a pod opens no flow', () => {
      const sent = [
        toPod(A),
        ip(family, HOST, A),
        error('unreachable'),
        quote(ip(family, A, OUTSIDE), udp({ sport: 5, dport: 6 })),
      ]
      assert.equal(node.send('pod_in', 'a', sent).verdict, 'stack')
      assert.deepEqual(flows(node), [])
    })
  })
}
