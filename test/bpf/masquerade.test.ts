/** Packets of pods that leave the cluster with an address of the node, and what comes back. */
import assert from 'node:assert/strict'
import { beforeEach, suite, test } from 'node:test'
import { codec } from '../../daemon/kernel/bpf/layout.ts'
import { egressAddressLayout, egressKeyLayout, MasqueradeFlags } from '../../daemon/datapath/shared.gen.ts'
import { eth, fragment6, ipv4, ipv6, type Layer, packet, payload, PROTOCOL } from '../support/packet.ts'
import { packetText } from '../support/packet-text.ts'
import { icmp, icmpv6, protocol, quote, tcp, udp } from '../support/packet-transport.ts'
import { effects, flows } from './effects.ts'
import { BACKEND_PORT, SERVICE_PORT, translations } from './service-maps.ts'
import { away, echo, giveAddresses, hold, KINDS, KNOWING, SECOND, uplink } from './outside.ts'
import { serviceNode, sourcePort } from './service-node.ts'
import {
  A,
  B,
  type Both,
  FAMILIES,
  fromPod,
  fromRouter,
  HOST,
  ip,
  NATIVE,
  NATIVE_NODE,
  OUTSIDE,
  OVERLAID,
  ROUTER,
  toPod,
  UPLINK_MAC,
} from './world.ts'

const ON = MasqueradeFlags.MASQUERADE_IPV4 | MasqueradeFlags.MASQUERADE_IPV6
const PORT = 40_000
const at = serviceNode({ constants: { masquerade_flags: ON } })
const { passes } = at

beforeEach(() => giveAddresses(at.node, HOST))

