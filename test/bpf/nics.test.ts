/** The network interface that a packet leaves by, where pods have addresses of several. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, suite, test } from 'node:test'
import { codec } from '../../daemon/kernel/bpf/layout.ts'
import { hostPrefix, toMapped16, toMappedPrefix } from '../../daemon/kernel/ip.ts'
import {
  IpcacheFlags,
  ipcacheKeyLayout,
  ipcacheValueLayout,
  MasqueradeFlags,
  NicFlags,
} from '../../daemon/datapath/shared.gen.ts'
import { type Layer, packet, payload } from '../support/packet.ts'
import { packetText } from '../support/packet-text.ts'
import { icmp, icmpv6, quote, tcp, udp } from '../support/packet-transport.ts'
import { counts } from './effects.ts'
import { IN, NicNode, OUT } from './nic-node.ts'
import { compilePrograms } from './node.ts'
import { giveAddresses, KNOWING } from './outside.ts'
import { sourcePort } from './service-node.ts'
import { BACKEND_PORT, clearServices, makeService, SERVICE_PORT } from './service-maps.ts'
import {
  A,
  B,
  BLACKHOLE,
  type Both,
  FAMILIES,
  type Family,
  fromPod,
  HOST,
  ip,
  NATIVE,
  NIC,
  OUTSIDE,
  type PodFacts,
  toPod,
  TUNNEL_END,
  UNREACHABLE,
} from './world.ts'

const NICS = NicFlags.NIC_PODS | NicFlags.NIC_EGRESS
const MASQUERADE = MasqueradeFlags.MASQUERADE_IPV4 | MasqueradeFlags.MASQUERADE_IPV6
/** Of a load balancer that sends its packets here as they are. */
const VIP: Both = { 4: '203.0.113.1', 6: '2001:db8:1::1' }
/** A backend on another machine. */
const ELSEWHERE: Both = { 4: '198.51.100.77', 6: '2001:db8::77' }
/** Another machine of the cloud's network, which is reached by the overlay from addresses that this does not know. */
const CLOUD_NODE: Both = { 4: '192.168.7.4', 6: 'fd00:7::4' }

let at: NicNode
const stack = new DisposableStack()
before(async () => {
  await compilePrograms()
  at = stack.use(new NicNode({ constants: { nic_flags: NICS } }))
})
after(() => stack.dispose())
beforeEach(() => {
  clearServices(at.node.object('pod'))
  at.begin()
})

const query = udp({ sport: 1024, dport: 53 })
const between = (f: Family, src: Both, dst: Both, hops = 64): Layer[] => [ip(f, src, dst, hops), query, at.mark]

