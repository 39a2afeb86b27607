import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PLAIN_BALANCING, PLAIN_ENDPOINT, PLAIN_SERVICE } from '../../test/support/service-row.ts'
import { createTables, type Tables } from '../state/tables.ts'
import { type Clock, systemClock } from '../state/clock.ts'
import type { EndpointSliceRow, ServiceRow, SliceEndpoint } from '../state/service-rows.ts'
import type { Balancing } from './balancing.ts'
import { ServicePlanner } from './planner.ts'

const SERVICE: ServiceRow = {
  ...PLAIN_SERVICE,
  clusterIPs: ['10.96.0.1', 'fd00:96::1'],
  ports: [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 0 }],
}
const ENDPOINT = { ...PLAIN_ENDPOINT, nodeName: 'n1' }
const slice = (name: string, ...addresses: readonly string[]): EndpointSliceRow => ({
  namespace: 'default',
  name,
  service: 'web',
  ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
  weight: 1,
  endpoints: addresses.map(address => ({ ...ENDPOINT, address })),
})

interface Planned extends Disposable {
  readonly tables: Tables
  readonly planner: ServicePlanner
  /** Plans, and tells the frontends with their backends. */
  rows(): string[]
}

function planned(balancing: Partial<Balancing> = {}): Planned {
  const tables = createTables()
  const planner = new ServicePlanner({ tables, nodeName: 'n1', balancing: { ...PLAIN_BALANCING, ...balancing } })
  return {
    tables,
    planner,
    rows() {
      planner.plan()
      const rows = [...tables.frontends.values()].map(({ key, backends }) => {
        return `${key}: ${backends.map(b => `${b.address} ${b.port}`).join(', ')}`
      })
      return rows.sort()
    },
    [Symbol.dispose]: () => planner[Symbol.dispose](),
  }
}

test('a service has a frontend for each address and port, with backends of the same family', () => {
  using at = planned()
  at.tables.services.put(SERVICE)
  at.tables.endpointSlices.put(slice('web-4', '10.1.0.2', '10.1.0.1'))
  at.tables.endpointSlices.put(slice('web-6', 'fd00:1::1'))
  assert.deepEqual(at.rows(), [
    'TCP 10.96.0.1:80 inside: 10.1.0.1 8080, 10.1.0.2 8080',
    'TCP [fd00:96::1]:80 inside: fd00:1::1 8080',
  ])
})

test('addresses for outside have frontends for both, and follow the external policy outside only', () => {
  using at = planned()
  at.tables.hostAddresses.put({ address: '192.0.2.1', prefixLength: 24, scope: 'global', device: 'eth0' })
  at.tables.hostAddresses.put({ address: '127.0.0.1', prefixLength: 8, scope: 'host', device: 'lo' })
  at.tables.services.put({
    ...SERVICE,
    type: 'LoadBalancer',
    clusterIPs: ['10.96.0.1'],
    externalIPs: ['198.51.100.1'],
    loadBalancerIPs: ['203.0.113.1'],
    ports: [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 30_080 }],
    externalTrafficPolicy: 'Local',
  })
  const elsewhere = { ...ENDPOINT, nodeName: 'n2', address: '10.1.0.2' }
  at.tables.endpointSlices.put({
    ...slice('web', '10.1.0.1'),
    endpoints: [{ ...ENDPOINT, address: '10.1.0.1' }, elsewhere],
  })
  const all = '10.1.0.1 8080, 10.1.0.2 8080'
  assert.deepEqual(at.rows(), [
    `TCP 10.96.0.1:80 inside: ${all}`,
    `TCP 192.0.2.1:30080 inside: ${all}`,
    'TCP 192.0.2.1:30080 outside: 10.1.0.1 8080',
    `TCP 198.51.100.1:80 inside: ${all}`,
    'TCP 198.51.100.1:80 outside: 10.1.0.1 8080',
    `TCP 203.0.113.1:80 inside: ${all}`,
    'TCP 203.0.113.1:80 outside: 10.1.0.1 8080',
  ])
})

test('node ports are at the addresses that the configuration names, and at loopback for processes of the node', () => {
  const nodePortRanges = ['192.0.2.0/24', '2001:db8::/64']
  using at = planned({ nodePortRanges, nodePortLoopback: true })
  for (const address of ['192.0.2.1', '198.51.100.1', '2001:db8::1', '2001:db8:1::1'])
    at.tables.hostAddresses.put({ address, prefixLength: 24, scope: 'global', device: 'eth0' })
  const ports = [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 30_080 }] as const
  at.tables.services.put({ ...SERVICE, type: 'NodePort', ports, forwarding: 'dsr' })
  assert.deepEqual(
    at.rows().filter(row => row.includes(':30080')),
    [
      'TCP 127.0.0.1:30080 inside: ',
      'TCP 192.0.2.1:30080 inside: ',
      'TCP 192.0.2.1:30080 outside: ',
      'TCP [2001:db8::1]:30080 inside: ',
      'TCP [2001:db8::1]:30080 outside: ',
      'TCP [::1]:30080 inside: ',
    ],
  )
  const rows = [...at.tables.frontends.values()].filter(row => row.port === 30_080)
  assert.deepEqual([...new Set(rows.map(row => `${row.exclusive} ${row.forwarding}`))], ['false snat'])
})

