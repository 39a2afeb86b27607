/** Packets that leave a pod: where they go, what they look like then, and what is refused. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, suite, test } from 'node:test'
import { eth, extension, ipv4, ipv6, type Layer, packet, payload, PROTOCOL, vlan } from '../support/packet.ts'
import { packetText } from '../support/packet-text.ts'
import { icmp, icmpv6, protocol, sctp, tcp, udp } from '../support/packet-transport.ts'
import { effects, forwardedBy } from './effects.ts'
import { compilePrograms, TestNode, type Verdict } from './node.ts'
import { A, B, type Both, FAMILIES, fromPod, HOST, ip, OUTSIDE, toPod } from './world.ts'

let node: TestNode
before(async () => {
  await compilePrograms()
  node = new TestNode()
})
after(() => node[Symbol.dispose]())
beforeEach(() => node.reset())

interface Case {
  readonly what: string
  readonly sent: readonly Layer[]
  readonly verdict: Verdict
  /** Absent: what was sent. */
  readonly comes?: readonly Layer[]
  readonly effects: readonly string[]
}

function check({ what, sent, verdict, comes, effects: wanted }: Case): void {
  test(what, () => {
    const result = node.send('pod_out', 'a', sent)
    assert.equal(packetText(result.bytes), packetText(packet(...(comes ?? sent))))
    assert.deepEqual([result.verdict, ...effects(node)], [verdict, ...wanted])
    assert.equal(forwardedBy(node, 'HOOK_POD_OUT'), result.verdict === 'redirect' ? 1 : 0)
  })
}

const ends = (f: 4 | 6, sport: number, dport: number, dst: Both = B): string => {
  const [s, d] = f === 4 ? [A[4], dst[4]] : [`[${A[6]}]`, `[${dst[6]}]`]
  return `${s}:${sport} > ${d}:${dport}`
}

