import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Event } from '../datapath/shared.gen.ts'
import { toMapped16 } from '../kernel/ip.ts'
import type { AddressOwner } from './names.ts'
import { type RecordContext, toRecord } from './record.ts'

const owners: Readonly<Record<string, AddressOwner>> = {
  '10.1.0.2': { kind: 'pod', pod: 'default/web' },
  '192.0.2.1': { kind: 'node', node: 'node-a' },
}
const context: RecordContext = {
  owner: address => owners[address],
  interfaceOf: index => (index === 7 ? { name: 'cw0123', pod: 'default/web' } : undefined),
  wallClockUs: ns => 1_700_000_000_000_000 + Number(ns / 1000n),
}
const syn: Event = {
  timeNs: 1_234_567n,
  source: toMapped16('10.1.0.2'),
  destination: toMapped16('192.0.2.1'),
  sourcePort: 40_000,
  destinationPort: 80,
  protocol: 6,
  tcpFlags: 0x12,
  kind: 2,
  hook: 1,
  reason: 0,
  reply: 0,
  ethertype: 0x0800,
  rule: 0,
  ifindex: 7,
  length: 74,
  ctFlags: 0,
  moment: 2,
  packets: 1n,
  bytes: 74n,
  replyPackets: 1n,
  replyBytes: 74n,
}

test('a forwarded TCP packet has names, ports, flags and wall clock', () => {
  assert.deepEqual(toRecord(syn, context), {
    time: '2023-11-14T22:13:20.001234Z',
    verdict: 'forwarded',
    moment: 'reply',
    flow: { packets: 1, bytes: 74, replyPackets: 1, replyBytes: 74 },
    hook: 'pod_out',
    source: { address: '10.1.0.2', port: 40_000, pod: 'default/web' },
    destination: { address: '192.0.2.1', port: 80, node: 'node-a' },
    protocol: 'TCP',
    tcpFlags: ['SYN', 'ACK'],
    reply: false,
    length: 74,
    interface: { index: 7, name: 'cw0123', pod: 'default/web' },
  })
})

test('a drop says why, by which rule, and what to do', () => {
  const record = toRecord({ ...syn, kind: 1, reason: 4, rule: 9 }, context)
  assert.equal(record.verdict, 'dropped')
  assert.equal(record.reason?.name, 'spoofed_address')
  assert.match(record.reason?.whatToDo ?? '', /may only send/)
  assert.equal(record.rule, 9)
  assert.equal('flow' in record || 'moment' in record, false)
})

for (const [bits, moment] of [
  [1, 'first'],
  [2, 'reply'],
  [4, 'end'],
  [2 | 4, 'end'],
] as const)
  test(`moments ${bits} of a flow are told as ${moment}`, () => {
    assert.equal(toRecord({ ...syn, moment: bits }, context).moment, moment)
  })

const parts: readonly (readonly [what: string, event: Partial<Event>, want: object])[] = [
  [
    'ICMP has type and code instead of ports',
    { protocol: 1, sourcePort: 8, destinationPort: 0 },
    {
      protocol: 'ICMP',
      icmp: { type: 8, code: 0 },
      source: { address: '10.1.0.2', pod: 'default/web' },
      tcpFlags: undefined,
    },
  ],
  [
    'an IPv6 address nobody owns has no name',
    { ethertype: 0x86dd, protocol: 17, source: toMapped16('2001:db8::9') },
    { protocol: 'UDP', source: { address: '2001:db8::9', port: 40_000 } },
  ],
  [
    'another protocol is a number without ports',
    { protocol: 47 },
    { protocol: '47', destination: { address: '192.0.2.1', node: 'node-a' } },
  ],
  [
    'what is not IP is named by its ethertype and may have no addresses',
    { ethertype: 0x88cc, protocol: 0, source: new Uint8Array(16), destination: new Uint8Array(16) },
    { protocol: 'ethertype 0x88cc', source: {}, destination: {} },
  ],
  [
    'an IP packet whose header was not read is IP and no more',
    { protocol: 0, source: new Uint8Array(16), destination: new Uint8Array(16) },
    { protocol: 'IPv4', source: {}, destination: {} },
  ],
  ['an unknown device has only its index', { ifindex: 99 }, { interface: { index: 99 } }],
  [
    'numbers of a newer datapath are shown as numbers',
    { hook: 77, kind: 1, reason: 200 },
    { hook: 'hook_77', verdict: 'dropped' },
  ],
  ['a reply is marked', { reply: 1 }, { reply: true }],
]
for (const [what, event, want] of parts) {
  test(what, () => {
    const record: object = toRecord({ ...syn, ...event }, context)
    const seen = Object.fromEntries(Object.keys(want).map(key => [key, (record as Record<string, unknown>)[key]]))
    assert.deepEqual(seen, want)
  })
}
