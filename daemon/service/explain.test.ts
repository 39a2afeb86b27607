import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PLAIN_BALANCING, PLAIN_ENDPOINT, PLAIN_SERVICE } from '../../test/support/service-row.ts'
import { createTables } from '../state/tables.ts'
import type { EndpointSliceRow, ServiceRow, SliceEndpoint } from '../state/service-rows.ts'
import { explain, type ExplainParts, type Question } from './explain.ts'
import { ServicePlanner } from './planner.ts'

const SERVICE: ServiceRow = {
  ...PLAIN_SERVICE,
  type: 'LoadBalancer',
  clusterIPs: ['10.96.0.1'],
  loadBalancerIPs: ['203.0.113.1'],
  ports: [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 30_080 }],
}
const POD = '10.1.0.9'
const endpoint = (last: number, more: Partial<SliceEndpoint> = {}): SliceEndpoint => {
  return { ...PLAIN_ENDPOINT, address: `10.1.0.${last}`, nodeName: 'n1', ...more }
}

function asked(service: Partial<ServiceRow>, endpoints: readonly SliceEndpoint[], question: Partial<Question> = {}) {
  const tables = createTables()
  using planner = new ServicePlanner({ tables, nodeName: 'n1', balancing: PLAIN_BALANCING })
  tables.hostAddresses.put({ address: '192.0.2.1', prefixLength: 24, scope: 'global', device: 'eth0' })
  tables.hostAddresses.put({ address: POD, prefixLength: 32, scope: 'global', device: 'x' })
  tables.services.put({ ...SERVICE, ...service })
  const slice: EndpointSliceRow = {
    namespace: 'default',
    name: 'web-x',
    service: 'web',
    ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    weight: 1,
    endpoints,
  }
  tables.endpointSlices.put(slice)
  planner.plan()
  const parts: ExplainParts = { tables, nodeName: 'n1', seed: 's', affinity: () => undefined }
  const outside = { client: '198.51.100.7', address: '203.0.113.1', port: 80, protocol: 'TCP' } as const
  const whole = (more: Partial<ExplainParts> = {}) => explain({ ...parts, ...more }, { ...outside, ...question })
  return { ...whole(), with: whole }
}
const whys = (of: ReturnType<typeof asked>): string[] => of.endpoints.map(e => `${e.endpoint} ${e.takes}: ${e.why}`)

test('from outside the flow chooses, the same backend each time, once its port is known', () => {
  const endpoints = [endpoint(1), endpoint(2), endpoint(3)]
  assert.equal(asked({}, endpoints).outcome, 'one-of')
  const given = Array.from({ length: 40 }, (_, i) => asked({}, endpoints, { clientPort: 1000 + i }))
  assert.equal(new Set(given.map(g => g.backend)).size, 3)
  const [first] = given
  assert.equal(first?.backend, asked({}, endpoints, { clientPort: 1000 }).backend)
  assert.match(first?.why ?? '', /^its flow leads to place \d+ of 251/)
  assert.equal(first?.place?.size, 251)
  assert.equal((first?.place?.hash ?? 0) % 251, first?.place?.number)
})

test('from inside chance chooses, and where there is one it is that', () => {
  const inside = { client: POD, address: '10.96.0.1' }
  assert.deepEqual(asked({}, [endpoint(1), endpoint(2)], inside).outcome, 'one-of')
  const one = asked({}, [endpoint(1)], inside)
  assert.deepEqual([one.from, one.backend, one.why], ['inside', '10.1.0.1:8080', 'there is no other'])
  assert.equal(one.frontend, 'TCP 10.96.0.1:80 (cluster-ip)')
})

test('an affinity goes before all else', () => {
  const sticky = asked({ affinitySeconds: 60 }, [endpoint(1), endpoint(2)], { clientPort: 5 })
  const { backend, why } = sticky.with({ affinity: () => ({ address: '10.1.0.2', port: 8080 }) })
  assert.deepEqual([backend, why], ['10.1.0.2:8080', 'it was given that within 60 s'])
})

test('endpoints say why they take new flows, or do not', () => {
  const ending = { ready: false, terminating: true }
  const all = [
    endpoint(1),
    endpoint(2, ending),
    endpoint(3, { ready: false, serving: false }),
    endpoint(4, { nodeName: 'n2' }),
  ]
  assert.deepEqual(whys(asked({ externalTrafficPolicy: 'Local' }, all)), [
    '10.1.0.1:8080 true: ready',
    '10.1.0.2:8080 false: terminating',
    '10.1.0.3:8080 false: not ready',
    '10.1.0.4:8080 false: on another node, and the policy is Local',
  ])
  assert.deepEqual(whys(asked({}, [endpoint(2, ending)])), ['10.1.0.2:8080 true: terminating, but nobody is ready'])
  const hinted = [
    endpoint(1, { hintNodes: ['n1'], hintZones: ['a'] }),
    endpoint(2, { hintNodes: ['n2'], hintZones: ['b'] }),
  ]
  assert.deepEqual(whys(asked({}, hinted)), [
    '10.1.0.1:8080 true: ready, and meant for here',
    '10.1.0.2:8080 false: meant for others (zones b)',
  ])
})

test('what comes to nothing says so', () => {
  const outcome = (...given: Parameters<typeof asked>) => {
    const { outcome: what, why } = asked(...given)
    return `${what}: ${why}`
  }
  const one = [endpoint(1)]
  assert.equal(outcome({}, []), 'refused: nobody serves (no_backend)')
  assert.match(
    outcome({ externalTrafficPolicy: 'Local' }, [endpoint(1, { nodeName: 'n2' })]),
    /^dropped: nobody on this node/,
  )
  assert.equal(outcome({ sourceRanges: ['192.0.2.0/24'] }, one), 'dropped: the client is in none of 192.0.2.0/24')
  assert.equal(outcome({ sourceRanges: ['192.0.2.0/24'] }, one, { client: POD }), 'backend: there is no other')
  assert.equal(
    outcome({}, one, { port: 81 }),
    'dropped: default/web has no such port there, only TCP 80 (service_port)',
  )
  const node = { address: '192.0.2.1', port: 22 }
  assert.equal(outcome({}, one, node), 'no-service: services of the node are at TCP 30080 only')
  const elsewhere = { address: '192.0.2.77' }
  assert.equal(outcome({}, one, elsewhere), 'no-service: no service is at 192.0.2.77 for such a client')
})
