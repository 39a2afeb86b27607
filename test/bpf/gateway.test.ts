/** Packets that policies send by gateways: at the pod's node, and at the gateway. */
import assert from 'node:assert/strict'
import { beforeEach, suite, test } from 'node:test'
import { codec } from '../../daemon/kernel/bpf/layout.ts'
import type { EbpfMap } from '../../daemon/kernel/bpf/map.ts'
import { toMapped16, toMappedPrefix } from '../../daemon/kernel/ip.ts'
import {
  egressAddressLayout,
  EgressDevice,
  egressKeyLayout,
  type EgressPath,
  EgressPathFlags,
  type EgressPathKey,
  egressPathKeyLayout,
  egressPathLayout,
} from '../../daemon/datapath/shared.gen.ts'
import { eth, fragment6, ipv4, type Layer, payload, PROTOCOL } from '../support/packet.ts'
import { packetText } from '../support/packet-text.ts'
import { icmp, icmpv6, protocol, quote, tcp, udp } from '../support/packet-transport.ts'
import { effects, flows } from './effects.ts'
import type { Sent, TestNode } from './node.ts'
import { BACKEND_PORT, SERVICE_PORT, translations } from './service-maps.ts'
import { KINDS } from './outside.ts'
import { serviceNode, type Way } from './service-node.ts'
import {
  A,
  B,
  type Both,
  FAMILIES,
  type Family,
  fromPod,
  fromRouter,
  HOST,
  ip,
  NATIVE,
  OUTSIDE,
  OVERLAID,
  OVERLAY_MAC,
  ROUTER,
  toPod,
  TUNNEL_END,
  VNI,
} from './world.ts'

const POLICY = 0xc0ffee07
/** The frame's destination MAC by which the gateway knows the policy. */
const MARK = '02:e6:c0:ff:ee:07'
const DEVICE = EgressDevice.EGRESS_DEVICES + 7
/** What stands for the pods. */
const GIVEN: Both = { 4: '192.168.7.77', 6: 'fd00:7::77' }
const PORT = 40_000
const out: Way = ['pod_out', 'a']
const over: Way = ['overlay_in', 'overlay', { underlay: 4, vni: VNI }]
const uplink: Way = ['uplink_in', 'uplink']

const at = serviceNode({ constants: { egress_gateway: 1 } })
const { passes } = at
const send = ([program, on, prelude]: Way, layers: readonly Layer[]): Sent => at.node.send(program, on, layers, prelude)

type PathMap = EbpfMap<EgressPathKey, EgressPath>
function withPaths(node: TestNode, act: (paths: PathMap) => void): void {
  using paths = node.object('pod').map('egress_paths', codec(egressPathKeyLayout, egressPathLayout))
  act(paths)
}

function keyOf(source: Uint8Array, destination: string): EgressPathKey {
  const { bytes, length } = toMappedPrefix(destination)
  return { prefixLength: 128 + length, source, destination: bytes }
}
const policySource = (): Uint8Array => {
  const source = new Uint8Array(16)
  new DataView(source.buffer).setUint32(12, POLICY)
  return source
}
const REMOTE: EgressPath = { tunnel: toMapped16(TUNNEL_END[4]), policy: POLICY, device: 0, flags: 0 }
const HERE: EgressPath = { tunnel: new Uint8Array(16), policy: POLICY, device: DEVICE, flags: 0 }

/** Where pod A's packets to everybody go. */
function sends(path: EgressPath): void {
  withPaths(at.node, paths => {
    for (const f of FAMILIES) paths.update(keyOf(toMapped16(A[f]), f === 4 ? '0.0.0.0/0' : '::/0'), path)
  })
}

