/** Packets of pods by NAT64: IPv6 to a prefix that stands for IPv4, and what comes back. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { codec } from '../../daemon/kernel/bpf/layout.ts'
import { NetlinkNet } from '../../daemon/kernel/netlink/net.ts'
import { natKeyLayout, natValueLayout } from '../../daemon/datapath/shared.gen.ts'
import { eth, extension, fragment6, ipv4, ipv6, type Layer, packet, payload, PROTOCOL } from '../support/packet.ts'
import { icmpv6, protocol, tcp, udp } from '../support/packet-transport.ts'
import { counts, flows } from './effects.ts'
import { back4, back6, far, KINDS, LONG, nat64Node, PORT, sent4, sent6, tooBig4, tooBig6 } from './nat64-ways.ts'
import { away, hold, KNOWING, uplink } from './outside.ts'
import { translations } from './service-maps.ts'
import { sourcePort } from './service-node.ts'
import {
  A,
  B,
  BLACKHOLE,
  fromPod,
  fromRouter,
  HOST,
  NATIVE,
  NATIVE_NODE,
  OUTSIDE,
  ROUTER,
  toPod,
  UNREACHABLE,
  UPLINK_MAC,
} from './world.ts'

const at = nat64Node()
const { becomes } = at
/** Of a service of the cluster. */
const CLUSTER_IP = '10.96.0.1'
/** A frame that this node turns around. */
const toRouter = eth({ src: UPLINK_MAC, dst: ROUTER.mac })
/** What an error quotes of a frame: the IP header and so much behind it. */
const quoted = (sent: readonly Layer[], length: number): Layer => payload(packet(...sent).subarray(14, 14 + length))

for (const [kind, layer] of Object.entries(KINDS))
  suite(kind, () => {
    test('leaves as IPv4 with the node’s address and the same port, and the answer comes back as IPv6', () => {
      for (let round = 0; round < 2; round++) {
        becomes(
          away(A),
          [fromPod(A), sent6(), layer(6, PORT), payload(LONG)],
          [fromPod(A), sent4(), layer(4, PORT), payload(LONG)],
        )
        becomes(
          uplink,
          [fromRouter, back4(), layer(4, PORT, true), payload(9)],
          [toPod(A), back6(), layer(6, PORT, true), payload(9)],
        )
      }
      const [flow, ...others] = flows(at.node)
      assert.match(flow ?? '', new RegExp(`^flow ${kind === 'echo' ? 'icmp' : kind} 192\\.168\\.7\\.1.* 2/2$`))
      assert.deepEqual(others, [])
      assert.equal(translations(at.node.object('pod')).length, 2)
    })

    test('two pods with one port have two ports, each for its own answers', () => {
      at.node.send(...away(A), [fromPod(A), sent6(), layer(6, PORT), payload(LONG)])
      const sent = at.node.send(...away(B), [fromPod(B), sent6({ src: B[6] }), layer(6, PORT), payload(LONG)])
      const port =
        kind === 'echo'
          ? new DataView(sent.bytes.buffer, sent.bytes.byteOffset).getUint16(38)
          : sourcePort(sent.bytes, 4)
      assert.notEqual(port, PORT)
      assert.deepEqual(Buffer.from(sent.bytes), Buffer.from(packet(fromPod(B), sent4(), layer(4, port), payload(LONG))))
      for (const [pod, p] of [
        [A, PORT],
        [B, port],
      ] as const)
        becomes(
          uplink,
          [fromRouter, back4(), layer(4, p, true), payload(9)],
          [toPod(pod), back6({ dst: pod[6] }), layer(6, PORT, true), payload(9)],
        )
    })

    test('its translation lasts as long as the flow', async () => {
      at.node.send(...away(A), [fromPod(A), sent6(), layer(6, PORT), payload(LONG)])
      using entries = at.node.object('pod').map('translations', codec(natKeyLayout, natValueLayout))
      // Young ones are left alone.
      for (const [key, value] of entries.entries()) entries.update(key, { ...value, created: 0n })
      assert.equal((await at.node.expire()).translations, 2n)
      at.node.reset()
      assert.equal((await at.node.expire()).translations, 0n)
    })

    test('in front of the stack its packets are left to the programs behind', () => {
      for (let round = 0; round < 2; round++) {
        at.node.send(...away(A), [fromPod(A), sent6(), layer(6, PORT), payload(LONG)])
        at.node.send(...uplink, [fromRouter, back4(), layer(4, PORT, true), payload(9)])
      }
      const answer = packet(fromRouter, back4(), layer(4, PORT, true), payload(9))
      assert.deepEqual(at.node.sendXdp(answer), { verdict: 'pass', bytes: answer })
    })
  })

