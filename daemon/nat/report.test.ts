import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointRow } from '../../test/support/endpoint-row.ts'
import type { EgressFlow } from '../datapath/egress-flows.ts'
import { createTables, type EgressRow } from '../state/tables.ts'
import { podNames } from './pod-names.ts'
import { readNat } from './reading.ts'
import { type NatQuery, type NatReport, natReport, topUsers } from './report.ts'
import { bound, flow, flows } from './testdata/flows.ts'
import { textOfAddress } from './way.ts'

const tables = createTables()
const { endpoints } = tables
for (const [name, ...addresses] of [
  ['web', '10.1.0.2', 'fd00:71::2'],
  ['db', '10.1.0.3', 'fd00:71::3'],
] as const)
  endpoints.put(endpointRow(name, addresses))

const EGRESS: readonly EgressRow[] = [
  { device: 'eth0', index: 2, family: 4, addresses: ['192.0.2.7', '192.0.2.8'] },
  { device: 'eth1', index: 3, family: 4, addresses: ['192.0.2.8'] },
]

interface Given {
  readonly flows: readonly EgressFlow[]
  readonly sockets?: readonly string[]
}
async function readingOf({ flows: open, sockets = [] }: Given, query: NatQuery = { top: 10, mappings: 0 }) {
  const sources = {
    flows: (visit: (one: EgressFlow) => void) => Promise.resolve(open.forEach(visit)),
    sockets: async function* () {
      yield* sockets.map(bound)
    },
    egress: () => EGRESS,
  }
  return { ...(await readNat(sources, query)), now: 65_900_000_000n }
}
const nameOf = podNames(tables)
async function report(given: Given, query: NatQuery = { top: 10, mappings: 0 }): Promise<NatReport> {
  return await natReport(await readingOf(given, query), query, { masquerade: true, egress: EGRESS, nameOf })
}

const lines = {
  destinations: ({ destinations }: NatReport): string[] =>
    destinations.list.map(d => {
      const pods = d.pods.map(({ pod, used }) => `${pod} ${used}`).join(', ')
      return `${d.protocol} ${d.destination} ${d.destinationPort ?? '-'} by ${d.egressAddress}: ${d.used} used, ${d.free} of ${d.total} free; ${pods}`
    }),
  pods: ({ pods }: NatReport): string[] =>
    pods.list.map(p => `${p.pod}: ${p.mappings} to ${p.destinations}, ${p.most.used} to ${p.most.destination}`),
  addresses: ({ addresses }: NatReport): string[] =>
    addresses.map(a => {
      const to = a.fullest ? `${a.fullest.protocol} ${a.fullest.destination}` : 'none'
      return `${a.egressAddress} on ${a.devices.join(',')}: ${a.mappings} to ${a.destinations}, ${a.headroom} left to ${to}`
    }),
}

const busy: Given = {
  flows: [
    ...flows(30, '10.1.0.2', '192.0.2.7', '198.51.100.9:443'),
    ...flows(10, '10.1.0.3', '192.0.2.7', '198.51.100.9:443', 50_000),
    ...flows(5, '10.1.0.3', '192.0.2.8', '198.51.100.9:443'),
    ...flows(2, '10.1.0.3', '192.0.2.7', '198.51.100.9:80'),
  ],
}

test('ports are counted by address, destination, port and protocol, most first, with whose they are', async () => {
  const told = await report(busy)
  assert.deepEqual(lines.destinations(told), [
    'TCP 198.51.100.9 443 by 192.0.2.7: 40 used, 64472 of 64512 free; default/web 30, default/db 10',
    'TCP 198.51.100.9 443 by 192.0.2.8: 5 used, 64507 of 64512 free; default/db 5',
    'TCP 198.51.100.9 80 by 192.0.2.7: 2 used, 64510 of 64512 free; default/db 2',
  ])
  assert.deepEqual(lines.pods(told), [
    'default/web: 30 to 1, 30 to 198.51.100.9',
    'default/db: 17 to 3, 10 to 198.51.100.9',
  ])
  assert.deepEqual(lines.addresses(told), [
    '192.0.2.7 on eth0: 42 to 2, 64472 left to TCP 198.51.100.9',
    '192.0.2.8 on eth0,eth1: 5 to 1, 64507 left to TCP 198.51.100.9',
  ])
})

test('lists are cut where they are asked to be, and say how long they are', async () => {
  const { destinations, pods, mappings } = await report(busy, { top: 1, mappings: 2 })
  assert.deepEqual([destinations.total, destinations.list.length], [3, 1])
  assert.deepEqual([pods.total, pods.list.length], [2, 1])
  assert.deepEqual([mappings.total, mappings.list.length], [47, 2])
})