test('by dsr the pods of this node are told that other nodes may choose, whatever it would choose itself', () => {
  using at = planned()
  at.tables.hostAddresses.put({ address: '192.0.2.1', prefixLength: 24, scope: 'global', device: 'eth0' })
  const dsr = { ...SERVICE, type: 'NodePort', clusterIPs: ['10.96.0.1'], forwarding: 'dsr' } as const
  const ports = [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 30_080 }] as const
  const put = (...endpoints: readonly Partial<SliceEndpoint>[]): void => {
    const rows = endpoints.map((endpoint, i) => ({ ...ENDPOINT, address: `10.1.0.${i + 1}`, ...endpoint }))
    at.tables.endpointSlices.put({ ...slice('web'), endpoints: rows })
  }
  const forwarded = (): string[] => {
    at.planner.plan()
    return [...at.tables.frontends.values()].map(({ scope, forwarding, direct }) =>
      [scope, forwarding, ...direct.map(({ address }) => address)].join(' '),
    )
  }
  at.tables.services.put({ ...dsr, ports })
  const hintNodes = ['n2']
  put({ hintNodes }, { nodeName: 'n2', hintNodes }, { nodeName: '', hintNodes }, { address: '192.0.2.1', hintNodes })
  assert.deepEqual(forwarded(), ['inside snat', 'inside snat', 'outside dsr 10.1.0.1 10.1.0.3'])
  put({ ready: false, serving: true, terminating: true }, { ready: false, serving: false })
  assert.deepEqual(forwarded(), ['inside snat', 'inside snat', 'outside dsr 10.1.0.1'])
  at.tables.services.put({ ...dsr, ports, externalTrafficPolicy: 'Local' })
  assert.deepEqual(forwarded(), ['inside snat', 'inside snat', 'outside snat'])
  at.tables.services.put({ ...dsr, ports })
  put({ address: '10.1.0.1' })
  // The same pod at two ports, such as while an EndpointSlice is written anew.
  at.tables.endpointSlices.put({
    ...slice('again', '10.1.0.1'),
    ports: [{ name: 'http', protocol: 'TCP', port: 8081 }],
  })
  assert.deepEqual(forwarded(), ['inside snat', 'inside snat', 'outside snat'])
})

test('a service is of the families of its cluster addresses; one without has no frontend', () => {
  using at = planned()
  at.tables.hostAddresses.put({ address: '192.0.2.1', prefixLength: 24, scope: 'global', device: 'eth0' })
  at.tables.hostAddresses.put({ address: '2001:db8::1', prefixLength: 64, scope: 'global', device: 'eth0' })
  const ports = [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 30_080 }] as const
  const externalIPs = ['198.51.100.1', '2001:db8:5::1']
  at.tables.services.put({ ...SERVICE, type: 'NodePort', clusterIPs: ['fd00:96::1'], externalIPs, ports })
  at.tables.services.put({ ...SERVICE, name: 'headless', clusterIPs: [], externalIPs: ['198.51.100.2'] })
  assert.deepEqual(at.rows(), [
    'TCP [2001:db8:5::1]:80 inside: ',
    'TCP [2001:db8:5::1]:80 outside: ',
    'TCP [2001:db8::1]:30080 inside: ',
    'TCP [2001:db8::1]:30080 outside: ',
    'TCP [fd00:96::1]:80 inside: ',
  ])
})

test('a slice that comes, changes, moves to another service and goes changes the frontends each time', () => {
  using at = planned()
  const other = { ...SERVICE, name: 'other', clusterIPs: ['10.96.0.2'] }
  at.tables.services.put({ ...SERVICE, clusterIPs: ['10.96.0.1'] })
  at.tables.services.put(other)
  const backends = (): string[] => at.rows().map(row => row.replace(/^.*: ?/, ''))
  assert.deepEqual(backends(), ['', ''])
  at.tables.endpointSlices.put(slice('s', '10.1.0.1'))
  assert.deepEqual(backends(), ['10.1.0.1 8080', ''])
  at.tables.endpointSlices.put(slice('s', '10.1.0.1', '10.1.0.2'))
  assert.deepEqual(backends(), ['10.1.0.1 8080, 10.1.0.2 8080', ''])
  at.tables.endpointSlices.put({ ...slice('s', '10.1.0.1'), service: 'other' })
  assert.deepEqual(backends(), ['', '10.1.0.1 8080'])
  at.tables.endpointSlices.delete('default/s')
  assert.deepEqual(backends(), ['', ''])
})