for (const f of FAMILIES) {
  for (const [kind, layer] of Object.entries(KINDS))
    suite(`IPv${f}, ${kind}`, () => {
      test('leaves with the node’s address and the same port, and the answer comes back', () => {
        passes(away(A), [fromPod(A), ip(f, A, OUTSIDE), layer(f, PORT), payload(20)], 'redirect', [
          fromPod(A),
          ip(f, HOST, OUTSIDE, 63),
          layer(f, PORT),
          payload(20),
        ])
        passes(uplink, [fromRouter, ip(f, OUTSIDE, HOST), layer(f, PORT, true), payload(9)], 'redirect', [
          toPod(A),
          ip(f, OUTSIDE, A, 63),
          layer(f, PORT, true),
          payload(9),
        ])
        assert.equal(flows(at.node).length, 1)
        assert.equal(translations(at.node.object('pod')).length, 2)
      })

      test('two pods with one port have two ports, each for its own answers', () => {
        at.node.send(...away(A), [fromPod(A), ip(f, A, OUTSIDE), layer(f, PORT), payload(20)])
        const sent = at.node.send(...away(B), [fromPod(B), ip(f, B, OUTSIDE), layer(f, PORT), payload(20)])
        const port =
          kind === 'echo'
            ? new DataView(sent.bytes.buffer, sent.bytes.byteOffset).getUint16(f === 4 ? 38 : 58)
            : sourcePort(sent.bytes, f)
        assert.notEqual(port, PORT)
        const comes = packet(fromPod(B), ip(f, HOST, OUTSIDE, 63), layer(f, port), payload(20))
        assert.equal(packetText(sent.bytes), packetText(comes))
        for (const [pod, p] of [
          [A, PORT],
          [B, port],
        ] as const)
          passes(uplink, [fromRouter, ip(f, OUTSIDE, HOST), layer(f, p, true), payload(9)], 'redirect', [
            toPod(pod),
            ip(f, OUTSIDE, pod, 63),
            layer(f, PORT, true),
            payload(9),
          ])
      })

      test('the same port goes to another destination as it is', () => {
        at.node.send(...away(A), [fromPod(A), ip(f, A, OUTSIDE), layer(f, PORT), payload(20)])
        passes(away(B), [fromPod(B), ip(f, B, ROUTER), layer(f, PORT), payload(20)], 'redirect', [
          fromPod(B),
          ip(f, HOST, ROUTER, 63),
          layer(f, PORT),
          payload(20),
        ])
      })
    })

  suite(`IPv${f}, what keeps its address`, () => {
    for (const [what, dst, verdict] of [
      ['another pod of the node', B, 'redirect'],
      ['the node', HOST, 'stack'],
      ['a pod of another node, natively', NATIVE, 'redirect'],
      ['a pod of another node, by the overlay', OVERLAID, 'redirect'],
      ['another node', NATIVE_NODE, 'redirect'],
      ['a range where pods are known', KNOWING, 'redirect'],
    ] as const)
      test(what, () => {
        const sent = [fromPod(A), ip(f, A, dst), udp({ sport: PORT, dport: 53 }), payload(20)]
        const result = at.node.send(...away(A), sent)
        assert.equal(result.verdict, verdict)
        assert.equal(translations(at.node.object('pod')).length, 0)
      })

    test('an answer to who opened a connection from outside', () => {
      const opens = tcp({ sport: 999, dport: 80, flags: 'S' })
      assert.equal(at.node.send(...uplink, [fromRouter, ip(f, OUTSIDE, A), opens]).verdict, 'redirect')
      const answer = tcp({ sport: 80, dport: 999, flags: 'SA' })
      passes(away(A), [fromPod(A), ip(f, A, OUTSIDE), answer], 'redirect', [fromPod(A), ip(f, A, OUTSIDE, 63), answer])
    })

    test('a flow that was answered before it leaves the cluster; not one that nobody has answered', () => {
      const request = udp({ sport: PORT, dport: 53 })
      const sends = (src: Both): void =>
        passes(away(A), [fromPod(A), ip(f, A, OUTSIDE), request], 'redirect', [
          fromPod(A),
          ip(f, src, OUTSIDE, 63),
          request,
        ])
      using egress = at.node.object('pod').map('egress_addresses', codec(egressKeyLayout, egressAddressLayout))
      const key = { ifindex: at.node.devices.uplink, family: f === 4 ? 0 : 1, index: 0 }
      const answer = udp({ sport: 53, dport: PORT })
      for (const answered of [true, false]) {
        at.node.reset()
        egress.delete(key)
        sends(A)
        if (answered) at.node.send(...uplink, [fromRouter, ip(f, OUTSIDE, A), answer])
        giveAddresses(at.node, HOST)
        sends(answered ? A : HOST)
      }
    })

    test('what is on its last hop, for the stack to tell of: conntrack hears nothing of it', () => {
      const sent = [fromPod(A), ip(f, A, OUTSIDE, 1), echo(f, 7), payload(20)]
      passes(away(A), sent, 'stack', sent)
      assert.equal(flows(at.node).length, 0)
      passes(away(A), [fromPod(A), ip(f, A, OUTSIDE, 2), echo(f, 7)], 'redirect', [
        fromPod(A),
        ip(f, HOST, OUTSIDE, 1),
        echo(f, 7),
      ])
      passes(away(A), sent, 'stack', sent)
    })

    test('what leaves by a device without an address for it', () => {
      using egress = at.node.object('pod').map('egress_addresses', codec(egressKeyLayout, egressAddressLayout))
      egress.delete({ ifindex: at.node.devices.uplink, family: f === 4 ? 0 : 1, index: 0 })
      const request = udp({ sport: PORT, dport: 53 })
      passes(away(A), [fromPod(A), ip(f, A, OUTSIDE), request], 'redirect', [
        fromPod(A),
        ip(f, A, OUTSIDE, 63),
        request,
      ])
    })
  })

  suite(`IPv${f}, what comes with it`, () => {
    const unreachable = (): Layer => (f === 4 ? icmp({ type: 3, code: 3 }) : icmpv6({ type: 1, code: 4 }))
    for (const [kind, layer] of Object.entries(KINDS).filter(([name]) => name !== 'tcp'))
      test(`an error about ${kind} reaches the pod about the packet that it knows`, () => {
        at.node.send(...away(A), [fromPod(A), ip(f, A, OUTSIDE), layer(f, PORT), payload(20)])
        const about = (src: Both): Layer => quote(ip(f, src, OUTSIDE, 63), layer(f, PORT), payload(20))
        const told = [unreachable(), about(HOST)]
        passes(uplink, [fromRouter, ip(f, ROUTER, HOST), ...told], 'redirect', [
          toPod(A),
          ip(f, ROUTER, A, 63),
          unreachable(),
          about(A),
        ])
      })

    test('a service whose backend is outside is asked from the node’s address', () => {
      const vip: Both = { 4: '10.96.0.1', 6: 'fd00:96::1' }
      at.make({ address: vip[f], protocol: 'tcp', backends: [OUTSIDE[f]] })
      passes(away(A), [fromPod(A), ip(f, A, vip), tcp({ sport: PORT, dport: SERVICE_PORT, flags: 'S' })], 'redirect', [
        fromPod(A),
        ip(f, HOST, OUTSIDE, 63),
        tcp({ sport: PORT, dport: BACKEND_PORT, flags: 'S' }),
      ])
      const answer = { flags: 'SA', dport: PORT }
      passes(uplink, [fromRouter, ip(f, OUTSIDE, HOST), tcp({ ...answer, sport: BACKEND_PORT })], 'redirect', [
        toPod(A),
        ip(f, vip, A, 63),
        tcp({ ...answer, sport: SERVICE_PORT }),
      ])
    })

    test('fragments follow the first; one without it has no flow', () => {
      const fragments = (src: Both, hops: number): readonly Layer[][] =>
        f === 4
          ? [
              [
                ipv4({ src: src[4], dst: OUTSIDE[4], ttl: hops, id: 7, more: true }),
                udp({ sport: PORT, dport: 53 }),
                payload(8),
              ],
              [
                ipv4({ src: src[4], dst: OUTSIDE[4], ttl: hops, id: 7, offset: 16, protocol: PROTOCOL.udp }),
                payload(8),
              ],
            ]
          : [
              [
                ipv6({ src: src[6], dst: OUTSIDE[6], hopLimit: hops }),
                fragment6({ id: 7, more: true }),
                udp({ sport: PORT, dport: 53 }),
                payload(8),
              ],
              [
                ipv6({ src: src[6], dst: OUTSIDE[6], hopLimit: hops }),
                fragment6({ id: 7, offset: 16, next: PROTOCOL.udp }),
                payload(8),
              ],
            ]
      const [first = [], later = []] = fragments(A, 64)
      const [firstComes = [], laterComes = []] = fragments(HOST, 63)
      assert.equal(at.node.send(...away(A), [fromPod(A), ...later]).verdict, 'drop')
      passes(away(A), [fromPod(A), ...first], 'redirect', [fromPod(A), ...firstComes])
      passes(away(A), [fromPod(A), ...later], 'redirect', [fromPod(A), ...laterComes])
      assert.deepEqual(
        effects(at.node).filter(line => line.startsWith('count')),
        ['count DROPPED pod_out FRAGMENT_EARLY 1'],
      )
    })

    test('a protocol without ports is not let out', () => {
      const gre = [fromPod(A), ip(f, A, OUTSIDE), protocol(47), payload(20)]
      assert.equal(at.node.send(...away(A), gre).verdict, 'drop')
      assert.ok(effects(at.node).includes('count DROPPED pod_out NAT_PROTOCOL 1'))
    })

    test('one pod’s flows have one of several addresses; when no port is left there, the next', () => {
      giveAddresses(at.node, HOST, SECOND)
      const sources = new Set<string>()
      for (let port = PORT; port < PORT + 8; port++) {
        const sent = at.node.send(...away(A), [fromPod(A), ip(f, A, OUTSIDE), udp({ sport: port, dport: 53 })])
        sources.add(packetText(sent.bytes).split('\n')[1] ?? '')
      }
      assert.equal(sources.size, 1)
    })

    for (const kind of ['udp', 'tcp'] as const)
      test(`a ${kind} port that a socket of the node has is left to it`, async () => {
        await using _socket = await hold(at.node, kind, HOST[f], PORT)
        const layer = KINDS[kind]
        assert.ok(layer)
        const sent = at.node.send(...away(A), [fromPod(A), ip(f, A, OUTSIDE), layer(f, PORT)])
        assert.equal(sent.verdict, 'redirect')
        assert.notEqual(sourcePort(sent.bytes, f), PORT)
      })

    test('a socket of the node that takes a pod’s port later goes from another', () => {
      const out = ['uplink_out', 'uplink'] as const
      const toRouter = eth({ src: UPLINK_MAC, dst: ROUTER.mac })
      for (const kind of ['udp', 'tcp'] as const) {
        const layer = KINDS[kind]
        assert.ok(layer)
        const own = [toRouter, ip(f, HOST, OUTSIDE), layer(f, PORT), payload(3)]
        passes(out, own, 'pass', own)
        at.node.send(...away(A), [fromPod(A), ip(f, A, OUTSIDE), layer(f, PORT)])
        const sent = at.node.send(...out, own)
        const port = sourcePort(sent.bytes, f)
        assert.notEqual(port, PORT)
        assert.equal(
          packetText(sent.bytes),
          packetText(packet(toRouter, ip(f, HOST, OUTSIDE), layer(f, port), payload(3))),
        )
        passes(uplink, [fromRouter, ip(f, OUTSIDE, HOST), layer(f, port, true)], 'stack', [
          fromRouter,
          ip(f, OUTSIDE, HOST),
          layer(f, PORT, true),
        ])
      }
    })

    test('what is too long for its way: the pod is told, and the stack gets nothing', () => {
      const long = [fromPod(A), ip(f, A, OUTSIDE), udp({ sport: PORT, dport: 53 }), payload(1500)]
      const result = at.node.send(...away(A), long)
      assert.equal(result.verdict, 'redirect')
      assert.ok(effects(at.node).includes('count DROPPED pod_out TOO_BIG 1'))
      assert.match(packetText(result.bytes), f === 4 ? /icmp/i : /icmpv6/i)
    })
  })
}