suite('headers', () => {
  test('traffic class and type of service are one', () => {
    const flow = (tos: number): number => tos << 20
    becomes(
      away(A),
      [fromPod(A), sent6({ flow: flow(0xb9) | 0x12345 }), udp({ sport: PORT, dport: 53 }), payload(LONG)],
      [fromPod(A), sent4({ tos: 0xb9 }), udp({ sport: PORT, dport: 53 }), payload(LONG)],
    )
    becomes(
      uplink,
      [fromRouter, back4({ tos: 0x2e, ttl: 9, id: 77, dontFragment: true }), udp({ sport: 53, dport: PORT })],
      [toPod(A), back6({ flow: flow(0x2e), hopLimit: 8 }), udp({ sport: 53, dport: PORT })],
    )
  })

  test('what IPv6 would not make shorter may be cut, and has a number', () => {
    const content = payload(1280 - 40 - 8)
    const request = udp({ sport: PORT, dport: 53 })
    const { bytes } = at.node.send(...away(A), [fromPod(A), sent6(), request, content])
    const id = new DataView(bytes.buffer, bytes.byteOffset).getUint16(18)
    const comes = packet(fromPod(A), sent4({ id, dontFragment: false }), request, content)
    assert.deepEqual(Buffer.from(bytes), Buffer.from(comes))
  })

  test('segments that are cut later are judged by their own length', () => {
    const data = tcp({ sport: PORT, dport: 443, flags: 'PA' })
    for (const [gsoSize, dontFragment] of [
      [1220, false],
      [1221, true],
    ] as const) {
      const sent = [fromPod(A), sent6(), data, payload(2 * gsoSize)]
      const { bytes, verdict } = at.node.send(...away(A), sent, { gsoSize })
      assert.equal(verdict, 'redirect')
      const id = new DataView(bytes.buffer, bytes.byteOffset).getUint16(18)
      assert.deepEqual(
        Buffer.from(bytes),
        Buffer.from(packet(fromPod(A), sent4({ id, dontFragment }), data, payload(2 * gsoSize))),
      )
    }
  })

  for (const kind of ['udp', 'tcp'] as const)
    test(`a ${kind} port that a socket of the node has is left to it`, async () => {
      await using _socket = await hold(at.node, kind, HOST[4], PORT)
      const sent = at.node.send(...away(A), [fromPod(A), sent6(), KINDS[kind](6, PORT), payload(LONG)])
      assert.equal(sent.verdict, 'redirect')
      assert.notEqual(sourcePort(sent.bytes, 4), PORT)
    })
})