for (const f of FAMILIES)
  suite(`IPv${f}`, () => {
    for (const [what, dst] of [
      ['the outside', OUTSIDE],
      ['another machine, to which a route leads by the first', NATIVE],
      ['a neighbour on the first one’s link', TUNNEL_END],
    ] as const)
      test(`what pods send to ${what} leaves by the one that has their address`, async () => {
        at.pods.a.send(packet(fromPod(A), ...between(f, A, dst)))
        await at.leaves('second', ...between(f, A, dst, 63))
      })

    test('what a pod of the first sends leaves by it', async () => {
      at.pods.b.send(packet(fromPod(B), ...between(f, B, OUTSIDE)))
      await at.leaves('first', ...between(f, B, OUTSIDE, 63))
    })

    for (const [what, program, device, frame, from, to] of [
      ['comes in by the first', 'uplink_in', 'uplink', IN.first, OUTSIDE, A],
      ['comes in by the second', 'uplink_in', 'nic', IN.second, OUTSIDE, A],
      ['a pod of the other sends', 'pod_out', 'a', fromPod(A), A, B],
    ] as const)
      test(`what ${what} for a pod of the node goes to it`, () => {
        const result = at.node.send(program, device, [frame, ...between(f, from, to)])
        assert.equal(result.verdict, 'redirect')
        assert.equal(packetText(result.bytes), packetText(packet(toPod(to), ...between(f, from, to, 63))))
      })

    test('a route that refuses is heeded', () => {
      for (const [dst, verdict] of [
        [BLACKHOLE, 'drop'],
        [UNREACHABLE, 'stack'],
      ] as const)
        assert.equal(at.node.send('pod_out', 'a', [fromPod(A), ...between(f, A, dst)]).verdict, verdict)
      assert.deepEqual(counts(at.node), ['count DROPPED pod_out NO_ROUTE 2'])
    })

    test('what is longer than the interface takes is the stack’s to refuse', () => {
      at.giveNics(at.node.devices.nic, 1400)
      const sized = (length: number): Layer[] => [
        fromPod(A),
        ip(f, A, OUTSIDE),
        query,
        payload(length - (f === 4 ? 28 : 48)),
      ]
      assert.equal(at.node.send('pod_out', 'a', sized(1401)).verdict, 'stack')
      assert.equal(at.node.send('pod_out', 'a', sized(1400)).verdict, 'redirect')
    })

    test('what has an address of one that the machine does not have is dropped', () => {
      at.giveNics(0)
      assert.equal(at.node.send('pod_out', 'a', [fromPod(A), ...between(f, A, OUTSIDE)]).verdict, 'drop')
      assert.deepEqual(counts(at.node), ['count DROPPED pod_out NO_INTERFACE 1'])
    })

    test('the host’s own packets with the address of the one leave by it though routed by the other', async () => {
      at.host.first.send(packet(IN.first, ...between(f, NIC, OUTSIDE)))
      await at.leaves('second', ...between(f, NIC, OUTSIDE))
    })

    const opens = (port: number): Layer => tcp({ sport: 2048, dport: port, flags: 'S' })
    const answers = (port: number): Layer => tcp({ sport: port, dport: 2048, flags: 'SA' })
    const serve = (address: Both, backend: Both): void => {
      makeService(at.node.object('pod'), {
        address: address[f],
        port: SERVICE_PORT,
        protocol: 'tcp',
        scope: 'outside',
        backends: [backend[f]],
      })
    }
    for (const [what, address, by] of [
      ['the first one’s address', HOST, 'first'],
      ['the second one’s address', NIC, 'second'],
      ['a load balancer’s address, by the first', VIP, 'first'],
      ['a load balancer’s address, by the second', VIP, 'second'],
    ] as const) {
      const device = by === 'first' ? 'uplink' : 'nic'

      test(`what a pod answers to who came to ${what} goes back by it`, async () => {
        serve(address, A)
        const came = [IN[by], ip(f, OUTSIDE, address), opens(SERVICE_PORT)]
        assert.equal(at.node.send('uplink_in', device, came).verdict, 'redirect')
        at.pods.a.send(packet(fromPod(A), ip(f, A, OUTSIDE), answers(BACKEND_PORT), at.mark))
        await at.leaves(by, ip(f, address, OUTSIDE, 63), answers(SERVICE_PORT), at.mark)
      })

      test(`a backend of another node is asked by the first; its answer to who came to ${what} goes back by it`, async () => {
        serve(address, ELSEWHERE)
        at.behind[by].send(packet(IN[by], ip(f, OUTSIDE, address), opens(SERVICE_PORT), at.mark))
        await at.leaves('first', ip(f, HOST, ELSEWHERE, 63), opens(BACKEND_PORT), at.mark)
        at.behind.first.send(packet(IN.first, ip(f, ELSEWHERE, HOST), answers(BACKEND_PORT), at.mark))
        await at.leaves(by, ip(f, address, OUTSIDE, 63), answers(SERVICE_PORT), at.mark)
      })
    }

    for (const by of ['first', 'second'] as const) {
      test(`what the host answers to who came to a load balancer’s address by the ${by} goes back by it`, async () => {
        serve(VIP, HOST)
        const came = [IN[by], ip(f, OUTSIDE, VIP), opens(SERVICE_PORT)]
        assert.equal(at.node.send('uplink_in', by === 'first' ? 'uplink' : 'nic', came).verdict, 'stack')
        at.host.first.send(packet(OUT.first, ip(f, HOST, OUTSIDE), answers(BACKEND_PORT), at.mark))
        await at.leaves(by, ip(f, VIP, OUTSIDE), answers(SERVICE_PORT), at.mark)
      })

      test(`an error about what came to a load balancer’s address by the ${by} goes back by it`, async () => {
        serve(VIP, A)
        const asks = udp({ sport: 2048, dport: SERVICE_PORT })
        makeService(at.node.object('pod'), {
          address: VIP[f],
          port: SERVICE_PORT,
          protocol: 'udp',
          scope: 'outside',
          backends: [A[f]],
        })
        at.node.send('uplink_in', by === 'first' ? 'uplink' : 'nic', [IN[by], ip(f, OUTSIDE, VIP), asks, at.mark])
        const unreachable = f === 4 ? icmp({ type: 3, code: 3 }) : icmpv6({ type: 1, code: 4 })
        const about = (dst: Both, dport: number): Layer =>
          quote(ip(f, OUTSIDE, dst, 63), udp({ sport: 2048, dport }), at.mark)
        at.pods.a.send(packet(fromPod(A), ip(f, A, OUTSIDE), unreachable, about(A, BACKEND_PORT)))
        await at.leaves(by, ip(f, VIP, OUTSIDE, 63), unreachable, about(VIP, SERVICE_PORT))
      })

      test(`answers of another node to who came by the ${by} turn around in front of the stack only if that is theirs`, () => {
        serve(VIP, ELSEWHERE)
        const device = by === 'first' ? 'uplink' : 'nic'
        const asks = (flags: string): Layer => tcp({ sport: 2048, dport: SERVICE_PORT, flags })
        const asked = at.node.send('uplink_in', device, [IN[by], ip(f, OUTSIDE, VIP), asks('S')])
        const port = sourcePort(asked.bytes, f)
        const answer = (flags: string): Layer[] => [
          IN.first,
          ip(f, ELSEWHERE, HOST),
          tcp({ sport: BACKEND_PORT, dport: port, flags }),
        ]
        assert.equal(at.node.send('uplink_in', 'uplink', answer('SA')).verdict, 'redirect')
        assert.equal(at.node.send('uplink_in', device, [IN[by], ip(f, OUTSIDE, VIP), asks('A')]).verdict, 'redirect')
        assert.equal(at.node.sendXdp(answer('A')).verdict, by === 'first' ? 'turn' : 'pass')
      })
    }

    test('the overlay is for those whose addresses the other network does not know', () => {
      using ipcache = at.node.object('pod').map('ipcache', codec(ipcacheKeyLayout, ipcacheValueLayout))
      const { bytes, length } = toMappedPrefix(hostPrefix(CLOUD_NODE[f]))
      const key = { prefixLength: length, address: bytes }
      const { IPCACHE_OVERLAY, IPCACHE_NODE, IPCACHE_CLOUD } = IpcacheFlags
      const way = { tunnel: toMapped16(TUNNEL_END[4]), flags: IPCACHE_OVERLAY | IPCACHE_NODE | IPCACHE_CLOUD, node: 2 }
      ipcache.update(key, way)
      at.forgetB()
      // One byte too long for the overlay.
      const sized = (src: PodFacts): Layer[] => [
        fromPod(src),
        ip(f, src, CLOUD_NODE),
        query,
        payload(1451 - (f === 4 ? 28 : 48)),
      ]
      assert.equal(at.node.send('pod_out', 'a', sized(A)).verdict, 'redirect')
      assert.equal(at.node.send('pod_out', 'b', sized(B)).verdict, 'stack')
      ipcache.delete(key)
    })
  })

