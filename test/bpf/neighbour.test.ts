/** ARP and neighbour discovery between a pod and the node: every question is answered, nothing forged gets through. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, suite, test } from 'node:test'
import { bytesOf } from '../../daemon/kernel/ip.ts'
import { arp, eth, ipv4, ipv6, type Layer, packet, payload } from '../support/packet.ts'
import { packetText } from '../support/packet-text.ts'
import { icmp, icmpv6, ndp } from '../support/packet-transport.ts'
import { effects, flows } from './effects.ts'
import { compilePrograms, TestNode, type Verdict } from './node.ts'
import { A, B, HOST, ip, OUTSIDE, UPLINK_MAC } from './world.ts'

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
  readonly comes?: readonly Layer[]
  readonly effects?: readonly string[]
}
function check({ what, sent, verdict, comes, effects: wanted = [] }: Case): void {
  test(what, () => {
    const result = node.send('pod_out', 'a', sent)
    assert.equal(packetText(result.bytes), packetText(packet(...(comes ?? sent))))
    assert.deepEqual([result.verdict, ...effects(node)], [verdict, ...wanted])
  })
}

const everyone = 'ff:ff:ff:ff:ff:ff'
const nobody = '00:00:00:00:00:00'
const broadcast = eth({ src: A.mac, dst: everyone })
const toHost = eth({ src: A.mac, dst: A.hostMac })
const answered = eth({ src: A.hostMac, dst: A.mac })
const forgedArp = [
  'count DROPPED pod_out FORGED_NEIGHBOUR 1',
  'event drop pod_out FORGED_NEIGHBOUR ethertype 0x806',
] as const

suite('ARP', () => {
  for (const [what, target] of [
    ['its gateway', '169.254.1.1'],
    ['another pod', B[4]],
    ['the node', HOST[4]],
    ['anyone at all', OUTSIDE[4]],
  ] as const)
    check({
      what: `a pod that asks for ${what} is given the host side's MAC`,
      sent: [broadcast, arp({ senderMac: A.mac, sender: A[4], target })],
      verdict: 'redirect',
      comes: [
        answered,
        arp({ operation: 'reply', senderMac: A.hostMac, sender: target, targetMac: A.mac, target: A[4] }),
      ],
    })
  check({
    what: 'a question by unicast is answered, its padding kept',
    sent: [toHost, arp({ senderMac: A.mac, sender: A[4], targetMac: A.hostMac, target: B[4] }), payload(18)],
    verdict: 'redirect',
    comes: [
      answered,
      arp({ operation: 'reply', senderMac: A.hostMac, sender: B[4], targetMac: A.mac, target: A[4] }),
      payload(18),
    ],
  })
  check({
    what: 'a probe for a duplicate of its own address is left unanswered',
    sent: [broadcast, arp({ senderMac: A.mac, sender: '0.0.0.0', target: A[4] })],
    verdict: 'stack',
  })
  check({
    what: 'an announcement of its own address is let be',
    sent: [broadcast, arp({ senderMac: A.mac, sender: A[4], target: A[4] })],
    verdict: 'stack',
  })
  check({
    what: 'an answer to the host goes to the host',
    sent: [toHost, arp({ operation: 'reply', senderMac: A.mac, sender: A[4], targetMac: A.hostMac, target: HOST[4] })],
    verdict: 'stack',
  })
  const forgeries: readonly (readonly [string, readonly Layer[]])[] = [
    ["another pod's address", [broadcast, arp({ senderMac: A.mac, sender: B[4], target: HOST[4] })]],
    ["the gateway's address", [broadcast, arp({ senderMac: A.mac, sender: '169.254.1.1', target: '169.254.1.1' })]],
    ["the node's address", [broadcast, arp({ operation: 'reply', senderMac: A.mac, sender: HOST[4], target: A[4] })]],
    ['its address at another MAC', [broadcast, arp({ senderMac: B.mac, sender: A[4], target: HOST[4] })]],
    [
      'its address from another MAC',
      [eth({ src: B.mac, dst: everyone }), arp({ senderMac: A.mac, sender: A[4], target: HOST[4] })],
    ],
    ['its address at no MAC', [broadcast, arp({ senderMac: nobody, sender: A[4], target: HOST[4] })]],
    ['nobody yet, at another MAC', [broadcast, arp({ senderMac: B.mac, sender: '0.0.0.0', target: A[4] })]],
    [
      'nobody yet, from another MAC',
      [eth({ src: B.mac, dst: everyone }), arp({ senderMac: A.mac, sender: '0.0.0.0', target: A[4] })],
    ],
  ]
  for (const [what, sent] of forgeries)
    check({ what: `a pod that says it is ${what} is refused`, sent, verdict: 'drop', effects: forgedArp })

  const bytes = packet(broadcast, arp({ senderMac: A.mac, sender: A[4], target: HOST[4] }))
  for (const [what, at, value] of [
    ['hardware', 15, 6],
    ['protocol', 16, 0x86],
    ['hardware length', 18, 8],
    ['protocol length', 19, 16],
  ] as const)
    test(`ARP of another ${what} is malformed`, () => {
      const other = Uint8Array.from(bytes)
      other[at] = value
      assert.equal(node.send('pod_out', 'a', other).verdict, 'drop')
      assert.deepEqual(effects(node), [
        'count DROPPED pod_out MALFORMED 1',
        'event drop pod_out MALFORMED ethertype 0x806',
      ])
    })
})

suite('neighbour discovery', () => {
  const group = (mac = A.mac): Layer => eth({ src: mac, dst: '33:33:ff:00:00:01' })
  const solicited = 'ff02::1:ff00:1'
  const linkLocal = 'fe80::ff:fe00:a01'
  const ask = (src: string, dst: string, target: string, mac: string | undefined = A.mac): Layer[] => [
    ipv6({ src, dst, hopLimit: 255 }),
    ndp({ type: 'solicitation', target, mac }),
  ]
  const answer = (target: string, dst: string): Layer[] => [
    answered,
    ipv6({ src: target, dst, hopLimit: 255 }),
    ndp({ type: 'advertisement', target, flags: 7, mac: A.hostMac }),
  ]
  for (const src of [A[6], linkLocal])
    for (const [what, target] of [
      ['its gateway', 'fe80::1'],
      ['another pod', B[6]],
      ['the node', HOST[6]],
      ['anyone at all', OUTSIDE[6]],
    ] as const)
      check({
        what: `a pod that asks from ${src} for ${what} is given the host side's MAC`,
        sent: [group(), ...ask(src, solicited, target)],
        verdict: 'redirect',
        comes: answer(target, src),
      })
  check({
    what: 'whether a neighbour is still there is answered too',
    sent: [toHost, ...ask(linkLocal, 'fe80::1', 'fe80::1')],
    verdict: 'redirect',
    comes: answer('fe80::1', linkLocal),
  })
  test('a question without options gets an answer that has one', () => {
    const sent = [
      toHost,
      ipv6({ src: A[6], dst: 'fe80::1', hopLimit: 255 }),
      ndp({ type: 'solicitation', target: 'fe80::1' }),
    ]
    const result = node.send('pod_out', 'a', sent)
    assert.equal(packetText(result.bytes), packetText(packet(...answer('fe80::1', A[6]))))
    assert.equal(result.verdict, 'redirect')
  })
  test('a question with more options gets an answer with one', () => {
    const sent = [group(), ...ask(A[6], solicited, 'fe80::1'), payload(8)]
    const result = node.send('pod_out', 'a', sent)
    assert.equal(packetText(result.bytes), packetText(packet(...answer('fe80::1', A[6]))))
    assert.equal(result.verdict, 'redirect')
  })
  check({
    what: 'detection of a duplicate address is left unanswered',
    sent: [group(), ipv6({ src: '::', dst: solicited, hopLimit: 255 }), ndp({ type: 'solicitation', target: A[6] })],
    verdict: 'stack',
  })
  check({
    what: 'a question for its own address is left unanswered',
    sent: [group(), ...ask(A[6], solicited, A[6])],
    verdict: 'stack',
  })
  for (const target of [A[6], linkLocal])
    for (const dst of [HOST[6], 'fe80::1', 'ff02::1'])
      check({
        what: `an advertisement of its own ${target} to ${dst} goes to the host`,
        sent: [
          toHost,
          ipv6({ src: target, dst, hopLimit: 255 }),
          ndp({ type: 'advertisement', target, flags: 3, mac: A.mac }),
        ],
        verdict: 'stack',
      })
  check({
    what: 'a router solicitation is dropped without an event',
    sent: [
      eth({ src: A.mac, dst: '33:33:00:00:00:02' }),
      ipv6({ src: linkLocal, dst: 'ff02::2', hopLimit: 255 }),
      icmpv6({ type: 133 }),
    ],
    verdict: 'drop',
    effects: ['count DROPPED pod_out MULTICAST 1'],
  })

  const claims = (target: string, mac = A.mac, src = target): Layer[] => [
    eth({ src: mac, dst: A.hostMac }),
    ipv6({ src, dst: HOST[6], hopLimit: 255 }),
    ndp({ type: 'advertisement', target, flags: 1, mac }),
  ]
  const detects = (src: Layer, dst: string): Layer[] => [
    src,
    ipv6({ src: '::', dst, hopLimit: 255 }),
    ndp({ type: 'solicitation', target: A[6] }),
  ]
  const forgeries: readonly (readonly [string, readonly Layer[], string])[] = [
    ["another pod's address", claims(B[6]), `${B[6]} > ${HOST[6]} type 136`],
    ["the node's address", claims(HOST[6]), `${HOST[6]} > ${HOST[6]} type 136`],
    ['its gateway', claims('fe80::1'), `fe80::1 > ${HOST[6]} type 136`],
    ['its address at another MAC', claims(A[6], B.mac), `${A[6]} > ${HOST[6]} type 136`],
    ['someone else, about its own address', claims(A[6], A.mac, OUTSIDE[6]), `${OUTSIDE[6]} > ${HOST[6]} type 136`],
    ['nobody, about its own address', claims(A[6], A.mac, '::'), `:: > ${HOST[6]} type 136`],
    ['nobody yet, from another MAC', detects(group(B.mac), solicited), `:: > ${solicited} type 135`],
    ['a link-local address at another MAC', claims(linkLocal, B.mac), `${linkLocal} > ${HOST[6]} type 136`],
    ['another pod that asks', [group(), ...ask(B[6], solicited, 'fe80::1')], `${B[6]} > ${solicited} type 135`],
    [
      'another MAC that asks',
      [group(B.mac), ...ask(linkLocal, solicited, B[6])],
      `${linkLocal} > ${solicited} type 135`,
    ],
    [
      'a router',
      [group(), ipv6({ src: linkLocal, dst: 'ff02::1', hopLimit: 255 }), icmpv6({ type: 134 }), payload(8)],
      `${linkLocal} > ff02::1 type 134`,
    ],
    [
      'someone who redirects',
      [toHost, ipv6({ src: linkLocal, dst: HOST[6], hopLimit: 255 }), icmpv6({ type: 137 }), payload(32)],
      `${linkLocal} > ${HOST[6]} type 137`,
    ],
  ]
  for (const [what, sent, event] of forgeries)
    check({
      what: `a pod that says it is ${what} is refused`,
      sent,
      verdict: 'drop',
      effects: ['count DROPPED pod_out FORGED_NEIGHBOUR 1', `event drop pod_out FORGED_NEIGHBOUR icmpv6 ${event}`],
    })
  const goesOn: readonly (readonly [string, readonly Layer[], string])[] = [
    ...[OUTSIDE[6], B[6], 'ff05::1'].flatMap(dst => [
      [
        `an advertisement to ${dst}`,
        [toHost, ipv6({ src: A[6], dst, hopLimit: 255 }), ndp({ type: 'advertisement', target: A[6], mac: A.mac })],
        `${A[6]} > ${dst} type 136`,
      ] as const,
      [
        `a question for its own address to ${dst}`,
        [toHost, ...ask(linkLocal, dst, A[6])],
        `${linkLocal} > ${dst} type 135`,
      ] as const,
    ]),
    ['detection of a duplicate address at one host', detects(toHost, HOST[6]), `:: > ${HOST[6]} type 135`],
    ['detection of a duplicate address at all hosts', detects(toHost, 'ff02::1'), ':: > ff02::1 type 135'],
  ]
  for (const [what, sent, event] of goesOn)
    check({
      what: `${what} is malformed: it stays on its link`,
      sent,
      verdict: 'drop',
      effects: ['count DROPPED pod_out MALFORMED 1', `event drop pod_out MALFORMED icmpv6 ${event}`],
    })
  const malformed: readonly (readonly [string, readonly Layer[]])[] = [
    [
      'that was forwarded',
      [group(), ipv6({ src: A[6], dst: solicited, hopLimit: 254 }), ndp({ type: 'solicitation', target: 'fe80::1' })],
    ],
    ['for a group', [group(), ...ask(A[6], solicited, 'ff02::1')]],
    [
      'that is too short',
      [group(), ipv6({ src: A[6], dst: solicited, hopLimit: 255 }), icmpv6({ type: 135 }), payload(15)],
    ],
  ]
  for (const [what, sent] of malformed)
    check({
      what: `a solicitation ${what} is malformed`,
      sent,
      verdict: 'drop',
      effects: [
        'count DROPPED pod_out MALFORMED 1',
        `event drop pod_out MALFORMED icmpv6 ${A[6]} > ${solicited} type 135`,
      ],
    })
})

test('detection of a duplicate address by a pod that is not known yet is dropped without an event', () => {
  using unknown = new TestNode()
  const sent = [
    eth({ src: UPLINK_MAC, dst: '33:33:ff:00:00:01' }),
    ipv6({ src: '::', dst: 'ff02::1:ff00:1', hopLimit: 255 }),
    ndp({ type: 'solicitation', target: A[6] }),
  ]
  assert.equal(unknown.send('pod_out', 'uplink', sent).verdict, 'drop')
  assert.deepEqual(effects(unknown), ['count DROPPED pod_out FORGED_NEIGHBOUR 1'])
})

suite('ICMP in the other family is a protocol like any other', () => {
  for (const [what, type] of [
    ['solicitation', 135],
    ['advertisement', 136],
  ] as const)
    for (const src of [A[4], OUTSIDE[4]])
      test(`a ${what} in IPv4 from ${src} is judged by its source`, () => {
        // The options put its message where that of IPv6 begins.
        const header = ipv4({ src, dst: B[4], ttl: 255, options: new Uint8Array(20).fill(1) })
        const sent = [toHost, header, icmpv6({ type }), payload(bytesOf(A[6]))]
        const own = src === A[4]
        assert.equal(node.send('pod_out', 'a', sent).verdict, own ? 'redirect' : 'drop')
        assert.deepEqual(
          effects(node),
          own
            ? [`event first pod_out icmpv6 ${src} > ${B[4]} type 0`, `flow icmpv6 ${src}:0 > ${B[4]}:0 1/0`]
            : [
                'count DROPPED pod_out SPOOFED_ADDRESS 1',
                `event drop pod_out SPOOFED_ADDRESS icmpv6 ${src} > ${B[4]} type 0`,
              ],
        )
      })
  test('an unreachable of ICMPv6 in IPv4 is no error of a flow', () => {
    node.send('pod_out', 'a', [toHost, ip(4, A, B), icmpv6({ type: 1 }), payload(40)])
    assert.deepEqual(flows(node), [`flow icmpv6 ${A[4]}:0 > ${B[4]}:0 1/0`])
  })
  test('an echo of ICMP in IPv6 has no identifier', () => {
    node.send('pod_out', 'a', [toHost, ip(6, A, B), icmp({ type: 8, id: 7 }), payload(40)])
    assert.deepEqual(flows(node), [`flow icmp [${A[6]}]:0 > [${B[6]}]:0 1/0`])
  })
})
