/** ICMP errors about flows that services translate: both ways, with the packet they quote as its sender knows it. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type Layer, payload } from '../support/packet.ts'
import { icmp, icmpv6, quote, tcp, udp } from '../support/packet-transport.ts'
import { effects } from './effects.ts'
import { BACKEND_PORT, SERVICE_PORT } from './service-maps.ts'
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
  OUTSIDE,
  ROUTER,
  toPod,
} from './world.ts'

const VIP: Both = { 4: '10.96.0.1', 6: 'fd00:96::1' }
const OUTER_VIP: Both = { 4: '203.0.113.1', 6: '2001:db8:1::1' }
const CLIENT_PORT = 1024

const at = serviceNode()
const { passes, make } = at

type Kind = 'tcp' | 'udp'
const segment = (kind: Kind, sport: number, dport: number): Layer[] =>
  kind === 'tcp' ? [tcp({ sport, dport, flags: 'S' })] : [udp({ sport, dport }), payload(12)]
/** Port unreachable for UDP, else time exceeded. */
const error = (f: Family, kind: Kind): Layer => {
  if (f === 4) return icmp(kind === 'udp' ? { type: 3, code: 3 } : { type: 11 })
  return icmpv6(kind === 'udp' ? { type: 1, code: 4 } : { type: 3 })
}

for (const f of FAMILIES)
  for (const kind of ['tcp', 'udp'] as const)
    suite(`IPv${f}, ${kind}: an error`, () => {
      const request = (src: Both, vip: Both, port = SERVICE_PORT): Layer[] => [
        ip(f, src, vip),
        ...segment(kind, CLIENT_PORT, port),
      ]
      /** What the error says, about a packet between these two. */
      const about = (src: Both, sport: number, dst: Both, dport: number): Layer[] => [
        error(f, kind),
        quote(ip(f, src, dst), ...segment(kind, sport, dport)),
      ]
      /** Opens the client's flow; the port it goes on from. */
      const open = (backend: Both): number => {
        make({ address: VIP[f], protocol: kind, backends: [backend[f]] })
        const { verdict, bytes } = at.node.send('pod_out', 'a', [fromPod(A), ...request(A, VIP)])
        assert.equal(verdict, 'redirect')
        return sourcePort(bytes, f)
      }

      test('of the backend comes from the service, about what was sent to that', () => {
        const port = open(B)
        passes(['pod_out', 'b'], [fromPod(B), ip(f, B, A), ...about(A, port, B, BACKEND_PORT)], 'redirect', [
          toPod(A),
          ip(f, VIP, A, 63),
          ...about(A, CLIENT_PORT, VIP, SERVICE_PORT),
        ])
      })

      test('of a router on the way to the backend stays the router’s, about what was sent to the service', () => {
        const port = open(NATIVE)
        passes(
          ['uplink_in', 'uplink'],
          [fromRouter, ip(f, ROUTER, A), ...about(A, port, NATIVE, BACKEND_PORT)],
          'redirect',
          [toPod(A), ip(f, ROUTER, A, 63), ...about(A, CLIENT_PORT, VIP, SERVICE_PORT)],
        )
      })

      test('of the client goes to the backend, about what that has sent', () => {
        const port = open(B)
        passes(['pod_out', 'a'], [fromPod(A), ip(f, A, VIP), ...about(VIP, SERVICE_PORT, A, CLIENT_PORT)], 'redirect', [
          toPod(B),
          ip(f, A, B, 63),
          ...about(B, BACKEND_PORT, A, port),
        ])
      })

      test('to a service’s address about no flow of it is dropped, never sent on', () => {
        make({ address: VIP[f], protocol: kind, backends: [B[f]] })
        const sent = [fromPod(A), ip(f, A, VIP), ...about(VIP, SERVICE_PORT, A, CLIENT_PORT)]
        passes(['pod_out', 'a'], sent, 'drop', sent)
        assert.ok(effects(at.node).includes('count DROPPED pod_out CT_INVALID 1'))
      })

      test('of a router, about what this node has sent on for a client, goes to the client', () => {
        make({
          address: OUTER_VIP[f],
          protocol: kind,
          scope: 'outside',
          backends: [NATIVE[f]],
        })
        const uplink = ['uplink_in', 'uplink'] as const
        assert.equal(at.node.send(...uplink, [fromRouter, ...request(OUTSIDE, OUTER_VIP)]).verdict, 'redirect')
        passes(
          uplink,
          [fromRouter, ip(f, ROUTER, HOST), ...about(HOST, CLIENT_PORT, NATIVE, BACKEND_PORT)],
          'redirect',
          [fromRouter, ip(f, ROUTER, OUTSIDE, 63), ...about(OUTSIDE, CLIENT_PORT, OUTER_VIP, SERVICE_PORT)],
        )
      })

      test('about the host’s own flows is the host’s', () => {
        const sent = [fromRouter, ip(f, ROUTER, HOST), ...about(HOST, 5000, NATIVE, 9)]
        passes(['uplink_in', 'uplink'], sent, 'pass', sent)
      })
    })