test('an endpoint in two slices is one backend', () => {
  using at = planned()
  at.tables.services.put({ ...SERVICE, clusterIPs: ['10.96.0.1'] })
  at.tables.endpointSlices.put(slice('a', '10.1.0.1'))
  at.tables.endpointSlices.put(slice('b', '10.1.0.1'))
  assert.deepEqual(at.rows(), ['TCP 10.96.0.1:80 inside: 10.1.0.1 8080'])
})

test('of two services at one address the first by name has it, and the conflict is told until it ends', () => {
  using at = planned()
  at.tables.services.put({ ...SERVICE, name: 'b', clusterIPs: ['10.96.0.1'] })
  assert.deepEqual(at.rows().length, 1)
  at.tables.services.put({ ...SERVICE, name: 'a', clusterIPs: ['10.96.0.1'] })
  at.rows()
  const owner = (): string | undefined => [...at.tables.frontends.values()][0]?.service
  assert.equal(owner(), 'default/a')
  assert.deepEqual(at.planner.problems, ['TCP 10.96.0.1:80 inside is claimed by default/b too; default/a has it'])
  at.tables.services.delete('default/a')
  at.rows()
  assert.deepEqual([owner(), at.planner.problems], ['default/b', []])
})

test('the zone of the node counts as soon as it is known', () => {
  using at = planned()
  const hinted = (address: string, zone: string) => ({ ...ENDPOINT, address, hintZones: [zone] })
  at.tables.services.put({ ...SERVICE, clusterIPs: ['10.96.0.1'] })
  at.tables.endpointSlices.put({ ...slice('s'), endpoints: [hinted('10.1.0.1', 'west'), hinted('10.1.0.2', 'east')] })
  assert.match(at.rows().join(), /10\.1\.0\.1 8080, 10\.1\.0\.2 8080$/)
  at.tables.nodes.put({ name: 'n1', addresses: [], podCidrs: [], labels: { 'topology.kubernetes.io/zone': 'east' } })
  assert.deepEqual(at.rows(), ['TCP 10.96.0.1:80 inside: 10.1.0.2 8080'])
})

test('the table is complete once everything it is made of is', () => {
  using at = planned()
  const done = at.tables.services.initializer('source')
  at.planner.plan()
  assert.equal(at.tables.frontends.initialized, false)
  done()
  at.planner.plan()
  assert.equal(at.tables.frontends.initialized, true)
})

test('many services are thought through in turns, and the table is complete after the last of them', async () => {
  const tables = createTables()
  let now = 0
  let turns = 0
  const clock: Clock = {
    ...systemClock,
    now: () => now++,
    turn: async () => {
      assert.equal(tables.frontends.initialized, false)
      turns++
      await systemClock.turn()
    },
  }
  using planner = new ServicePlanner({ tables, nodeName: 'n1', balancing: PLAIN_BALANCING, clock })
  for (let i = 0; i < 100; i++) tables.services.put({ ...SERVICE, name: `s${i}`, clusterIPs: [`10.96.0.${i}`] })
  const stop = new AbortController()
  const running = planner.run(stop.signal)
  while (!tables.frontends.initialized) await systemClock.turn()
  assert.equal(tables.frontends.size, 100)
  assert.ok(turns >= 10, `${turns}`)
  stop.abort()
  await running
})

test('after any sequence of changes the frontends are those of a planner that sees them all at once', () => {
  using at = planned()
  let state = 7
  const random = (n: number): number => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) % n
  for (let step = 0; step < 400; step++) {
    const name = `s${random(4)}`
    const service = { ...SERVICE, name, clusterIPs: [`10.96.0.${random(3)}`] }
    const owned = { ...slice(`e${random(5)}`, `10.1.0.${random(4)}`), service: `s${random(4)}` }
    const changes = [
      () => at.tables.services.delete(`default/${name}`),
      () => at.tables.services.put(service),
      () => at.tables.endpointSlices.delete(`default/${owned.name}`),
      () => at.tables.endpointSlices.put(owned),
    ]
    changes[random(changes.length)]?.()
    const rows = at.rows()
    using fresh = planned()
    for (const row of at.tables.services.values()) fresh.tables.services.put(row)
    for (const row of at.tables.endpointSlices.values()) fresh.tables.endpointSlices.put(row)
    assert.deepEqual(rows, fresh.rows(), `step ${step}`)
  }
})
