/** The short way through a node between a client and a backend that are both elsewhere. */
import assert from 'node:assert/strict'
import { beforeEach, suite, test } from 'node:test'
import { eth, extension, fragment6, ipv4, ipv6, type Layer, packet, payload, vlan } from '../support/packet.ts'
import { packetText } from '../support/packet-text.ts'
import { type Tcp, tcp, udp } from '../support/packet-transport.ts'
import { effects, forwardedBy } from './effects.ts'
import { removeBackend, SERVICE_PORT, BACKEND_PORT } from './service-maps.ts'
import { serviceNode, sourcePort } from './service-node.ts'
import { A, type Both, FAMILIES, fromPod, fromRouter, HOST, ip, NATIVE, OUTSIDE, ROUTER, UPLINK_MAC } from './world.ts'

const VIP: Both = { 4: '203.0.113.1', 6: '2001:db8:1::1' }
/** A backend behind the same router as the clients: the way to it is known. */
const FAR: Both = { 4: '198.51.100.200', 6: '2001:db8::200' }
const OTHER: Both = { 4: '198.51.100.201', 6: '2001:db8::201' }
const CLIENT_PORT = 2048
const fromUs = eth({ src: UPLINK_MAC, dst: ROUTER.mac })

const at = serviceNode()

for (const f of FAMILIES)
  suite(`IPv${f}, in front of the stack`, () => {
    let ids: readonly number[] = []
    /** The port that this node speaks to the backend from. */
    let port = 0
    const serve = (backend: string): void => {
      const at443 = { address: VIP[f], scope: 'outside', backends: [backend] } as const
      ids = (['tcp', 'udp'] as const).flatMap(protocol => at.make({ ...at443, protocol }))
    }
    /** Sends a packet by the long way. */
    const by = (layers: readonly Layer[]): Uint8Array => at.node.send('uplink_in', 'uplink', layers).bytes
    const asked = (transport: Layer, hops = 64): Layer[] => [fromRouter, ip(f, OUTSIDE, VIP, hops), transport]
    const answered = (transport: Layer): Layer[] => [fromRouter, ip(f, FAR, HOST), transport]
    const request = (more: Partial<Tcp> = {}): Layer => tcp({ sport: CLIENT_PORT, dport: SERVICE_PORT, ...more })
    const datagram = udp({ sport: CLIENT_PORT, dport: SERVICE_PORT })
    const openTcp = (backend: Both = FAR): void => {
      port = sourcePort(by(asked(request({ flags: 'S' }))), f)
      by([fromRouter, ip(f, backend, HOST), tcp({ sport: BACKEND_PORT, dport: port, flags: 'SA' })])
      by(asked(request()))
    }
    const openUdp = (): void => {
      port = sourcePort(by(asked(datagram)), f)
      by(answered(udp({ sport: BACKEND_PORT, dport: port })))
    }
    const turns = (sent: readonly Layer[], comes: readonly Layer[]): void => {
      const { verdict, bytes } = at.node.sendXdp(sent)
      assert.equal(packetText(bytes), packetText(packet(...comes)))
      assert.equal(verdict, 'turn')
    }
    /** Nothing has become of a frame. */
    const passes = (sent: readonly Layer[]): void => {
      at.node.takeEvents()
      const before = effects(at.node)
      const frame = packet(...sent)
      const { verdict, bytes } = at.node.sendXdp(frame)
      assert.deepEqual(bytes, frame)
      assert.deepEqual([verdict, effects(at.node)], ['pass', before])
    }

    suite('of a connection', () => {
      beforeEach(() => {
        serve(FAR[f])
        openTcp()
      })

      test('packets to the backend and back turn around, as the long way would have sent them', () => {
        for (const flags of ['A', 'AP']) {
          const [data, back] = [payload('what is asked'), payload('what is answered')]
          const there = tcp({ sport: port, dport: BACKEND_PORT, flags })
          const answer = tcp({ sport: BACKEND_PORT, dport: port, flags })
          turns([...asked(request({ flags })), data], [fromUs, ip(f, HOST, FAR, 63), there, data])
          const reply = tcp({ sport: SERVICE_PORT, dport: CLIENT_PORT, flags })
          turns([...answered(answer), back], [fromUs, ip(f, VIP, OUTSIDE, 63), reply, back])
        }
        assert.equal(forwardedBy(at.node, 'HOOK_UPLINK_XDP'), 4)
        // What ends the connection finds all that was counted of it.
        at.node.sendXdp(asked(request({ flags: 'FA' })))
        at.node.sendXdp(answered(tcp({ sport: BACKEND_PORT, dport: port, flags: 'FA' })))
        const [[, flow] = []] = [...at.node.conntrack.entries()]
        assert.equal(Number(flow?.packetsA) + Number(flow?.packetsB), 7)
      })

      test('the next one from the same port goes its own way at once, whatever was remembered of this one', () => {
        const back = (other: Both, flags: string): Layer[] => {
          return [fromRouter, ip(f, other, HOST), tcp({ sport: BACKEND_PORT, dport: port, flags })]
        }
        const there = (): Layer => tcp({ sport: port, dport: BACKEND_PORT })
        for (let i = 0; i < 2; i++) turns(asked(request()), [fromUs, ip(f, HOST, FAR, 63), there()])
        for (const way of [by, (sent: readonly Layer[]) => at.node.sendXdp(sent)]) way(asked(request({ flags: 'R' })))
        serve(OTHER[f])
        assert.equal(at.node.sendXdp(asked(request({ flags: 'S' }))).verdict, 'pass')
        port = sourcePort(by(asked(request({ flags: 'S' }))), f)
        by(back(OTHER, 'SA'))
        by(asked(request()))
        for (let i = 0; i < 2; i++) turns(asked(request()), [fromUs, ip(f, HOST, OTHER, 63), there()])
      })

      test('what opens or ends it goes the long way', () => {
        for (const flags of ['S', 'SA', 'FA', 'R', 'RA']) passes(asked(request({ flags })))
        by(asked(request({ flags: 'FA' })))
        passes(asked(request()))
      })

      test('what is on its last hop goes the long way', () => {
        passes(asked(request(), 1))
      })

      test('frames that are not plain go the long way', () => {
        const between = { src: OUTSIDE[f], dst: VIP[f] }
        passes([fromRouter, vlan(5), ip(f, OUTSIDE, VIP), request()])
        if (f === 4) {
          passes([fromRouter, ipv4({ ...between, options: Uint8Array.of(1, 1, 1, 1) }), request()])
          passes([fromRouter, ipv4({ ...between, more: true, id: 7 }), request()])
          passes([fromRouter, ipv4({ ...between, offset: 8, id: 7 }), request()])
          passes([fromRouter, ipv4({ ...between, totalLength: 1000 }), request()])
        } else {
          passes([fromRouter, ipv6(between), extension(60), request()])
          passes([fromRouter, ipv6(between), fragment6({ id: 7, more: true }), request()])
          passes([fromRouter, ipv6({ ...between, payloadLength: 1000 }), request()])
        }
      })

      test('what is longer than the way takes goes the long way, also once its next hop is known', () => {
        const there = tcp({ sport: port, dport: BACKEND_PORT })
        turns([...asked(request()), payload(1400)], [fromUs, ip(f, HOST, FAR, 63), there, payload(1400)])
        passes([...asked(request()), payload(1500)])
        passes([fromPod(A), ip(f, OUTSIDE, VIP), request()])
      })

      test('frames for another host, from another flow or too short pass', () => {
        passes([fromPod(A), ip(f, OUTSIDE, VIP), request()])
        passes(asked(tcp({ sport: CLIENT_PORT + 1, dport: SERVICE_PORT })))
        const whole = packet(...asked(request()))
        for (const length of [14, 20, 33, 40, 53])
          if (length < whole.length) assert.equal(at.node.sendXdp(whole.subarray(0, length)).verdict, 'pass')
      })
    })

    test('datagrams turn around, and go the long way once their backend is gone', () => {
      serve(FAR[f])
      openUdp()
      const there = udp({ sport: port, dport: BACKEND_PORT })
      turns([...asked(datagram), payload(12)], [fromUs, ip(f, HOST, FAR, 63), there, payload(12)])
      const back = udp({ sport: SERVICE_PORT, dport: CLIENT_PORT })
      const answer = udp({ sport: BACKEND_PORT, dport: port })
      turns([...answered(answer), payload(12)], [fromUs, ip(f, VIP, OUTSIDE, 63), back, payload(12)])
      for (const id of ids) removeBackend(at.node.object('pod'), id)
      passes([...asked(datagram), payload(12)])
    })

    test('a flow goes the long way to a backend on this node, or whose next hop is not known', () => {
      for (const backend of [A, NATIVE]) {
        serve(backend[f])
        openTcp(backend)
        passes(asked(request()))
      }
    })
  })

test('a datagram without a checksum has none behind the node either', () => {
  at.make({ address: VIP[4], protocol: 'udp', scope: 'outside', backends: [FAR[4]] })
  const frame = packet(fromRouter, ip(4, OUTSIDE, VIP), udp({ sport: CLIENT_PORT, dport: SERVICE_PORT }), payload(12))
  frame.fill(0, 40, 42)
  const port = sourcePort(at.node.send('uplink_in', 'uplink', frame).bytes, 4)
  at.node.send('uplink_in', 'uplink', [fromRouter, ip(4, FAR, HOST), udp({ sport: BACKEND_PORT, dport: port })])
  const { verdict, bytes } = at.node.sendXdp(frame)
  assert.deepEqual([verdict, [...bytes.subarray(40, 42)]], ['turn', [0, 0]])
})