suite('with addresses of the node for what leaves the cluster', () => {
  let m: NicNode
  before(() => {
    m = stack.use(new NicNode({ constants: { nic_flags: NICS, masquerade_flags: MASQUERADE } }))
    giveAddresses(m.node, HOST)
  })
  beforeEach(() => {
    clearServices(m.node.object('pod'))
    m.begin()
  })
  const by = (f: Family, src: Both, dst: Both, hops = 64): Layer[] => [ip(f, src, dst, hops), query, m.mark]

  for (const f of FAMILIES) {
    test(`IPv${f}, a pod of the second leaves by the first, whose address it bears; and the answer comes back`, async () => {
      m.pods.a.send(packet(fromPod(A), ...by(f, A, OUTSIDE)))
      await m.leaves('first', ...by(f, HOST, OUTSIDE, 63))
      const answer = [ip(f, OUTSIDE, HOST), udp({ sport: 53, dport: 1024 }), payload(9)]
      const result = m.node.send('uplink_in', 'uplink', [IN.first, ...answer])
      const comes = [toPod(A), ip(f, OUTSIDE, A, 63), udp({ sport: 53, dport: 1024 }), payload(9)]
      assert.equal(packetText(result.bytes), packetText(packet(...comes)))
    })

    test(`IPv${f}, where pods’ addresses are known it keeps its own, and leaves by the one that has it`, async () => {
      m.pods.a.send(packet(fromPod(A), ...by(f, A, KNOWING)))
      await m.leaves('second', ...by(f, A, KNOWING, 63))
    })

    test(`IPv${f}, a pod whose address no interface has is known nowhere`, async () => {
      m.forgetB()
      m.pods.b.send(packet(fromPod(B), ...by(f, B, KNOWING)))
      await m.leaves('first', ...by(f, HOST, KNOWING, 63))
    })
  }
})