for (const f of FAMILIES) {
  const echo = f === 4 ? icmp({ type: 8, id: 77 }) : icmpv6({ type: 128, id: 77 })
  const name = f === 4 ? 'icmp' : 'icmpv6'
  suite(`IPv${f}, to another pod of the node`, () => {
    const transports: readonly { what: string; layers: readonly Layer[]; flow: string; event: string }[] = [
      {
        what: 'TCP',
        layers: [tcp({ sport: 1024, dport: 80, flags: 'S' })],
        flow: `flow tcp ${ends(f, 1024, 80)} 1/0`,
        event: `event first pod_out tcp ${ends(f, 1024, 80)}`,
      },
      {
        what: 'UDP',
        layers: [udp({ sport: 1024, dport: 53 }), payload(1)],
        flow: `flow udp ${ends(f, 1024, 53)} 1/0`,
        event: `event first pod_out udp ${ends(f, 1024, 53)}`,
      },
      {
        what: 'SCTP',
        layers: [sctp({ sport: 1024, dport: 9 })],
        flow: `flow sctp ${ends(f, 1024, 9)} 1/0`,
        event: `event first pod_out sctp ${ends(f, 1024, 9)}`,
      },
      {
        what: 'an echo request',
        layers: [echo, payload(56)],
        flow: `flow ${name} ${ends(f, 77, 77)} 1/0`,
        event: `event first pod_out ${name} ${f === 4 ? A[4] : A[6]} > ${f === 4 ? B[4] : B[6]} type ${f === 4 ? 8 : 128}`,
      },
      {
        what: 'a protocol without ports',
        layers: [protocol(47), payload(20)],
        flow: `flow protocol 47 ${ends(f, 0, 0)} 1/0`,
        event: `event first pod_out protocol 47 ${ends(f, 0, 0)}`,
      },
    ]
    for (const { what, layers, flow, event } of transports)
      check({
        what: `${what} is redirected into the pod, one hop less and with its MACs`,
        sent: [fromPod(A), ip(f, A, B, 64), ...layers],
        verdict: 'redirect',
        comes: [toPod(B), ip(f, A, B, 63), ...layers],
        effects: [event, flow],
      })
    for (const hops of [0, 1])
      check({
        what: `a packet with ${hops} hops left goes to the host's stack, which says so to the sender`,
        sent: [fromPod(A), ip(f, A, B, hops), udp({ sport: 1, dport: 2 })],
        verdict: 'stack',
        effects: [`event first pod_out udp ${ends(f, 1, 2)}`, `flow udp ${ends(f, 1, 2)} 1/0`],
      })
    check({
      what: 'the last hop that can be taken is taken',
      sent: [fromPod(A), ip(f, A, B, 2), udp({ sport: 1, dport: 2 })],
      comes: [toPod(B), ip(f, A, B, 1), udp({ sport: 1, dport: 2 })],
      verdict: 'redirect',
      effects: [`event first pod_out udp ${ends(f, 1, 2)}`, `flow udp ${ends(f, 1, 2)} 1/0`],
    })
  })

  suite(`IPv${f}, to the node`, () => {
    check({
      what: 'a packet for the node goes to its stack as it is',
      sent: [fromPod(A), ip(f, A, HOST), tcp({ sport: 1024, dport: 22, flags: 'S' })],
      verdict: 'stack',
      effects: [`event first pod_out tcp ${ends(f, 1024, 22, HOST)}`, `flow tcp ${ends(f, 1024, 22, HOST)} 1/0`],
    })
    const gateway: Both = { 4: '169.254.1.1', 6: 'fe80::1' }
    check({
      what: 'a packet for the gateway goes to its stack as it is',
      sent: [fromPod(A), ip(f, A, gateway), echo],
      verdict: 'stack',
      effects: [
        `event first pod_out ${name} ${f === 4 ? `${A[4]} > 169.254.1.1 type 8` : `${A[6]} > fe80::1 type 128`}`,
        f === 4 ? `flow icmp ${ends(4, 77, 77, gateway)} 1/0` : `flow icmpv6 ${ends(6, 77, 77, gateway)} 1/0`,
      ],
    })
  })

  suite(`IPv${f}, what is no pod's to send`, () => {
    const foreign: Both = { 4: '10.10.0.9', 6: 'fd00:10::9' }
    for (const [what, src] of [
      ['nobody', foreign],
      ['another pod', B],
      ['the node', HOST],
      ['the outside', OUTSIDE],
    ] as const)
      check({
        what: `the source address of ${what} is refused`,
        sent: [fromPod(A), ip(f, src, B), udp({ sport: 1, dport: 2 })],
        verdict: 'drop',
        effects: [
          'count DROPPED pod_out SPOOFED_ADDRESS 1',
          `event drop pod_out SPOOFED_ADDRESS udp ${f === 4 ? `${src[4]}:1 > ${B[4]}:2` : `[${src[6]}]:1 > [${B[6]}]:2`}`,
        ],
      })
    check({
      what: 'another source MAC is refused',
      sent: [eth({ src: B.mac, dst: A.hostMac }), ip(f, A, B), udp({ sport: 1, dport: 2 })],
      verdict: 'drop',
      effects: ['count DROPPED pod_out SPOOFED_MAC 1', `event drop pod_out SPOOFED_MAC udp ${ends(f, 1, 2)}`],
    })
    const groups: Both = { 4: '224.0.0.251', 6: 'ff02::fb' }
    check({
      what: 'multicast on the link is dropped without an event',
      sent: [eth({ src: A.mac, dst: '01:00:5e:00:00:fb' }), ip(f, A, groups), udp({ sport: 5353, dport: 5353 })],
      verdict: 'drop',
      effects: ['count DROPPED pod_out MULTICAST 1'],
    })
    check({
      what: 'multicast in a frame for the host is dropped all the same',
      sent: [fromPod(A), ip(f, A, groups), udp({ sport: 5353, dport: 5353 })],
      verdict: 'drop',
      effects: ['count DROPPED pod_out MULTICAST 1'],
    })
    const routed: Both = { 4: '239.1.2.3', 6: 'ff05::123' }
    check({
      what: 'multicast that was to leave the link is dropped with an event',
      sent: [eth({ src: A.mac, dst: '01:00:5e:01:02:03' }), ip(f, A, routed), udp({ sport: 1, dport: 2 })],
      verdict: 'drop',
      effects: [
        'count DROPPED pod_out MULTICAST 1',
        `event drop pod_out MULTICAST udp ${f === 4 ? `${A[4]}:1 > ${routed[4]}:2` : `[${A[6]}]:1 > [${routed[6]}]:2`}`,
      ],
    })
    check({
      what: 'a tagged frame is refused',
      sent: [fromPod(A), vlan(7), ip(f, A, B), udp({ sport: 1, dport: 2 })],
      verdict: 'drop',
      effects: ['count DROPPED pod_out VLAN 1', 'event drop pod_out VLAN ethertype 0x8100'],
    })
  })
}

