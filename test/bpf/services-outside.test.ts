/** Services for clients that are elsewhere: their packets arrive at the node, wherever the backend is. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { eth, ipv4, ipv6, type Layer, packet, payload, PROTOCOL } from '../support/packet.ts'
import { packetText } from '../support/packet-text.ts'
import { icmp, icmpv6, tcp, udp } from '../support/packet-transport.ts'
import { effects, flows } from './effects.ts'
import type { Prelude, Verdict } from './node.ts'
import { BACKEND_PORT, SERVICE_PORT } from './service-maps.ts'
import { assertUnreserved, serviceNode, sourcePort } from './service-node.ts'
import {
  A,
  type Both,
  FAMILIES,
  fromPod,
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

/** Of a load balancer that sends its packets here as they are. */
const VIP: Both = { 4: '203.0.113.1', 6: '2001:db8:1::1' }
const NODE_PORT = 30_080
const CLIENT_PORT = 2048
/** One that is never given to a flow of somebody else. */
const RESERVED_PORT = 40_000

const at = serviceNode()
const { passes, make } = at

const overlaid: Prelude = { underlay: 4, vni: VNI }
const inTunnel = eth({ src: OVERLAY_MAC, dst: OVERLAY_MAC })

const uplink = ['uplink_in', 'uplink'] as const
const fromUs = eth({ src: UPLINK_MAC, dst: ROUTER.mac })

