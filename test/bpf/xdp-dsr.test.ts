/** The short way through a node for what pods of other nodes answer themselves: as the long way would have sent it. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { eth, type Layer, packet, payload } from '../support/packet.ts'
import { packetText } from '../support/packet-text.ts'
import { tcp, udp } from '../support/packet-transport.ts'
import { around, DISPATCHES, type Dispatch } from './dsr-ways.ts'
import { forwardedBy } from './effects.ts'
import { BACKEND_PORT, removeBackend, SERVICE_PORT } from './service-maps.ts'
import { serviceNode, sourcePort } from './service-node.ts'
import { type Both, FAMILIES, fromRouter, HOST, ip, OUTSIDE, ROUTER, UPLINK_MAC } from './world.ts'

const VIP: Both = { 4: '203.0.113.1', 6: '2001:db8:1::1' }
/** A pod behind the same router as the clients: the way to it is known. */
const FAR: Both = { 4: '198.51.100.200', 6: '2001:db8::200' }
const CLIENT_PORT = 2048
const fromUs = eth({ src: UPLINK_MAC, dst: ROUTER.mac })

for (const kind of Object.keys(DISPATCHES) as Dispatch[])
  suite(`by ${kind}`, () => {
    const at = serviceNode({ constants: { dsr_dispatch: DISPATCHES[kind] } })

    for (const f of FAMILIES) {
      const request = (dport: number, flags = 'A'): Layer => tcp({ sport: CLIENT_PORT, dport, flags })
      const datagram = (dport: number): Layer => udp({ sport: CLIENT_PORT, dport })
      const asked = (transport: Layer, data = 'what is asked for'): Layer[] => [
        fromRouter,
        ip(f, OUTSIDE, VIP),
        transport,
        payload(data),
      ]
      const open = (protocol: 'tcp' | 'udp'): readonly number[] => {
        const ids = at.make({ address: VIP[f], protocol, scope: 'outside', backends: [FAR[f]], dsr: [] })
        const first =
          protocol === 'tcp' ? [request(SERVICE_PORT, 'S'), request(SERVICE_PORT)] : [datagram(SERVICE_PORT)]
        for (const transport of [...first, ...first.slice(-1)]) at.node.send('uplink_in', 'uplink', asked(transport))
        return ids
      }
      /** The frame as it turns around, its content as it came or as the pod is to get it. */
      const turns = (came: Layer, translated: Layer): void => {
        const { verdict, bytes } = at.node.sendXdp(asked(came))
        const data = payload('what is asked for')
        const whole =
          kind === 'option'
            ? packet(fromUs, ip(f, OUTSIDE, FAR, 63), translated, data)
            : packet(
                fromUs,
                ...around(kind, f, { from: HOST, to: FAR, sport: sourcePort(bytes, f) }),
                ip(f, OUTSIDE, VIP, 63),
                came,
                data,
              )
        assert.equal(packetText(bytes), packetText(whole))
        assert.equal(verdict, 'turn')
      }

      test(`IPv${f}: packets of a connection turn around, and are counted by its end`, () => {
        open('tcp')
        for (const flags of ['A', 'AP']) turns(request(SERVICE_PORT, flags), request(BACKEND_PORT, flags))
        assert.equal(forwardedBy(at.node, 'HOOK_UPLINK_XDP'), 2)
        // What ends the connection finds all that was counted of it.
        passes(asked(request(SERVICE_PORT, 'FA')))
        const [[, flow] = []] = [...at.node.conntrack.entries()]
        assert.equal(Number(flow?.packetsA) + Number(flow?.packetsB), 5)
      })

      test(`IPv${f}: packets are what the long way would have made of them`, () => {
        open('tcp')
        const long = at.node.send('uplink_in', 'uplink', asked(request(SERVICE_PORT)))
        const short = at.node.sendXdp(asked(request(SERVICE_PORT)))
        assert.deepEqual(short.bytes.slice(14), long.bytes.slice(14))
      })

      test(`IPv${f}: what opens or ends a connection goes the long way`, () => {
        open('tcp')
        for (const flags of ['S', 'FA', 'R']) passes(asked(request(SERVICE_PORT, flags)))
      })

      test(`IPv${f}: datagrams turn around unless each has to say what it asks for, and while their backend is there`, () => {
        const [id = 0] = open('udp')
        if (kind !== 'option') turns(datagram(SERVICE_PORT), datagram(BACKEND_PORT))
        removeBackend(at.node.object('pod'), id)
        passes(asked(datagram(SERVICE_PORT)))
      })

      test(`IPv${f}: what the wrapping leaves no room for goes the long way`, () => {
        open('tcp')
        const room =
          1500 - (f === 4 ? 40 : 60) - { option: 0, ipip: f === 4 ? 20 : 40, geneve: f === 4 ? 36 : 56 }[kind]
        const { verdict } = at.node.sendXdp(asked(request(SERVICE_PORT), 'x'.repeat(room)))
        assert.equal(verdict, 'turn')
        passes(asked(request(SERVICE_PORT), 'x'.repeat(room + 1)))
      })

      const passes = (sent: readonly Layer[]): void => {
        const frame = packet(...sent)
        const { verdict, bytes } = at.node.sendXdp(frame)
        assert.deepEqual([verdict, bytes], ['pass', frame])
      }
    }
  })
