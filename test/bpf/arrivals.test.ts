/** Packets that arrive at the node: by an uplink, through the overlay, and from the host's own stack. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, suite, test } from 'node:test'
import { arp, eth, ipv6, type Layer, packet, payload, vlan } from '../support/packet.ts'
import { packetText } from '../support/packet-text.ts'
import { icmpv6, ndp, protocol, tcp, udp } from '../support/packet-transport.ts'
import { effects, flows, forwardedBy } from './effects.ts'
import { compilePrograms, type Prelude, type ProgramName, TestNode, type Verdict } from './node.ts'
import type { Devices } from './devices.ts'
import {
  A,
  B,
  type Both,
  FAMILIES,
  type Family,
  fromRouter,
  HOST,
  ip,
  NATIVE,
  OUTSIDE,
  OVERLAID,
  OVERLAID_ON_6,
  OVERLAY_MAC,
  ROUTER,
  toPod,
  UPLINK_MAC,
  VNI,
} from './world.ts'

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
  readonly prelude?: Prelude
  readonly verdict: Verdict
  /** Absent: what was sent. */
  readonly comes?: readonly Layer[]
  readonly effects?: readonly string[]
}
function checker(program: ProgramName, on: keyof Devices): (c: Case) => void {
  const hook = `HOOK_${program.toUpperCase()}` as 'HOOK_UPLINK_IN'
  return ({ what, sent, prelude, verdict, comes, effects: wanted = [] }) => {
    test(what, () => {
      const result = node.send(program, on, sent, prelude)
      assert.equal(packetText(result.bytes), packetText(packet(...(comes ?? sent))))
      assert.deepEqual([result.verdict, ...effects(node)], [verdict, ...wanted])
      assert.equal(forwardedBy(node, hook), verdict === 'redirect' ? 1 : 0)
    })
  }
}
const between = (family: Family, src: Both, dst: Both): string =>
  family === 4 ? `${src[4]}:1024 > ${dst[4]}:80` : `[${src[6]}]:1024 > [${dst[6]}]:80`
const opened = (hook: string, family: Family, src: Both, dst: Both, flags = ''): string[] => [
  `event first ${hook} tcp ${between(family, src, dst)}`,
  `flow tcp ${between(family, src, dst)} ${flags}1/0`,
]
const syn = tcp({ sport: 1024, dport: 80, flags: 'S' })

suite('uplink_in', () => {
  const check = checker('uplink_in', 'uplink')
  for (const family of FAMILIES) {
    check({
      what: `IPv${family}: a packet for a pod is redirected into it, one hop less and with its MACs`,
      sent: [fromRouter, ip(family, OUTSIDE, A, 64), syn, payload(5)],
      verdict: 'redirect',
      comes: [toPod(A), ip(family, OUTSIDE, A, 63), syn, payload(5)],
      effects: opened('uplink_in', family, OUTSIDE, A),
    })
    check({
      what: `IPv${family}: a packet for a pod on its last hop goes to the stack`,
      sent: [fromRouter, ip(family, OUTSIDE, A, 1), syn],
      verdict: 'stack',
      effects: opened('uplink_in', family, OUTSIDE, A),
    })
    for (const [what, dst] of [
      ['the node', HOST],
      ['a pod elsewhere', NATIVE],
      ['someone else', OUTSIDE],
    ] as const)
      check({
        what: `IPv${family}: a packet for ${what} passes`,
        sent: [fromRouter, ip(family, ROUTER, dst), syn],
        verdict: 'pass',
      })
    check({
      what: `IPv${family}: a packet for a pod in a frame for another host passes`,
      sent: [eth({ src: ROUTER.mac, dst: '02:00:00:00:07:77' }), ip(family, OUTSIDE, A), syn],
      verdict: 'pass',
    })
    check({
      what: `IPv${family}: a tagged frame passes`,
      sent: [fromRouter, vlan(9), ip(family, OUTSIDE, A), syn],
      verdict: 'pass',
    })
    check({
      what: `IPv${family}: a frame whose tag the device has taken off passes`,
      sent: [fromRouter, ip(family, OUTSIDE, A), syn],
      prelude: { vlan: 9 },
      verdict: 'pass',
    })
    check({
      what: `IPv${family}: a packet for a pod whose transport header is cut off is dropped`,
      sent: [fromRouter, ip(family, OUTSIDE, A), protocol(6), payload(15)],
      verdict: 'drop',
      effects: [
        'count DROPPED uplink_in MALFORMED 1',
        family === 4
          ? `event drop uplink_in MALFORMED tcp ${OUTSIDE[4]}:0 > ${A[4]}:0`
          : `event drop uplink_in MALFORMED tcp [${OUTSIDE[6]}]:0 > [${A[6]}]:0`,
      ],
    })
    check({
      what: `IPv${family}: the same for the node passes`,
      sent: [fromRouter, ip(family, OUTSIDE, HOST), protocol(6), payload(15)],
      verdict: 'pass',
    })
  }
  check({
    what: "a pod's IPv4 address in IPv6 form passes: it is no pod's",
    sent: [fromRouter, ipv6({ src: OUTSIDE[6], dst: `::ffff:${A[4]}` }), syn],
    verdict: 'pass',
  })
  check({
    what: 'ARP passes',
    sent: [
      eth({ src: ROUTER.mac, dst: 'ff:ff:ff:ff:ff:ff' }),
      arp({ senderMac: ROUTER.mac, sender: ROUTER[4], target: HOST[4] }),
    ],
    verdict: 'pass',
  })
  check({
    what: 'neighbour discovery passes, also about a pod',
    sent: [
      eth({ src: ROUTER.mac, dst: UPLINK_MAC }),
      ipv6({ src: ROUTER[6], dst: HOST[6], hopLimit: 255 }),
      ndp({ type: 'solicitation', target: A[6], mac: ROUTER.mac }),
    ],
    verdict: 'pass',
  })
  check({
    what: 'a frame of an unknown kind passes',
    sent: [eth({ src: ROUTER.mac, dst: UPLINK_MAC, type: 0x88cc }), payload(50)],
    verdict: 'pass',
  })
})