beforeEach(() => {
  withPaths(at.node, paths => {
    for (const [key] of paths.entries()) paths.delete(key)
    for (const f of FAMILIES) paths.update(keyOf(policySource(), f === 4 ? '198.51.100.0/24' : '2001:db8::/32'), HERE)
  })
  using egress = at.node.object('pod').map('egress_addresses', codec(egressKeyLayout, egressAddressLayout))
  for (const f of FAMILIES)
    egress.update({ ifindex: DEVICE, family: f === 4 ? 0 : 1, index: 0 }, { address: toMapped16(GIVEN[f]), count: 1 })
  for (const f of FAMILIES) {
    const host = at.node.endpoints.lookup(toMapped16(HOST[f]))
    assert.ok(host)
    at.node.endpoints.update(toMapped16(GIVEN[f]), host)
  }
})

const toGateway = eth({ src: A.mac, dst: MARK })
/** As it arrives at a gateway from a pod of another node. */
const asked = eth({ src: A.mac, dst: MARK })
const toOverlay = eth({ src: ROUTER.mac, dst: OVERLAY_MAC })

/** A datagram of so many bytes of IP from pod A. */
function sized(f: Family, length: number): Layer[] {
  return [udp({ sport: PORT, dport: 53 }), payload(length - (f === 4 ? 28 : 48))]
}

/** The two of a datagram to the outside. */
function fragments(f: Family, src: Both, hops: number): readonly [Layer[], Layer[]] {
  const head = (more: boolean): Layer[] =>
    f === 4
      ? [ipv4({ src: src[4], dst: OUTSIDE[4], ttl: hops, id: 7, ...(more ? { more } : { offset: 16 }) })]
      : [ip(6, src, OUTSIDE, hops), fragment6({ id: 7, next: PROTOCOL.udp, ...(more ? { more } : { offset: 16 }) })]
  return [
    [...head(true), udp({ sport: PORT, dport: 53 }), payload(8)],
    [...head(false), ...(f === 4 ? [protocol(PROTOCOL.udp)] : []), payload(8)],
  ]
}