suite('what has no way on', () => {
  const request = udp({ sport: PORT, dport: 53 })

  test('on its last hop: the pod’s gateway says so, and nobody remembers a flow', () => {
    for (const layer of [request, KINDS.echo(6, PORT)]) {
      const sent = [fromPod(A), sent6({ hopLimit: 1 }), layer, payload(20)]
      becomes(away(A), sent, [toPod(A), ipv6({ src: 'fe80::1', dst: A[6] }), icmpv6({ type: 3 }), quoted(sent, 48)])
    }
    assert.equal(flows(at.node).length, 0)
    assert.deepEqual(counts(at.node), ['count DROPPED pod_out HOPS 2'])
  })

  test('too long for the way as IPv4: the pod is told what it may send as IPv6', () => {
    const sent = [fromPod(A), sent6(), request, payload(1521 - 28)]
    becomes(away(A), sent, [toPod(A), ipv6({ src: far(), dst: A[6] }), tooBig6(1520), quoted(sent, 48)])
    assert.ok(counts(at.node).includes('count DROPPED pod_out TOO_BIG 1'))
    const { verdict, bytes } = at.node.send(...away(A), [fromPod(A), sent6(), request, payload(1520 - 48)])
    assert.equal(verdict, 'redirect')
    assert.equal(bytes.length, 14 + 1500)
  })

  test('too long for the pod as IPv6: who sent it is told what it may send as IPv4', () => {
    const answer = udp({ sport: 53, dport: PORT })
    at.node.send(...away(A), [fromPod(A), sent6(), request])
    const sent = [fromRouter, back4({ dontFragment: true }), answer, payload(1481 - 28)]
    becomes(uplink, sent, [toRouter, ipv4({ src: HOST[4], dst: OUTSIDE[4], id: 0 }), tooBig4(1480), quoted(sent, 28)])
    assert.ok(counts(at.node).includes('count DROPPED uplink_in TOO_BIG 1'))
    becomes(uplink, [fromRouter, back4(), answer, payload(1480 - 28)], [toPod(A), back6(), answer, payload(1480 - 28)])
  })

  for (const [what, address, type, reason] of [
    ['a pod of the node', B[4], { type: 1, code: 1 }, 'NAT64_INSIDE'],
    ['the node', HOST[4], { type: 1, code: 1 }, 'NAT64_INSIDE'],
    ['a pod of another node', '10.20.0.5', { type: 1, code: 1 }, 'NAT64_INSIDE'],
    ['a pod of another node, natively', NATIVE[4], { type: 1, code: 1 }, 'NAT64_INSIDE'],
    ['another node', NATIVE_NODE[4], { type: 1, code: 1 }, 'NAT64_INSIDE'],
    ['a service', CLUSTER_IP, { type: 1, code: 1 }, 'NAT64_INSIDE'],
    ['the pod’s gateway', '169.254.1.1', { type: 1, code: 1 }, 'NAT64_INSIDE'],
    ['this host', '127.0.0.1', { type: 1, code: 1 }, 'NAT64_INSIDE'],
    ['a group', '224.0.0.251', { type: 1, code: 1 }, 'NAT64_INSIDE'],
    ['everybody', '255.255.255.255', { type: 1, code: 1 }, 'NAT64_INSIDE'],
    ['nobody', '0.0.0.0', { type: 1, code: 1 }, 'NAT64_INSIDE'],
    ['what is unreachable', UNREACHABLE[4], { type: 1, code: 0 }, 'NO_ROUTE'],
    ['what a route swallows', BLACKHOLE[4], { type: 1, code: 0 }, 'NO_ROUTE'],
  ] as const)
    test(`to ${what}: the pod is told, and nobody remembers a flow`, () => {
      at.make({ address: CLUSTER_IP, protocol: 'tcp', backends: [B[4]] })
      const sent = [fromPod(A), sent6({ dst: far(address) }), request, payload(20)]
      becomes(away(A), sent, [toPod(A), ipv6({ src: far(address), dst: A[6] }), icmpv6(type), quoted(sent, 48)])
      assert.deepEqual(counts(at.node), [`count DROPPED pod_out ${reason} 1`])
      assert.equal(flows(at.node).length + translations(at.node.object('pod')).length, 0)
    })
})

test('a range that knows pods’ addresses is outside all the same: of pods with IPv6 it knows none', () => {
  const request = udp({ sport: PORT, dport: 53 })
  becomes(
    away(A),
    [fromPod(A), sent6({ dst: far(KNOWING[4]) }), request, payload(LONG)],
    [fromPod(A), sent4({ dst: KNOWING[4] }), request, payload(LONG)],
  )
})

test('a flow that loses its way: the pod is told, and the stack gets nothing', () => {
  const request = udp({ sport: PORT, dport: 53 })
  const dst = '203.0.113.77'
  const sent = [fromPod(A), sent6({ dst: far(dst) }), request, payload(20)]
  assert.equal(at.node.send(...away(A), sent).verdict, 'redirect')
  using net = new NetlinkNet(at.node.netns)
  const route = { dst: `${dst}/32`, type: 'unreachable' } as const
  net.run([{ op: 'route-add', route }])
  becomes(away(A), sent, [toPod(A), ipv6({ src: far(dst), dst: A[6] }), icmpv6({ type: 1, code: 0 }), quoted(sent, 48)])
  assert.ok(counts(at.node).includes('count DROPPED pod_out NO_ROUTE 1'))
  net.run([{ op: 'route-delete', route }])
  assert.equal(at.node.send(...away(A), sent).verdict, 'redirect')
})

