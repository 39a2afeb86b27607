import assert from 'node:assert/strict'
import { test } from 'node:test'
import { arp, eth, extension, fragment6, ipv4, ipv6, type Layer, packet, payload, PROTOCOL, vlan } from './packet.ts'
import { packetText } from './packet-text.ts'
import { crc32c, icmp, icmpv6, ndp, quote, sctp, tcp, udp } from './packet-transport.ts'

const ether = eth({ src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02' })
const ether_ = 'eth 02:00:00:00:00:01 > 02:00:00:00:00:02'
const v4 = { src: '10.0.0.1', dst: '10.0.0.2' }
const v6 = { src: 'fd00::1', dst: 'fd00::2' }
const v6_ = 'ipv6 fd00::1 > fd00::2 hop limit 64'

const cases: readonly { readonly what: string; readonly layers: readonly Layer[]; readonly text: readonly string[] }[] =
  [
    {
      what: 'TCP over IPv4',
      layers: [ether, ipv4({ ...v4, dontFragment: true }), tcp({ sport: 1, dport: 80, flags: 'SA' }), payload('hi!')],
      text: [ether_, 'ipv4 10.0.0.1 > 10.0.0.2 ttl 64 id 1 DF', 'tcp 1 > 80 SA seq 1 ack 1', 'payload 3 bytes, 686921'],
    },
    {
      what: 'TCP behind extension headers',
      layers: [
        ether,
        ipv6(v6),
        extension(PROTOCOL.hopByHop),
        extension(PROTOCOL.authentication, 24),
        extension(PROTOCOL.destination, 16),
        tcp({ sport: 1, dport: 80, headerLength: 32 }),
      ],
      text: [
        ether_,
        v6_,
        'hop-by-hop 8 bytes',
        'authentication 24 bytes',
        'destination 16 bytes',
        'tcp 1 > 80 A seq 1 ack 1',
      ],
    },
    {
      what: 'a first fragment of IPv6',
      layers: [ether, ipv6(v6), fragment6({ id: 9, more: true }), udp({ sport: 1, dport: 2 }), payload(8)],
      text: [ether_, v6_, 'fragment 0+ id 9', 'udp 1 > 2', 'payload 8 bytes, 0001020304050607'],
    },
    {
      what: 'a later fragment of IPv4',
      layers: [ether, ipv4({ ...v4, offset: 1480, protocol: PROTOCOL.udp }), payload(4)],
      text: [ether_, 'ipv4 10.0.0.1 > 10.0.0.2 ttl 64 id 1 fragment 1480', 'payload 4 bytes, 00010203'],
    },
    {
      what: 'an ICMP error',
      layers: [ether, ipv4(v4), icmp({ type: 3, code: 3 }), quote(ipv4(v4), udp({ sport: 1, dport: 2 }))],
      text: [
        ether_,
        'ipv4 10.0.0.1 > 10.0.0.2 ttl 64 id 1',
        'icmp type 3 code 3 id 0 sequence 0',
        'payload 28 bytes, 4500001c00010000401166ce0a0000010a00000200010002…',
      ],
    },
    {
      what: 'a tagged echo request',
      layers: [ether, vlan(7), ipv6(v6), icmpv6({ type: 128, id: 5, sequence: 6 })],
      text: [ether_, 'vlan 7', v6_, 'icmpv6 type 128 code 0 id 5 sequence 6'],
    },
    {
      what: 'a neighbour advertisement',
      layers: [
        ether,
        ipv6({ ...v6, hopLimit: 255 }),
        ndp({ type: 'advertisement', target: 'fe80::1', flags: 7, mac: '02:00:00:00:00:09' }),
      ],
      text: [
        ether_,
        'ipv6 fd00::1 > fd00::2 hop limit 255',
        'advertisement fe80::1 flags 7 option 2 02:00:00:00:00:09',
      ],
    },
    {
      what: 'an ARP request',
      layers: [ether, arp({ senderMac: '02:00:00:00:00:01', sender: '10.0.0.1', target: '169.254.1.1' })],
      text: [ether_, 'arp request 10.0.0.1 at 02:00:00:00:00:01 > 169.254.1.1 at 00:00:00:00:00:00'],
    },
    {
      what: 'SCTP, with a length that is wrong',
      layers: [ether, ipv4({ ...v4, totalLength: 500 }), sctp({ sport: 3, dport: 4 })],
      text: [ether_, 'ipv4 10.0.0.1 > 10.0.0.2 ttl 64 id 1 length 500 of 32', 'sctp 3 > 4'],
    },
  ]

for (const { what, layers, text } of cases)
  test(`${what} is built with the right lengths and checksums and reads back`, () => {
    assert.deepEqual(packetText(packet(...layers)).split('\n'), text)
  })

test('a changed byte shows as a bad checksum', () => {
  const bytes = packet(ether, ipv4(v4), udp({ sport: 1, dport: 2 }), payload(3))
  bytes[bytes.length - 1] = 9
  assert.match(packetText(bytes), /udp 1 > 2 BAD CHECKSUM/)
})

test('the checksum of SCTP is that of its specification', () => {
  assert.equal(crc32c(new TextEncoder().encode('123456789')), 0xe306_9283)
})