for (const f of FAMILIES) {
  suite(`IPv${f}, at the pod's node`, () => {
    for (const [kind, layer] of Object.entries(KINDS))
      test(`${kind} goes to the gateway as the pod sent it, and the answer comes to the pod`, () => {
        sends(REMOTE)
        passes(out, [fromPod(A), ip(f, A, OUTSIDE), layer(f, PORT), payload(20)], 'redirect', [
          toGateway,
          ip(f, A, OUTSIDE, 63),
          layer(f, PORT),
          payload(20),
        ])
        passes(over, [toOverlay, ip(f, OUTSIDE, A), layer(f, PORT, true), payload(9)], 'redirect', [
          toPod(A),
          ip(f, OUTSIDE, A, 63),
          layer(f, PORT, true),
          payload(9),
        ])
        assert.equal(flows(at.node).length, 1)
        assert.equal(translations(at.node.object('pod')).length, 0)
      })

    for (const [what, dst, verdict] of [
      ['another pod of the node', B, 'redirect'],
      ['the node', HOST, 'stack'],
      ['a pod of another node, natively', NATIVE, 'redirect'],
      ['a pod of another node, by the overlay', OVERLAID, 'redirect'],
    ] as const)
      test(`what goes to ${what} stays in the cluster, whether there is a gateway or the pod is known or not`, () => {
        for (const flags of [0, EgressPathFlags.EGRESS_NONE, EgressPathFlags.EGRESS_UNKNOWN]) {
          sends({ ...REMOTE, flags })
          const result = send(out, [fromPod(A), ip(f, A, dst), udp({ sport: PORT, dport: 53 })])
          assert.equal(result.verdict, verdict)
          assert.ok(!packetText(result.bytes).includes(MARK))
        }
      })

    test('another pod, which no policy selects, goes by its own node', () => {
      sends(REMOTE)
      const request = udp({ sport: PORT, dport: 53 })
      passes(['pod_out', 'b'], [fromPod(B), ip(f, B, OUTSIDE), request], 'redirect', [
        fromPod(B),
        ip(f, B, OUTSIDE, 63),
        request,
      ])
    })

    test('an excepted destination goes by the pod’s own node', () => {
      sends(REMOTE)
      const excepted = `${OUTSIDE[f]}/${f === 4 ? 32 : 128}`
      withPaths(at.node, paths =>
        paths.update(keyOf(toMapped16(A[f]), excepted), { ...REMOTE, flags: EgressPathFlags.EGRESS_KEPT }),
      )
      const request = udp({ sport: PORT, dport: 53 })
      passes(out, [fromPod(A), ip(f, A, OUTSIDE), request], 'redirect', [fromPod(A), ip(f, A, OUTSIDE, 63), request])
    })

    test('an answer to who opened a connection from outside goes back as it came', () => {
      sends(REMOTE)
      const opens = tcp({ sport: 999, dport: 80, flags: 'S' })
      assert.equal(send(uplink, [fromRouter, ip(f, OUTSIDE, A), opens]).verdict, 'redirect')
      const answer = tcp({ sport: 80, dport: 999, flags: 'SA' })
      passes(out, [fromPod(A), ip(f, A, OUTSIDE), answer], 'redirect', [fromPod(A), ip(f, A, OUTSIDE, 63), answer])
    })

    for (const [flag, reason] of [
      ['EGRESS_NONE', 'NO_GATEWAY'],
      ['EGRESS_UNKNOWN', 'LABELS_UNKNOWN'],
    ] as const)
      test(`nothing leaves by the pod's own node with ${flag}, in the middle of a flow neither`, () => {
        sends(REMOTE)
        send(out, [fromPod(A), ip(f, A, OUTSIDE), udp({ sport: 7, dport: 53 })])
        send(over, [toOverlay, ip(f, OUTSIDE, A), udp({ sport: 53, dport: 7 })])
        sends({ ...REMOTE, flags: EgressPathFlags[flag] })
        for (const sport of [7, 8]) {
          const sent = send(out, [fromPod(A), ip(f, A, OUTSIDE), udp({ sport, dport: 53 })])
          assert.equal(sent.verdict, 'drop')
        }
        assert.ok(effects(at.node).includes(`count DROPPED pod_out ${reason} 2`))
      })

    test('what is on its last hop is the stack’s to tell of', () => {
      sends(REMOTE)
      const sent = [fromPod(A), ip(f, A, OUTSIDE, 1), udp({ sport: PORT, dport: 53 })]
      passes(out, sent, 'stack', sent)
    })

    test('what is too long for the overlay: the pod is told by how much, and the stack gets nothing', () => {
      sends(REMOTE)
      assert.equal(send(out, [fromPod(A), ip(f, A, OUTSIDE), ...sized(f, 1450)]).verdict, 'redirect')
      const dont = f === 4 ? ipv4({ src: A[4], dst: OUTSIDE[4], dontFragment: true }) : ip(f, A, OUTSIDE)
      const told = send(out, [fromPod(A), dont, ...sized(f, 1451)])
      assert.equal(told.verdict, 'redirect')
      assert.match(packetText(told.bytes), f === 4 ? /icmp type 3 code 4/ : /icmpv6 type 2/)
      assert.ok(effects(at.node).includes('count DROPPED pod_out TOO_BIG 1'))
    })

    test('an error about an answer goes to the gateway', () => {
      sends(REMOTE)
      send(out, [fromPod(A), ip(f, A, OUTSIDE), udp({ sport: PORT, dport: 53 })])
      send(over, [toOverlay, ip(f, OUTSIDE, A), udp({ sport: 53, dport: PORT })])
      const error = [
        f === 4 ? icmp({ type: 3, code: 3 }) : icmpv6({ type: 1, code: 4 }),
        quote(ip(f, OUTSIDE, A, 63), udp({ sport: 53, dport: PORT }), payload(20)),
      ]
      passes(out, [fromPod(A), ip(f, A, OUTSIDE), ...error], 'redirect', [toGateway, ip(f, A, OUTSIDE, 63), ...error])
    })

    test('a service whose backend is outside is asked by the gateway', () => {
      sends(REMOTE)
      const vip: Both = { 4: '10.96.0.1', 6: 'fd00:96::1' }
      at.make({ address: vip[f], protocol: 'udp', backends: [OUTSIDE[f]] })
      passes(out, [fromPod(A), ip(f, A, vip), udp({ sport: PORT, dport: SERVICE_PORT })], 'redirect', [
        toGateway,
        ip(f, A, OUTSIDE, 63),
        udp({ sport: PORT, dport: BACKEND_PORT }),
      ])
    })

    test('where it is the gateway itself, its pods bear the policy’s address', () => {
      sends(HERE)
      const [request, answer] = [
        tcp({ sport: PORT, dport: 443, flags: 'S' }),
        tcp({ sport: 443, dport: PORT, flags: 'SA' }),
      ]
      passes(out, [fromPod(A), ip(f, A, OUTSIDE), request], 'redirect', [
        fromPod(A),
        ip(f, GIVEN, OUTSIDE, 63),
        request,
      ])
      passes(uplink, [fromRouter, ip(f, OUTSIDE, GIVEN), answer], 'redirect', [toPod(A), ip(f, OUTSIDE, A, 63), answer])
    })

    test('a flow that went by another gateway begins anew where the pod’s node becomes it', () => {
      sends(REMOTE)
      const request = udp({ sport: PORT, dport: 53 })
      send(out, [fromPod(A), ip(f, A, OUTSIDE), request])
      send(over, [toOverlay, ip(f, OUTSIDE, A), udp({ sport: 53, dport: PORT })])
      sends(HERE)
      assert.equal(send(out, [fromPod(A), ip(f, A, OUTSIDE), request]).verdict, 'drop')
      assert.ok(effects(at.node).includes('count DROPPED pod_out GATEWAY_MOVED 1'))
      passes(out, [fromPod(A), ip(f, A, OUTSIDE), request], 'redirect', [
        fromPod(A),
        ip(f, GIVEN, OUTSIDE, 63),
        request,
      ])
    })
  })

  suite(`IPv${f}, at the gateway`, () => {
    for (const [kind, layer] of Object.entries(KINDS))
      test(`${kind} of another node's pod leaves with the policy's address, and the answer goes to its node`, () => {
        passes(over, [asked, ip(f, OVERLAID, OUTSIDE), layer(f, PORT), payload(20)], 'redirect', [
          asked,
          ip(f, GIVEN, OUTSIDE, 63),
          layer(f, PORT),
          payload(20),
        ])
        passes(uplink, [fromRouter, ip(f, OUTSIDE, GIVEN), layer(f, PORT, true), payload(9)], 'redirect', [
          fromRouter,
          ip(f, OUTSIDE, OVERLAID, 63),
          layer(f, PORT, true),
          payload(9),
        ])
        passes(over, [asked, ip(f, OVERLAID, OUTSIDE), layer(f, PORT), payload(20)], 'redirect', [
          asked,
          ip(f, GIVEN, OUTSIDE, 63),
          layer(f, PORT),
          payload(20),
        ])
        assert.equal(flows(at.node).length, 1)
        assert.equal(translations(at.node.object('pod')).length, 2)
      })

    test('a connection from its middle leaves too, for who is outside to reset it', () => {
      const middle = tcp({ sport: PORT, dport: 443, flags: 'A' })
      passes(over, [asked, ip(f, OVERLAID, OUTSIDE), middle], 'redirect', [asked, ip(f, GIVEN, OUTSIDE, 63), middle])
    })

    test('what the policy does not name, or no policy, ends here', () => {
      const elsewhere: Both = { 4: '203.0.113.9', 6: '2a00:db8::9' }
      const request = udp({ sport: PORT, dport: 53 })
      assert.equal(send(over, [asked, ip(f, OVERLAID, elsewhere), request]).verdict, 'drop')
      const unknown = eth({ src: A.mac, dst: '02:e6:00:00:00:01' })
      assert.equal(send(over, [unknown, ip(f, OVERLAID, OUTSIDE), request]).verdict, 'drop')
      assert.ok(effects(at.node).includes('count DROPPED overlay_in NO_GATEWAY 2'))
      assert.equal(send(over, [toOverlay, ip(f, OVERLAID, OUTSIDE), request]).verdict, 'drop')
      assert.ok(effects(at.node).includes('count DROPPED overlay_in NO_ENDPOINT 1'))
    })

    test('where it has no address, nothing leaves', () => {
      withPaths(at.node, paths =>
        paths.update(keyOf(policySource(), `${OUTSIDE[f]}/${f === 4 ? 32 : 128}`), {
          ...HERE,
          device: 0,
          flags: EgressPathFlags.EGRESS_NONE,
        }),
      )
      assert.equal(send(over, [asked, ip(f, OVERLAID, OUTSIDE), udp({ sport: 1, dport: 53 })]).verdict, 'drop')
      assert.ok(effects(at.node).includes('count DROPPED overlay_in NO_GATEWAY 1'))
    })

    test('errors come back to the pod and go out from it', () => {
      const request = udp({ sport: PORT, dport: 53 })
      send(over, [asked, ip(f, OVERLAID, OUTSIDE), request, payload(20)])
      const unreachable = f === 4 ? icmp({ type: 3, code: 3 }) : icmpv6({ type: 1, code: 4 })
      const about = (src: Both): Layer => quote(ip(f, src, OUTSIDE, 63), request, payload(20))
      passes(uplink, [fromRouter, ip(f, ROUTER, GIVEN), unreachable, about(GIVEN)], 'redirect', [
        fromRouter,
        ip(f, ROUTER, OVERLAID, 63),
        unreachable,
        about(OVERLAID),
      ])
      const answer = udp({ sport: 53, dport: PORT })
      send(uplink, [fromRouter, ip(f, OUTSIDE, GIVEN), answer])
      const against = (dst: Both): Layer => quote(ip(f, OUTSIDE, dst, 63), answer, payload(20))
      passes(over, [asked, ip(f, OVERLAID, OUTSIDE), unreachable, against(OVERLAID)], 'redirect', [
        asked,
        ip(f, GIVEN, OUTSIDE, 63),
        unreachable,
        against(GIVEN),
      ])
    })

    test('fragments follow the first; one without it ends', () => {
      const [first, later] = [OVERLAID, GIVEN].map((src, i) => fragments(f, src, 64 - i))
      assert.ok(first && later)
      assert.equal(send(over, [asked, ...first[1]]).verdict, 'drop')
      assert.ok(effects(at.node).includes('count DROPPED overlay_in FRAGMENT_EARLY 1'))
      for (const i of [0, 1] as const) passes(over, [asked, ...first[i]], 'redirect', [asked, ...later[i]])
    })

    test('what is on its last hop is the stack’s to tell of', () => {
      const sent = [asked, ip(f, OVERLAID, OUTSIDE, 1), udp({ sport: PORT, dport: 53 })]
      passes(over, sent, 'stack', sent)
    })

    test('what the uplink does not take: the pod’s node is sent the message', () => {
      const dont = f === 4 ? ipv4({ src: OVERLAID[4], dst: OUTSIDE[4], dontFragment: true }) : ip(f, OVERLAID, OUTSIDE)
      const told = send(over, [asked, dont, ...sized(f, 1501)])
      assert.equal(told.verdict, 'redirect')
      assert.match(packetText(told.bytes), f === 4 ? /icmp type 3 code 4/ : /icmpv6 type 2/)
      assert.ok(effects(at.node).includes('count DROPPED overlay_in TOO_BIG 1'))
    })
  })
}