for (const f of FAMILIES)
  for (const [what, vip, port] of [
    ['a node port', HOST, NODE_PORT],
    ['a load balancer’s address', VIP, SERVICE_PORT],
  ] as const)
    suite(`IPv${f}, from outside to ${what}`, () => {
      const serve = (...backends: readonly string[]): void => {
        const exclusive = vip === VIP
        for (const protocol of ['tcp', 'udp'] as const)
          make({ address: vip[f], port, protocol, scope: 'outside', backends, exclusive })
      }
      const request = tcp({ sport: CLIENT_PORT, dport: port, flags: 'S' })
      const asked = tcp({ sport: CLIENT_PORT, dport: BACKEND_PORT, flags: 'S' })
      const answer = tcp({ sport: BACKEND_PORT, dport: CLIENT_PORT, flags: 'SA' })
      const answered = tcp({ sport: port, dport: CLIENT_PORT, flags: 'SA' })

      test('with a backend on the node: it sees the client, and answers it directly', () => {
        serve(A[f])
        passes(uplink, [fromRouter, ip(f, OUTSIDE, vip), request], 'redirect', [toPod(A), ip(f, OUTSIDE, A, 63), asked])
        passes(['pod_out', 'a'], [fromPod(A), ip(f, A, OUTSIDE), answer], 'redirect', [
          fromPod(A),
          ip(f, vip, OUTSIDE, 63),
          answered,
        ])
      })

      test('with a backend on another node, natively: it sees this node, and the client the service', () => {
        serve(NATIVE[f])
        passes(uplink, [fromRouter, ip(f, OUTSIDE, vip), request], 'redirect', [
          fromRouter,
          ip(f, HOST, NATIVE, 63),
          asked,
        ])
        passes(uplink, [fromRouter, ip(f, NATIVE, HOST), answer], 'redirect', [
          fromRouter,
          ip(f, vip, OUTSIDE, 63),
          answered,
        ])
        assert.equal(flows(at.node).length, 1)
      })

      test('with a backend behind the overlay: likewise', () => {
        serve(OVERLAID[f])
        passes(uplink, [fromRouter, ip(f, OUTSIDE, vip), request], 'redirect', [
          fromRouter,
          ip(f, HOST, OVERLAID, 63),
          asked,
        ])
        passes(['overlay_in', 'overlay', overlaid], [inTunnel, ip(f, OVERLAID, HOST), answer], 'redirect', [
          inTunnel,
          ip(f, vip, OUTSIDE, 63),
          answered,
        ])
      })

      test('from a pod of another node, to a backend of a third: likewise', () => {
        serve(NATIVE[f])
        passes(
          ['overlay_in', 'overlay', overlaid],
          [inTunnel, ip(f, OVERLAID, HOST), udp({ sport: CLIENT_PORT, dport: NODE_PORT })],
          vip === HOST ? 'redirect' : 'stack',
          vip === HOST
            ? [inTunnel, ip(f, HOST, NATIVE, 63), udp({ sport: CLIENT_PORT, dport: BACKEND_PORT })]
            : [inTunnel, ip(f, OVERLAID, HOST), udp({ sport: CLIENT_PORT, dport: NODE_PORT })],
        )
      })

      test('with the node itself as backend: its stack gets it, and answers as the service', () => {
        serve(HOST[f])
        passes(uplink, [fromRouter, ip(f, OUTSIDE, vip), request], 'stack', [fromRouter, ip(f, OUTSIDE, HOST), asked])
        passes(['uplink_out', 'uplink'], [fromUs, ip(f, HOST, OUTSIDE), answer], 'pass', [
          fromUs,
          ip(f, vip, OUTSIDE),
          answered,
        ])
      })

      test('from a port that this node’s own sockets may have: another one is seen by the backend', () => {
        serve(NATIVE[f])
        const sent = [fromRouter, ip(f, OUTSIDE, vip), udp({ sport: RESERVED_PORT, dport: port }), payload(3)]
        const { bytes, verdict } = at.node.send('uplink_in', 'uplink', sent)
        assert.equal(verdict, 'redirect')
        const sport = sourcePort(bytes, f)
        assertUnreserved(sport)
        passes(uplink, [fromRouter, ip(f, NATIVE, HOST), udp({ sport: BACKEND_PORT, dport: sport })], 'redirect', [
          fromRouter,
          ip(f, vip, OUTSIDE, 63),
          udp({ sport: port, dport: RESERVED_PORT }),
        ])
      })

      test('that nobody serves: dropped with that reason, and the client is told', () => {
        serve()
        const { verdict, bytes } = at.node.send('uplink_in', 'uplink', [fromRouter, ip(f, OUTSIDE, vip), request])
        const refused = tcp({ sport: port, dport: CLIENT_PORT, flags: 'RA', seq: 0, ack: 2 })
        assert.equal(verdict, 'redirect')
        assert.equal(packetText(bytes), packetText(packet(fromUs, ip(f, vip, OUTSIDE), refused)))
        assert.ok(effects(at.node).includes('count DROPPED uplink_in NO_BACKEND 1'))
      })

      test('at another port: the host’s own on the node’s address, dropped on a service’s', () => {
        serve(A[f])
        const sent = [fromRouter, ip(f, OUTSIDE, vip), tcp({ sport: CLIENT_PORT, dport: 22, flags: 'S' })]
        passes(uplink, sent, vip === HOST ? 'pass' : 'drop', sent)
        assert.deepEqual(flows(at.node), [])
      })
    })

test('two clients from one port are told apart by the port that this node gives the second', () => {
  make({
    address: HOST[4],
    port: NODE_PORT,
    protocol: 'udp',
    scope: 'outside',
    backends: [NATIVE[4]],
    exclusive: false,
  })
  const clients: readonly Both[] = [OUTSIDE, { 4: '198.51.100.10', 6: '' }]
  const ports = clients.map(client => {
    const sent = [fromRouter, ip(4, client, HOST), udp({ sport: CLIENT_PORT, dport: NODE_PORT })]
    const { bytes } = at.node.send('uplink_in', 'uplink', sent)
    return sourcePort(bytes, 4)
  })
  assert.equal(ports[0], CLIENT_PORT)
  assert.notEqual(ports[1], CLIENT_PORT)
  for (const [i, client] of clients.entries())
    passes(uplink, [fromRouter, ip(4, NATIVE, HOST), udp({ sport: BACKEND_PORT, dport: ports[i] ?? 0 })], 'redirect', [
      fromRouter,
      ip(4, HOST, client, 63),
      udp({ sport: NODE_PORT, dport: CLIENT_PORT }),
    ])
})