suite('overlay_in', () => {
  const check = checker('overlay_in', 'overlay')
  const frame = eth({ src: '02:00:00:00:0f:01', dst: OVERLAY_MAC })
  const foreign = eth({ src: '02:00:00:00:0f:01', dst: '02:00:00:00:0f:02' })
  const dropped = (reason: string, event: string): string[] => [
    `count DROPPED overlay_in ${reason} 1`,
    `event drop overlay_in ${reason} ${event}`,
  ]
  for (const family of FAMILIES) {
    const noPorts = (src: Both, dst: Both): string =>
      family === 4 ? `tcp ${src[4]}:0 > ${dst[4]}:0` : `tcp [${src[6]}]:0 > [${dst[6]}]:0`
    for (const underlay of [4, 6] as const)
      for (const [what, outer] of [
        ["the overlay's", frame],
        ["another node's", foreign],
      ] as const)
        check({
          what: `IPv${family} over IPv${underlay}: a packet for a pod, in a frame for ${what} MAC, is redirected into it`,
          sent: [outer, ip(family, OVERLAID, A, 64), syn],
          prelude: { underlay, vni: VNI },
          verdict: 'redirect',
          comes: [toPod(A), ip(family, OVERLAID, A, 63), syn],
          effects: opened('overlay_in', family, OVERLAID, A),
        })
    check({
      what: `IPv${family}: a packet for the node goes to its stack`,
      sent: [foreign, ip(family, OVERLAID, HOST), syn],
      prelude: { underlay: 4, vni: VNI },
      verdict: 'stack',
    })
    check({
      what: `IPv${family}: a packet of another network is dropped`,
      sent: [frame, ip(family, OVERLAID, A), syn],
      prelude: { underlay: 4, vni: VNI + 1 },
      verdict: 'drop',
      effects: dropped('TUNNEL', noPorts(OVERLAID, A)),
    })
    check({
      what: `IPv${family}: a packet that came through no tunnel is dropped`,
      sent: [frame, ip(family, OVERLAID, A), syn],
      verdict: 'drop',
      effects: dropped('TUNNEL', noPorts(OVERLAID, A)),
    })
    check({
      what: `IPv${family}: a packet for a pod that is not here is dropped`,
      sent: [frame, ip(family, OVERLAID, NATIVE), syn],
      prelude: { underlay: 4, vni: VNI },
      verdict: 'drop',
      effects: dropped('NO_ENDPOINT', `tcp ${between(family, OVERLAID, NATIVE)}`),
    })
    check({
      what: `IPv${family}: a packet that says it comes from a pod of this node is dropped`,
      sent: [frame, ip(family, B, A), syn],
      prelude: { underlay: 4, vni: VNI },
      verdict: 'drop',
      effects: dropped('LOOP', noPorts(B, A)),
    })
    check({
      what: `IPv${family}: a packet for a pod on its last hop goes to the stack`,
      sent: [frame, ip(family, OVERLAID, A, 1), syn],
      prelude: { underlay: 4, vni: VNI },
      verdict: 'stack',
      effects: opened('overlay_in', family, OVERLAID, A),
    })
  }
  check({
    what: 'ARP through the tunnel is refused',
    sent: [frame, arp({ senderMac: '02:00:00:00:0f:01', sender: OVERLAID[4], target: A[4] })],
    prelude: { underlay: 4, vni: VNI },
    verdict: 'drop',
    effects: dropped('UNSUPPORTED_L3', 'ethertype 0x806'),
  })
})

