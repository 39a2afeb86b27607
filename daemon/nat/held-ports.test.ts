import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toMapped16 } from '../kernel/ip.ts'
import { HeldPorts } from './held-ports.ts'
import { bound } from './testdata/flows.ts'
import { textOfAddress, wayText } from './way.ts'

const OWN = ['192.0.2.7', '192.0.2.8', 'fd00::7']
const own = new Set(OWN.map(textOfAddress))
const NUMBERS = { TCP: 6, UDP: 17, ICMP: 1 } as const

/** Ports that these sockets hold, as numbers by protocol, for flows from an address to a destination's port 443. */
function held(sockets: readonly string[], egress = '192.0.2.7', to = '198.51.100.9'): string {
  const ports = new HeldPorts(address => own.has(address))
  for (const text of sockets) ports.add(bound(text))
  return Object.values(NUMBERS)
    .map(number => ports.count(wayText(toMapped16(egress), toMapped16(to), 443, number)))
    .join(' ')
}

const cases: readonly (readonly [what: string, sockets: readonly string[], tcpUdpIcmp: string])[] = [
  ['nobody', [], '0 0 0'],
  ['who listens at the address', ['TCP 192.0.2.7:8080', 'UDP 192.0.2.7:5353'], '1 1 0'],
  ['who listens at any address of IPv4', ['TCP 0.0.0.0:8080', 'UDP 0.0.0.0:5353', 'UDP 0.0.0.0:5354'], '1 2 0'],
  ['who listens at any address of both families', ['TCP [::]:8080'], '1 0 0'],
  ['who listens at any address of IPv6 only', ['TCP [::]:8080 only'], '0 0 0'],
  ['who listens at another address', ['TCP 192.0.2.8:8080', 'TCP 127.0.0.1:8080', 'TCP [fd00::7]:8080'], '0 0 0'],
  ['who listens below what flows are given', ['TCP 0.0.0.0:22', 'TCP 0.0.0.0:1023', 'TCP 0.0.0.0:1024'], '1 0 0'],
  ['who listens at a port twice', ['TCP 0.0.0.0:8080', 'TCP [::]:8080 only', 'TCP 192.0.2.7:8080'], '1 0 0'],
  ['who is connected to the destination', ['TCP 192.0.2.7:50000 to 198.51.100.9:443'], '1 0 0'],
  ['who is connected to it over a socket of IPv6', ['TCP [::ffff:192.0.2.7]:50000 to 198.51.100.9:443'], '1 0 0'],
  [
    'who is connected elsewhere',
    ['TCP 192.0.2.7:50000 to 198.51.100.9:80', 'TCP 192.0.2.8:50000 to 198.51.100.9:443'],
    '0 0 0',
  ],
  [
    'whom the destination is connected to',
    ['TCP 0.0.0.0:8080', 'TCP 192.0.2.7:8080 to 198.51.100.9:443', 'TCP 192.0.2.7:8081 to 198.51.100.9:443'],
    '2 0 0',
  ],
]
for (const [what, sockets, numbers] of cases)
  test(`ports held by ${what}: ${numbers}`, () => {
    assert.equal(held(sockets), numbers)
  })

test('of IPv6 those at any of its addresses count, whether for IPv6 only or not', () => {
  const sockets = ['TCP [::]:8080', 'TCP [::]:8081 only', 'TCP [fd00::7]:8082', 'TCP 0.0.0.0:8083']
  assert.equal(held(sockets, 'fd00::7', 'fd00:9::1'), '3 0 0')
  assert.equal(held(sockets, '192.0.2.7'), '2 0 0')
})