test('fragments of a datagram to a service go where the first one goes; one that overtakes it is dropped', () => {
  make({
    address: VIP[4],
    port: SERVICE_PORT,
    protocol: 'udp',
    scope: 'outside',
    backends: [A[4]],
  })
  const header = (dst: string, ttl: number, at: number, more: boolean): Layer =>
    ipv4({ src: OUTSIDE[4], dst, ttl, id: 7, offset: at, more, protocol: PROTOCOL.udp })
  const later = [fromRouter, header(VIP[4], 64, 24, false), payload(16)]
  passes(uplink, later, 'drop', later)
  assert.ok(effects(at.node).includes('count DROPPED uplink_in FRAGMENT_EARLY 1'))
  const first = (dst: string, ttl: number, dport: number): Layer[] => [
    header(dst, ttl, 0, true),
    udp({ sport: CLIENT_PORT, dport }),
    payload(16),
  ]
  assert.equal(
    at.node.send('uplink_in', 'uplink', [fromRouter, ...first(VIP[4], 64, SERVICE_PORT)]).verdict,
    'redirect',
  )
  passes(uplink, later, 'redirect', [toPod(A), header(A[4], 63, 24, false), payload(16)])
})

test('a load balancer’s address is for clients of its source ranges', () => {
  const ranges = ['198.51.100.0/24', '192.0.2.7/32']
  make({
    address: VIP[4],
    protocol: 'tcp',
    scope: 'outside',
    backends: [A[4]],
    ranges,
  })
  const verdictOf = (client: string): Verdict => {
    const request = tcp({ sport: CLIENT_PORT, dport: SERVICE_PORT, flags: 'S' })
    return at.node.send('uplink_in', 'uplink', [fromRouter, ipv4({ src: client, dst: VIP[4] }), request]).verdict
  }
  const clients = ['198.51.100.9', '192.0.2.7', '192.0.2.8', '203.0.113.77']
  assert.deepEqual(clients.map(verdictOf), ['redirect', 'redirect', 'drop', 'drop'])
  assert.ok(effects(at.node).includes('count DROPPED uplink_in SOURCE_RANGE 2'))
})

for (const f of FAMILIES)
  test(`IPv${f}: what is too long for the overlay to a backend is answered with the length that fits`, () => {
    make({ address: VIP[f], protocol: 'tcp', scope: 'outside', backends: [OVERLAID_ON_6[f]] })
    const segment = (length: number): Uint8Array => {
      const of = { src: OUTSIDE[f], dst: VIP[f] }
      const header = f === 4 ? ipv4({ ...of, dontFragment: true }) : ipv6(of)
      const request = tcp({ sport: CLIENT_PORT, dport: SERVICE_PORT, flags: 'S' })
      return packet(fromRouter, header, request, payload(length - (f === 4 ? 40 : 60)))
    }
    assert.equal(at.node.send(...uplink, segment(1450)).verdict, 'redirect')
    const sent = segment(1451)
    const { verdict, bytes } = at.node.send(...uplink, sent)
    assert.equal(verdict, 'redirect')
    const [header, error] =
      f === 4
        ? [ipv4({ src: VIP[4], dst: OUTSIDE[4], id: 0 }), icmp({ type: 3, code: 4, sequence: 1450 })]
        : [ip(6, VIP, OUTSIDE), icmpv6({ type: 2, sequence: 1450 })]
    const quoted = payload(sent.slice(14, f === 4 ? 54 : 74))
    const back = packet(eth({ src: UPLINK_MAC, dst: ROUTER.mac }), header, error, quoted)
    assert.equal(packetText(bytes), packetText(back))
    assert.ok(effects(at.node).includes('count DROPPED uplink_in TOO_BIG 1'))
  })
