import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eth, ipv4, ipv6, mac, packet, payload } from '../../test/support/packet.ts'
import { packetText } from '../../test/support/packet-text.ts'
import { icmp, icmpv6, sctp, tcp, udp } from '../../test/support/packet-transport.ts'
import { buildFrame, readFrame, type TraceProtocol } from './frame.ts'

const MACS = { source: mac('02:00:00:00:00:01'), destination: mac('02:00:00:00:00:02') }
const ENDS = { 4: ['10.1.0.2', '192.0.2.1'], 6: ['fd00::2', '2001:db8::1'] } as const

for (const family of [4, 6] as const)
  for (const protocol of ['tcp', 'udp', 'sctp', 'icmp'] as const satisfies readonly TraceProtocol[])
    test(`an IPv${family} frame of ${protocol} is that of the tests' builder, and is read as what was asked for`, () => {
      const [source, destination] = ENDS[family]
      const wanted = { source, destination, protocol, sourcePort: 4000, destinationPort: 80, flags: 'SA', hops: 64 }
      const frame = buildFrame({ ...wanted, size: 81 }, MACS)
      const headers = { tcp: 20, udp: 8, sctp: 12, icmp: 8 }[protocol]
      const content = payload(new Uint8Array(81 - (family === 4 ? 20 : 40) - headers))
      const ports = { sport: 4000, dport: 80 }
      const echo = { type: family === 4 ? 8 : 128, id: 4000, sequence: 1 }
      const transport = {
        tcp: tcp({ ...ports, flags: 'SA' }),
        udp: udp(ports),
        sctp: sctp(ports),
        icmp: family === 4 ? icmp(echo) : icmpv6(echo),
      }[protocol]
      const ip =
        family === 4
          ? ipv4({ src: source, dst: destination, dontFragment: true, id: 0 })
          : ipv6({ src: source, dst: destination })
      const same = packet(eth({ src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02' }), ip, transport, content)
      assert.equal(packetText(frame), packetText(same))
      assert.deepEqual(readFrame(frame), {
        macs: MACS,
        packet: {
          source,
          destination,
          protocol,
          ...(protocol === 'icmp'
            ? { icmp: { type: echo.type, code: 0, id: 4000 } }
            : { sourcePort: 4000, destinationPort: 80 }),
          ...(protocol === 'tcp' ? { flags: 'SA' } : {}),
          hops: 64,
          size: 81,
        },
      })
    })

test('what is no IP, or is cut short, is not read', () => {
  const frame = new Uint8Array(60)
  assert.equal(readFrame(frame), undefined)
  assert.equal(readFrame(frame.subarray(0, 20)), undefined)
})