suite('overlay_out', () => {
  const check = checker('overlay_out', 'overlay')
  /** As the host's stack writes it: all nodes' devices have one MAC. */
  const fromHost = eth({ src: OVERLAY_MAC, dst: OVERLAY_MAC })
  const marked = eth({ src: '02:ca:05:e0:00:fe', dst: OVERLAY_MAC })
  for (const family of FAMILIES) {
    for (const dst of [OVERLAID, OVERLAID_ON_6])
      test(`IPv${family}: a packet of the node's to ${dst[family]} is given its tunnel and a source MAC that is not the other end's`, () => {
        const result = node.send('overlay_out', 'overlay', [fromHost, ip(family, HOST, dst), syn])
        assert.equal(packetText(result.bytes), packetText(packet(marked, ip(family, HOST, dst), syn)))
        assert.equal(result.verdict, 'stack')
        assert.equal(forwardedBy(node, 'HOOK_OVERLAY_OUT'), 1)
      })
    for (const underlay of [4, 6] as const)
      check({
        what: `IPv${family}: what has its tunnel over IPv${underlay} already passes as it is`,
        sent: [fromHost, ip(family, A, OVERLAID), syn],
        prelude: { underlay, vni: VNI },
        verdict: 'stack',
      })
    check({
      what: `IPv${family}: what no node has is dropped`,
      sent: [fromHost, ip(family, HOST, OUTSIDE), syn],
      verdict: 'drop',
      effects: [
        'count DROPPED overlay_out NO_ROUTE 1',
        family === 4
          ? `event drop overlay_out NO_ROUTE tcp ${HOST[4]}:0 > ${OUTSIDE[4]}:0`
          : `event drop overlay_out NO_ROUTE tcp [${HOST[6]}]:0 > [${OUTSIDE[6]}]:0`,
      ],
    })
  }
  check({
    what: 'multicast of the host is dropped without an event',
    sent: [
      eth({ src: OVERLAY_MAC, dst: '33:33:00:00:00:02' }),
      ipv6({ src: 'fe80::1', dst: 'ff02::2' }),
      udp({ sport: 1, dport: 2 }),
    ],
    verdict: 'drop',
    effects: ['count DROPPED overlay_out MULTICAST 1'],
  })
})

suite('pod_in', () => {
  const check = checker('pod_in', 'a')
  for (const family of FAMILIES) {
    test(`IPv${family}: a packet from the stack is delivered as it is and marks its flow`, () => {
      const sent = [toPod(A), ip(family, OUTSIDE, A, 1), syn]
      const result = node.send('pod_in', 'a', sent)
      assert.equal(packetText(result.bytes), packetText(packet(...sent)))
      assert.deepEqual(
        [result.verdict, ...effects(node)],
        ['stack', ...opened('pod_in', family, OUTSIDE, A, 'VIA_STACK ')],
      )
      assert.equal(forwardedBy(node, 'HOOK_POD_IN'), 1)
    })
    check({
      what: `IPv${family}: what is not the pod's own is delivered and makes no flow`,
      sent: [toPod(A), ip(family, OUTSIDE, B), syn],
      verdict: 'stack',
    })
    check({
      what: `IPv${family}: multicast is delivered`,
      sent: [
        eth({ src: A.hostMac, dst: '01:00:5e:00:00:fb' }),
        ip(family, HOST, { 4: '224.0.0.251', 6: 'ff02::fb' }),
        udp({ sport: 1, dport: 2 }),
      ],
      verdict: 'stack',
    })
  }
  for (const [what, ndpMessage] of [
    ['the answer to its own question', ndp({ type: 'advertisement', target: 'fe80::1', flags: 7, mac: A.hostMac })],
    ['a question of the host', ndp({ type: 'solicitation', target: A[6], mac: A.hostMac })],
  ] as const)
    check({
      what: `neighbour discovery is delivered and makes no flow: ${what}`,
      sent: [toPod(A), ipv6({ src: 'fe80::1', dst: A[6], hopLimit: 255 }), ndpMessage],
      verdict: 'stack',
    })
  test('what calls itself neighbour discovery and came from afar is a flow', () => {
    const sent = [toPod(A), ipv6({ src: OUTSIDE[6], dst: A[6], hopLimit: 254 }), icmpv6({ type: 136 }), payload(16)]
    assert.equal(node.send('pod_in', 'a', sent).verdict, 'stack')
    assert.deepEqual(flows(node), [`flow icmpv6 [${OUTSIDE[6]}]:0 > [${A[6]}]:0 VIA_STACK 1/0`])
  })
  check({
    what: 'ARP is delivered',
    sent: [
      eth({ src: A.hostMac, dst: A.mac }),
      arp({ operation: 'reply', senderMac: A.hostMac, sender: '169.254.1.1', targetMac: A.mac, target: A[4] }),
    ],
    verdict: 'stack',
  })
})