test('of one pod, where it goes, by its own flows, with all that is used there', async () => {
  const told = await report(busy, { top: 1, mappings: 1, pods: new Set([textOfAddress('10.1.0.3')]) })
  assert.deepEqual(lines.destinations(told), [
    'TCP 198.51.100.9 443 by 192.0.2.7: 40 used, 64472 of 64512 free; default/web 30, default/db 10',
  ])
  assert.equal(told.destinations.total, 3)
  assert.deepEqual(lines.pods(told), ['default/db: 17 to 3, 10 to 198.51.100.9'])
  assert.equal(told.mappings.total, 17)
  assert.deepEqual(told.mappings.list, [
    {
      protocol: 'TCP',
      pod: 'default/db',
      podAddress: '10.1.0.3',
      podPort: 50_000,
      destination: '198.51.100.9',
      destinationPort: 443,
      egressAddress: '192.0.2.7',
      egressPort: 50_000,
      state: 'established',
      ageSeconds: 65,
    },
  ])
})

test('what sockets of the node hold is missing, towards their own destination or all', async () => {
  const sockets = ['TCP 0.0.0.0:8080', 'TCP 192.0.2.7:60000 to 198.51.100.9:443', 'UDP 0.0.0.0:5353']
  const told = await report({ ...busy, sockets })
  assert.deepEqual(
    lines.destinations(told).map(line => line.replace(/;.*/, '')),
    [
      'TCP 198.51.100.9 443 by 192.0.2.7: 40 used, 64470 of 64510 free',
      'TCP 198.51.100.9 443 by 192.0.2.8: 5 used, 64506 of 64511 free',
      'TCP 198.51.100.9 80 by 192.0.2.7: 2 used, 64509 of 64511 free',
    ],
  )
})

test('an address that nothing leaves by has all its ports, one that is given no more is told with what is open', async () => {
  const open = flows(3, '10.1.0.2', '192.0.2.1', '198.51.100.9:443')
  assert.deepEqual(lines.addresses(await report({ flows: open, sockets: ['TCP 0.0.0.0:8080'] })), [
    '192.0.2.7 on eth0: 0 to 0, 64511 left to none',
    '192.0.2.8 on eth0,eth1: 0 to 0, 64511 left to none',
    '192.0.2.1 on : 3 to 1, 64508 left to TCP 198.51.100.9',
  ])
})

test('echoes of all identifiers share a destination, and both families of a pod its name', async () => {
  const told = await report({
    flows: [
      flow('ICMP 10.1.0.2:7 as 192.0.2.7:2001 to 198.51.100.9:2001'),
      flow('ICMP 10.1.0.2:8 as 192.0.2.7:2002 to 198.51.100.9:2002'),
      flow('ICMPv6 [fd00:71::2]:7 as [fd00::7]:2001 to [fd00:9::1]:2001'),
    ],
  })
  assert.deepEqual(lines.destinations(told), [
    'ICMP 198.51.100.9 - by 192.0.2.7: 2 used, 64510 of 64512 free; default/web 2',
    'ICMPv6 fd00:9::1 - by fd00::7: 1 used, 64511 of 64512 free; default/web 1',
  ])
  assert.deepEqual(lines.pods(told), ['default/web: 3 to 2, 2 to 198.51.100.9'])
})

test('of a protocol without ports there is one flow for each destination, which says nothing of the address', async () => {
  const told = await report({ flows: [flow('47 10.1.0.2:0 as 192.0.2.7:0 to 198.51.100.9:0')] })
  assert.deepEqual(lines.destinations(told), ['47 198.51.100.9 - by 192.0.2.7: 1 used, 0 of 1 free; default/web 1'])
  assert.equal(lines.addresses(told)[0], '192.0.2.7 on eth0: 1 to 1, 64512 left to none')
})

test('a port below those that are given is used and missing from none', async () => {
  const told = await report({ flows: [flow('UDP 10.1.0.2:123 as 192.0.2.7:123 to 198.51.100.9:123')] })
  assert.deepEqual(lines.destinations(told), [
    'UDP 198.51.100.9 123 by 192.0.2.7: 1 used, 64512 of 64512 free; default/web 1',
  ])
})

test('a pod that is not known is called by its address', async () => {
  assert.deepEqual(lines.pods(await report({ flows: flows(1, '10.1.0.9', '192.0.2.7', '198.51.100.9:443') })), [
    '10.1.0.9: 1 to 1, 1 to 198.51.100.9',
  ])
})

test('the users with most ports are those of one pod towards one destination', async () => {
  const { usage } = await readingOf(busy)
  assert.deepEqual(
    (await topUsers(usage, 3, nameOf)).map(
      u => `${u.pod} ${u.destination} ${u.destinationPort} ${u.egressAddress} ${u.used}`,
    ),
    [
      'default/web 198.51.100.9 443 192.0.2.7 30',
      'default/db 198.51.100.9 443 192.0.2.7 10',
      'default/db 198.51.100.9 443 192.0.2.8 5',
    ],
  )
})