test('segments of an answer that were put together are judged by their own length', () => {
  at.node.send(...away(A), [fromPod(A), sent6(), KINDS.tcp(6, PORT)])
  const data = tcp({ sport: 443, dport: PORT, flags: 'A' })
  const comes = (gsoSize: number): string =>
    at.node.send(...uplink, [fromRouter, back4({ dontFragment: true }), data, payload(2 * gsoSize)], { gsoSize })
      .verdict
  assert.equal(comes(1440), 'redirect')
  assert.deepEqual(counts(at.node), [])
  assert.equal(comes(1441), 'redirect')
  assert.deepEqual(counts(at.node), ['count DROPPED uplink_in TOO_BIG 1'])
})

suite('what is not translated', () => {
  const request = udp({ sport: PORT, dport: 53 })
  const dropped = (way: Parameters<typeof becomes>[0], sent: readonly Layer[], reason: string): void => {
    assert.equal(at.node.send(way[0], way[1], sent).verdict, 'drop')
    assert.deepEqual(
      counts(at.node).filter(line => line.startsWith('count DROPPED')),
      [`count DROPPED ${way[0]} ${reason} 1`],
    )
  }

  for (const [what, layers, reason] of [
    ['a first fragment', [sent6(), fragment6({ id: 7, more: true }), request, payload(8)], 'NAT64_FORM'],
    ['a later fragment', [sent6(), fragment6({ id: 7, offset: 16, next: PROTOCOL.udp }), payload(8)], 'FRAGMENT_EARLY'],
    ['extension headers', [sent6(), extension(PROTOCOL.destination), request], 'NAT64_FORM'],
    ['a protocol without ports', [sent6(), protocol(47), payload(20)], 'NAT_PROTOCOL'],
    ['another message of ICMPv6', [sent6(), icmpv6({ type: 130 }), payload(16)], 'NAT_PROTOCOL'],
    ['ICMP that is none of IPv6', [sent6(), protocol(PROTOCOL.icmp), payload(16)], 'NAT_PROTOCOL'],
  ] as const)
    test(`from a pod: ${what}`, () => {
      dropped(away(A), [fromPod(A), ...layers], reason)
      assert.equal(flows(at.node).length, 0)
    })

  for (const [what, layers] of [
    ['a fragment', [back4({ more: true }), udp({ sport: 53, dport: PORT }), payload(8)]],
    ['options', [back4({ options: Uint8Array.of(1, 1, 1, 0) }), udp({ sport: 53, dport: PORT })]],
  ] as const)
    test(`for a pod: ${what}`, () => {
      at.node.send(...away(A), [fromPod(A), sent6(), request])
      dropped(uplink, [fromRouter, ...layers], 'NAT64_FORM')
    })
})

for (const length of [0, 1, 47, 48, 49, 500, 1452])
  test(`a datagram of ${length} bytes that came without a checksum gets one`, () => {
    const answer = udp({ sport: 53, dport: PORT })
    at.node.send(...away(A), [fromPod(A), sent6(), udp({ sport: PORT, dport: 53 })])
    becomes(
      uplink,
      [fromRouter, back4(), withoutChecksum(answer), payload(length)],
      [toPod(A), back6(), answer, payload(length)],
    )
  })

/** UDP whose checksum stays zero. */
function withoutChecksum(layer: Layer): Layer {
  return inner => {
    const { bytes } = layer(inner)
    return { bytes, kind: PROTOCOL.udp }
  }
}

test('without a prefix such an address is one like all others', () => {
  const sent = [fromPod(A), sent6({ dst: '64:ff9c::1' }), udp({ sport: PORT, dport: 53 }), payload(20)]
  at.passes(away(A), sent, 'redirect', [
    fromPod(A),
    sent6({ dst: '64:ff9c::1', hopLimit: 63 }),
    udp({ sport: PORT, dport: 53 }),
    payload(20),
  ])
})
