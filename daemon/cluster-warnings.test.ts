import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointRow } from '../test/support/endpoint-row.ts'
import { FakeClock } from '../test/support/fake-clock.ts'
import type { Warning } from './cluster/kubernetes/warnings.ts'
import { tells, type Troubles, warnCluster, warningsOf } from './cluster-warnings.ts'
import { createTables, type NodeRow } from './state/tables.ts'

const TCP = 6

function troubles(rest: Partial<Troubles> = {}): Troubles & { readonly tables: ReturnType<typeof createTables> } {
  const tables = createTables()
  tables.endpoints.put(endpointRow('web', ['10.0.0.2']))
  return { nodeName: 'n1', exhausted: [], contested: [], healthChecks: [], starved: [], ...rest, tables }
}
const text = ({ object, reason, message }: Warning): string =>
  `${object.resource.kind} ${object.namespace === '' ? '' : `${object.namespace}/`}${object.name} ${reason}: ${message}`
const told = (all: Troubles, withoutGateway: readonly string[] = []): string[] =>
  warningsOf(all, withoutGateway).map(text)

test('a pod that has no port left is told so, and one of another node is not known', () => {
  const refused = { destination: '192.0.2.1', destinationPort: 443, protocol: TCP, drops: 7 }
  const tried = [{ egressAddress: '198.51.100.1', used: 1, total: 1 }]
  const exhausted = [
    { ...refused, pod: '10.0.0.2', tried },
    { ...refused, pod: '10.9.9.9', tried },
  ]
  assert.deepEqual(told(troubles({ exhausted })), [
    'Pod default/web NoPortLeft: no port is left at 198.51.100.1 for new flows to TCP 192.0.2.1:443: their packets are ' +
      'dropped. Give pods another address (masquerade.addresses), or let them keep fewer connections open there',
  ])
})

test('services that ask for the same port name each other, and say which of them has it', () => {
  const contested = [{ frontend: 'TCP 192.0.2.1:80 outside', winner: 'a/first', others: ['b/second'] }]
  assert.deepEqual(told(troubles({ contested })), [
    'Service a/first PortClaimedTwice: TCP 192.0.2.1:80 outside is asked for by Service b/second too; this one has it',
    'Service b/second PortClaimedTwice: TCP 192.0.2.1:80 outside is asked for by Service a/first too; Service a/first has it',
  ])
})

test('a pod whose host port a service has is told so by its own node, whichever nodes there are', () => {
  const contested = [
    { frontend: 'TCP 192.0.2.1:80 outside', winner: 'a/first', others: ['host ports of causeway/web/eth0'] },
  ]
  const all = troubles({ contested })
  for (let n = 0; n < 50; n++) all.tables.nodes.put(nodeRow(`m${n}`))
  assert.deepEqual(
    warningsOf(all, []).map(({ object }) => `${object.resource.kind} ${object.name}`),
    ['Service first', 'Pod web'],
  )
})

function nodeRow(name: string, rest: Partial<NodeRow> = {}): NodeRow {
  return { name, addresses: [], podCidrs: [], labels: {}, ...rest }
}

test('of what is the same everywhere two nodes tell, and others when these are not ready', () => {
  const names = Array.from({ length: 30 }, (_, n) => `n${n}`)
  const tables = createTables()
  for (const name of names) tables.nodes.put(nodeRow(name))
  const tellers = (what: string): string[] => names.filter(nodeName => tells(what, { nodeName, tables }))
  const first = tellers('x')
  assert.equal(first.length, 2)
  assert.notDeepEqual(first, tellers('y'))
  for (const name of first) tables.nodes.put(nodeRow(name, { notReady: true }))
  // Those that are not ready do not know it, and tell on.
  assert.equal(tellers('x').filter(name => !first.includes(name)).length, 2)
})

test('a health check, an exhausted pool and a policy without a gateway are told on their objects', () => {
  const healthChecks = [{ namespace: 'a', name: 'lb', port: 30_000, failure: 'EADDRINUSE' }]
  const starved = [{ pool: 'default', family: 4 as const }]
  assert.deepEqual(
    told(troubles({ healthChecks, starved }), ['corporate']).map(line => line.split(':')[0]),
    ['Service a/lb HealthCheckPortTaken', 'Node n1 NoAddressLeft', 'EgressPolicy corporate NoHealthyGateway'],
  )
})

test('a policy is told of when it has no gateway for two looks in a row', async () => {
  const clock = new FakeClock()
  const all = troubles()
  const path = (kind: 'none' | 'here') => ({ destination: '192.0.2.0/24', policy: 'corporate', to: { kind } })
  const warned: string[] = []
  const stop = new AbortController()
  const warnings = { warn: (warning: Warning) => void warned.push(warning.object.name) }
  const running = warnCluster({ troubles: () => all, warnings, clock }, stop.signal)
  all.tables.egressPaths.put({ source: '10.0.0.2', paths: [path('none')] })
  await clock.advance(5000)
  all.tables.egressPaths.put({ source: '10.0.0.2', paths: [path('here')] })
  await clock.advance(5000)
  assert.deepEqual(warned, [])
  all.tables.egressPaths.put({ source: '10.0.0.2', paths: [path('none')] })
  await clock.advance(10_000)
  assert.deepEqual(warned, ['corporate'])
  stop.abort()
  await clock.advance(5000)
  await running
})
