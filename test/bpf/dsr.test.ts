/** Services whose backends on other nodes answer clients themselves: what leaves a node for them, and what arrives. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { CtFlags } from '../../daemon/datapath/shared.gen.ts'
import { eth, ipv4, ipv6, type Layer, packet, payload } from '../support/packet.ts'
import { packetText } from '../support/packet-text.ts'
import { icmp, icmpv6, quote, tcp, udp } from '../support/packet-transport.ts'
import { around, between, DISPATCHES, type Dispatch } from './dsr-ways.ts'
import { effects } from './effects.ts'
import { BACKEND_PORT, SERVICE_PORT, type TestService, translations } from './service-maps.ts'
import type { Sent } from './node.ts'
import { serviceNode, sourcePort } from './service-node.ts'
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
  NATIVE_NODE,
  OUTSIDE,
  ROUTER,
  toPod,
  UPLINK_MAC,
} from './world.ts'

const VIP: Both = { 4: '203.0.113.1', 6: '2001:db8:1::1' }
const OTHER_VIP: Both = { 4: '203.0.113.2', 6: '2001:db8:1::2' }
const NODE_PORT = 30_080
const CLIENT_PORT = 2048
const uplink = ['uplink_in', 'uplink'] as const

const request = (port: number, flags = 'S'): Layer => tcp({ sport: CLIENT_PORT, dport: port, flags })
const answer = (port: number, flags = 'SA'): Layer => tcp({ sport: port, dport: CLIENT_PORT, flags })

for (const kind of Object.keys(DISPATCHES) as Dispatch[])
  suite(`by ${kind}`, () => {
    const at = serviceNode({ constants: { dsr_dispatch: DISPATCHES[kind] } })
    const { passes, make } = at

    const serve = (f: Family, backends: readonly string[], more: Partial<TestService> = {}): void => {
      make({ address: VIP[f], protocol: 'tcp', scope: 'outside', backends, dsr: [], ...more })
    }
    /** Sent by the client for `asked`: leaves for the pod `to`. */
    const leaves = (f: Family, asked: Both, port: number, to: Both, came: Layer, translated: Layer): void => {
      const sent = [fromRouter, ip(f, OUTSIDE, asked), came]
      const result = at.node.send(...uplink, sent)
      const way = { from: HOST, to, asked, port, sport: sourcePort(result.bytes, f) }
      assert.equal(packetText(result.bytes), packetText(packet(fromRouter, ...between(kind, f, way, came, translated))))
      assert.equal(result.verdict, 'redirect')
    }

    for (const f of FAMILIES) {
      test(`IPv${f}: a flow leaves for a pod of another node as the client’s own`, () => {
        serve(f, [NATIVE[f]])
        leaves(f, VIP, SERVICE_PORT, NATIVE, request(SERVICE_PORT), request(BACKEND_PORT))
        const forward = translations(at.node.object('pod')).filter(text => text.includes('→'))
        const client = end(f, OUTSIDE, CLIENT_PORT)
        assert.deepEqual(forward, [`${client} > ${end(f, VIP, 80)} → ${client} > ${end(f, NATIVE, 8080)}`])
      })

      test(`IPv${f}: it counts as established by what the client says, for no answer comes by here`, () => {
        serve(f, [NATIVE[f]])
        const flags = (): number => only([...at.node.conntrack.entries()])[1].flags
        at.node.send(...uplink, [fromRouter, ip(f, OUTSIDE, VIP), request(SERVICE_PORT)])
        assert.equal(flags() & CtFlags.CT_ESTABLISHED, 0)
        at.node.send(...uplink, [fromRouter, ip(f, OUTSIDE, VIP), request(SERVICE_PORT, 'A')])
        assert.equal(flags() & CtFlags.CT_ESTABLISHED, CtFlags.CT_ESTABLISHED)
        at.node.send(...uplink, [fromRouter, ip(f, OUTSIDE, VIP), request(SERVICE_PORT, 'R')])
        assert.equal(flags() & CtFlags.CT_RST, CtFlags.CT_RST)
      })

      test(`IPv${f}: what comes after the first packet of a connection`, () => {
        serve(f, [NATIVE[f]])
        at.node.send(...uplink, [fromRouter, ip(f, OUTSIDE, VIP), request(SERVICE_PORT)])
        if (kind !== 'option') leaves(f, VIP, SERVICE_PORT, NATIVE, request(SERVICE_PORT, 'A'), answer(1))
        else
          passes(uplink, [fromRouter, ip(f, OUTSIDE, VIP), request(SERVICE_PORT, 'A')], 'redirect', [
            fromRouter,
            ip(f, OUTSIDE, NATIVE, 63),
            request(BACKEND_PORT, 'A'),
          ])
      })

      test(`IPv${f}: every datagram says what it asks for`, () => {
        serve(f, [NATIVE[f]], { protocol: 'udp' })
        const datagram = (dport: number): Layer => udp({ sport: CLIENT_PORT, dport })
        for (let i = 0; i < 2; i++) leaves(f, VIP, SERVICE_PORT, NATIVE, datagram(SERVICE_PORT), datagram(BACKEND_PORT))
      })

      test(`IPv${f}: a client that speaks to two services from one port gets two flows`, () => {
        serve(f, [NATIVE[f]])
        serve(f, [NATIVE[f]], { address: OTHER_VIP[f] })
        leaves(f, VIP, SERVICE_PORT, NATIVE, request(SERVICE_PORT), request(BACKEND_PORT))
        const { bytes } = at.node.send(...uplink, [fromRouter, ip(f, OUTSIDE, OTHER_VIP), request(SERVICE_PORT)])
        const other = tcp({ sport: sourcePort(bytes, f), dport: BACKEND_PORT, flags: 'S' })
        assert.equal(packetText(bytes), packetText(packet(fromRouter, ip(f, HOST, NATIVE, 63), other)))
      })

      test(`IPv${f}: a backend on this node, and one in a node’s own network, are served as ever`, () => {
        serve(f, [A[f]])
        passes(uplink, [fromRouter, ip(f, OUTSIDE, VIP), request(SERVICE_PORT)], 'redirect', [
          toPod(A),
          ip(f, OUTSIDE, A, 63),
          request(BACKEND_PORT),
        ])
        serve(f, [NATIVE_NODE[f]], { address: OTHER_VIP[f] })
        passes(uplink, [fromRouter, ip(f, OUTSIDE, OTHER_VIP), request(SERVICE_PORT)], 'redirect', [
          fromRouter,
          ip(f, HOST, NATIVE_NODE, 63),
          request(BACKEND_PORT),
        ])
      })

      test(`IPv${f}: an error about the pod’s answer is sent on to the pod’s node`, () => {
        serve(f, [NATIVE[f]])
        const { bytes } = at.node.send(...uplink, [fromRouter, ip(f, OUTSIDE, VIP), request(SERVICE_PORT)])
        const [error, quoted] = [tooBig(f), quote(ip(f, VIP, OUTSIDE), answer(SERVICE_PORT))]
        const sent = [fromRouter, ip(f, ROUTER, VIP), error, quoted]
        const way = { from: HOST, to: NATIVE, sport: sourcePort(bytes, f) }
        if (kind === 'geneve') way.sport = sourcePort(at.node.send(...uplink, sent).bytes, f)
        const translated = [ip(f, ROUTER, NATIVE, 63), error, quote(ip(f, NATIVE, OUTSIDE), answer(BACKEND_PORT))]
        passes(uplink, sent, 'redirect', [
          fromRouter,
          ...(kind === 'option' ? translated : [...around(kind, f, way), ip(f, ROUTER, VIP, 63), error, quoted]),
        ])
      })

      test(`IPv${f}: what is too long for its way is answered with the length that fits`, () => {
        serve(f, [NATIVE[f]], { protocol: 'udp' })
        const [header, room] =
          f === 4 ? [20, { option: 8, ipip: 20, geneve: 36 }] : [40, { option: 24, ipip: 40, geneve: 56 }]
        const datagram = (length: number): Layer[] => {
          const of = { src: OUTSIDE[f], dst: VIP[f] }
          const outer = f === 4 ? ipv4({ ...of, dontFragment: true }) : ipv6(of)
          return [outer, udp({ sport: CLIENT_PORT, dport: SERVICE_PORT }), payload(length - header - 8)]
        }
        const fits = 1500 - room[kind]
        assert.equal(at.node.send(...uplink, [fromRouter, ...datagram(fits)]).verdict, 'redirect')
        assert.equal(effects(at.node).filter(text => text.includes('TOO_BIG')).length, 0)
        const sent = packet(fromRouter, ...datagram(fits + 1))
        const { verdict, bytes } = at.node.send(...uplink, sent)
        assert.equal(verdict, 'redirect')
        const quoted = payload(sent.slice(14, 14 + header + 8))
        const error = f === 4 ? icmp({ type: 3, code: 4, sequence: fits }) : icmpv6({ type: 2, sequence: fits })
        const from = f === 4 ? ipv4({ src: VIP[4], dst: OUTSIDE[4], id: 0 }) : ip(6, VIP, OUTSIDE)
        const back = eth({ src: UPLINK_MAC, dst: ROUTER.mac })
        assert.equal(packetText(bytes), packetText(packet(back, from, error, quoted)))
        assert.ok(effects(at.node).includes('count DROPPED uplink_in TOO_BIG 1'))
      })

      for (const [what, asked, port] of [
        ['a load balancer’s address', VIP, SERVICE_PORT],
        ['a node port of the node that sends it on', NATIVE_NODE, NODE_PORT],
      ] as const) {
        const arrives = (came: Layer, translated: Layer): Layer[] => [
          fromRouter,
          ...between(kind, f, { from: NATIVE_NODE, to: A, asked, port, hops: 64 }, came, translated),
        ]
        const direct = (): number[] => {
          const address = asked === VIP ? VIP : HOST
          return make({ address: address[f], port, protocol: 'tcp', scope: 'outside', backends: [], dsr: [A[f]] })
        }

        test(`IPv${f}, ${what}: the pod sees the client, the client the service`, () => {
          direct()
          passes(uplink, arrives(request(port), request(BACKEND_PORT)), 'redirect', [
            toPod(A),
            ip(f, OUTSIDE, A, 63),
            request(BACKEND_PORT),
          ])
          passes(['pod_out', 'a'], [fromPod(A), ip(f, A, OUTSIDE), answer(BACKEND_PORT)], 'redirect', [
            fromPod(A),
            ip(f, asked, OUTSIDE, 63),
            answer(port),
          ])
          const next = kind === 'option' ? [fromRouter, ip(f, OUTSIDE, A), request(BACKEND_PORT, 'A')] : undefined
          passes(uplink, next ?? arrives(request(port, 'A'), request(BACKEND_PORT, 'A')), 'redirect', [
            toPod(A),
            ip(f, OUTSIDE, A, 63),
            request(BACKEND_PORT, 'A'),
          ])
          const flow = only([...at.node.conntrack.entries()])[1]
          assert.equal(flow.flags & CtFlags.CT_ESTABLISHED, CtFlags.CT_ESTABLISHED)
          assert.equal(flow.packetsA + flow.packetsB, 3n)
        })

        test(`IPv${f}, ${what}: an error about the pod’s answer finds the pod`, () => {
          direct()
          at.node.send(...uplink, arrives(request(port), request(BACKEND_PORT)))
          const [error, quoted] = [tooBig(f), quote(ip(f, asked, OUTSIDE), answer(port))]
          const atPod = quote(ip(f, A, OUTSIDE), answer(BACKEND_PORT))
          const came =
            kind === 'option'
              ? [fromRouter, ip(f, ROUTER, A), error, atPod]
              : [fromRouter, ...around(kind, f, { from: NATIVE_NODE, to: A }), ip(f, ROUTER, asked), error, quoted]
          passes(uplink, came, 'redirect', [toPod(A), ip(f, ROUTER, A, 63), error, atPod])
        })

        test(`IPv${f}, ${what}: nothing arrives that the service does not have`, () => {
          make({
            address: asked === VIP ? VIP[f] : HOST[f],
            port,
            protocol: 'tcp',
            scope: 'outside',
            backends: [],
            dsr: [B[f]],
          })
          const { verdict } = at.node.send(...uplink, arrives(request(port), request(BACKEND_PORT)))
          // Who asked is told.
          assert.equal(verdict, 'redirect')
          assert.ok(effects(at.node).includes('count DROPPED uplink_in NO_BACKEND 1'))
        })

        test(`IPv${f}, ${what}: what this node would send on itself stays when it was sent here`, () => {
          const address = asked === VIP ? VIP : HOST
          const service = { address: address[f], port, protocol: 'tcp', scope: 'outside' } as const
          make({ ...service, backends: [NATIVE[f]], dsr: [A[f]] })
          if (asked === VIP) leaves(f, VIP, port, NATIVE, request(port), request(BACKEND_PORT))
          passes(uplink, arrives(request(port), request(BACKEND_PORT)), 'redirect', [
            toPod(A),
            ip(f, OUTSIDE, A, 63),
            request(BACKEND_PORT),
          ])
        })
      }

      test(`IPv${f}: one port of a client that leads to a pod by two services is two flows there`, () => {
        for (const vip of [VIP, OTHER_VIP])
          make({ address: vip[f], protocol: 'tcp', scope: 'outside', backends: [], dsr: [A[f]] })
        const arrive = (asked: Both): Sent => {
          const way = { from: NATIVE_NODE, to: A, asked, port: SERVICE_PORT, hops: 64 }
          const sent = between(kind, f, way, request(SERVICE_PORT), request(BACKEND_PORT))
          return at.node.send(...uplink, [fromRouter, ...sent])
        }
        /** What the pod answers from its port to that of a client, as it leaves. */
        const answers = (dport: number, flags: string): string => {
          const reply = tcp({ sport: BACKEND_PORT, dport, flags })
          return packetText(at.node.send('pod_out', 'a', [fromPod(A), ip(f, A, OUTSIDE), reply]).bytes)
        }
        const answered = (vip: Both, flags: string): string =>
          packetText(packet(fromPod(A), ip(f, vip, OUTSIDE, 63), answer(SERVICE_PORT, flags)))
        arrive(VIP)
        assert.equal(answers(CLIENT_PORT, 'SA'), answered(VIP, 'SA'))
        const second = arrive(OTHER_VIP)
        if (kind === 'option') {
          // While the first one lives, packets that come translated could be of either.
          assert.equal(second.verdict, 'drop')
          assert.ok(effects(at.node).includes('count DROPPED uplink_in NAT_PORTS 1'))
          assert.equal(answers(CLIENT_PORT, 'RA'), answered(VIP, 'RA'))
        }
        const { bytes } = kind === 'option' ? arrive(OTHER_VIP) : second
        const port = sourcePort(bytes, f)
        assert.notEqual(port, CLIENT_PORT)
        assert.equal(answers(port, 'SA'), answered(OTHER_VIP, 'SA'))
        if (kind !== 'option') return
        const bare = at.node.send(...uplink, [fromRouter, ip(f, OUTSIDE, A), request(BACKEND_PORT, 'A')])
        const moved = tcp({ sport: port, dport: BACKEND_PORT, flags: 'A' })
        assert.equal(packetText(bare.bytes), packetText(packet(toPod(A), ip(f, OUTSIDE, A, 63), moved)))
      })

      if (kind !== 'option')
        test(`IPv${f}: only nodes say whom a packet comes from: others’ are the pod’s own`, () => {
          make({ address: VIP[f], protocol: 'tcp', scope: 'outside', backends: [], dsr: [A[f]] })
          const within = [ip(f, OUTSIDE, VIP), request(SERVICE_PORT)]
          const sent = [fromRouter, ...around(kind, f, { from: NATIVE, to: A }), ...within]
          const { verdict, bytes } = at.node.send(...uplink, sent)
          assert.equal(verdict, 'redirect')
          assert.equal(bytes.length, packet(...sent).length)
          assert.deepEqual(translations(at.node.object('pod')), [])
        })

      test(`IPv${f}: an address that is no service’s is not delivered to the host`, () => {
        const way = { from: NATIVE_NODE, to: A, asked: VIP, port: SERVICE_PORT }
        const sent = between(kind, f, way, request(SERVICE_PORT), request(BACKEND_PORT))
        assert.equal(at.node.send(...uplink, [fromRouter, ...sent]).verdict, 'drop')
        assert.ok(effects(at.node).includes('count DROPPED uplink_in DSR 1'))
      })
    }
  })

/** A packet too big. */
function tooBig(f: Family): Layer {
  return f === 4 ? icmp({ type: 3, code: 4 }) : icmpv6({ type: 2 })
}

function only<T>([first, ...others]: readonly T[]): T {
  assert.ok(first !== undefined && others.length === 0)
  return first
}

function end(f: Family, { [f]: address }: Both, port: number): string {
  return f === 6 ? `[${address}]:${port}` : `${address}:${port}`
}