suite('frames of other kinds', () => {
  const quiet = (what: string, ...sent: readonly Layer[]): void =>
    check({ what, sent, verdict: 'drop', effects: ['count DROPPED pod_out MULTICAST 1'] })
  quiet(
    'a DHCP request is dropped without an event',
    eth({ src: A.mac, dst: 'ff:ff:ff:ff:ff:ff' }),
    ipv4({ src: '0.0.0.0', dst: '255.255.255.255' }),
    udp({ sport: 68, dport: 67 }),
  )
  quiet(
    'a report of group membership is dropped without an event',
    eth({ src: A.mac, dst: '33:33:00:00:00:16' }),
    ipv6({ src: 'fe80::a', dst: 'ff02::16', hopLimit: 1 }),
    icmpv6({ type: 143 }),
    payload(20),
  )
  check({
    what: 'a link-local source is legal for neighbour discovery only',
    sent: [fromPod(A), ipv6({ src: 'fe80::a', dst: B[6] }), udp({ sport: 1, dport: 2 })],
    verdict: 'drop',
    effects: [
      'count DROPPED pod_out SPOOFED_ADDRESS 1',
      `event drop pod_out SPOOFED_ADDRESS udp [fe80::a]:1 > [${B[6]}]:2`,
    ],
  })
  check({
    what: 'an EtherType nobody knows is refused',
    sent: [eth({ src: A.mac, dst: A.hostMac, type: 0x88cc }), payload(40)],
    verdict: 'drop',
    effects: ['count DROPPED pod_out UNSUPPORTED_L3 1', 'event drop pod_out UNSUPPORTED_L3 ethertype 0x88cc'],
  })
  check({
    what: 'IPv4 in a frame that says IPv6 is malformed',
    sent: [eth({ src: A.mac, dst: A.hostMac, type: 0x86dd }), ipv4({ src: A[4], dst: B[4] }), payload(40)],
    verdict: 'drop',
    effects: ['count DROPPED pod_out MALFORMED 1', 'event drop pod_out MALFORMED none [::]:0 > [::]:0'],
  })
})

test('a tag that the device has taken off the frame is refused too', () => {
  const sent = [fromPod(A), ip(4, A, B), udp({ sport: 1, dport: 2 }), payload(20)]
  assert.equal(node.send('pod_out', 'a', sent, { vlan: 7 }).verdict, 'drop')
  assert.deepEqual(effects(node), ['count DROPPED pod_out VLAN 1', 'event drop pod_out VLAN none [::]:0 > [::]:0'])
})

test('header options of IPv4 stay where they are', () => {
  const layers = (ttl: number): Layer[] => [
    ipv4({ src: A[4], dst: B[4], ttl, options: Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 0) }),
    tcp({ sport: 1024, dport: 80, flags: 'S' }),
  ]
  const result = node.send('pod_out', 'a', [fromPod(A), ...layers(64)])
  assert.equal(packetText(result.bytes), packetText(packet(toPod(B), ...layers(63))))
  assert.deepEqual(effects(node).slice(-1), [`flow tcp ${ends(4, 1024, 80)} 1/0`])
})

test('extension headers of IPv6 stay where they are', async t => {
  for (const kind of [PROTOCOL.hopByHop, PROTOCOL.routing, PROTOCOL.destination, PROTOCOL.authentication])
    await t.test(`${kind}`, () => {
      node.reset()
      const layers = [extension(kind, 16), tcp({ sport: 1024, dport: 80, flags: 'S' })]
      const result = node.send('pod_out', 'a', [fromPod(A), ip(6, A, B, 64), ...layers])
      assert.equal(packetText(result.bytes), packetText(packet(toPod(B), ip(6, A, B, 63), ...layers)))
      assert.deepEqual(effects(node).slice(-1), [`flow tcp ${ends(6, 1024, 80)} 1/0`])
    })
})
