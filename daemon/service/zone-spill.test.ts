import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PLAIN_BALANCING, PLAIN_ENDPOINT, PLAIN_SERVICE } from '../../test/support/service-row.ts'
import { createTables } from '../state/tables.ts'
import type { EndpointSliceRow } from '../state/service-rows.ts'
import { ServicePlanner } from './planner.ts'

const SLICE: EndpointSliceRow = {
  namespace: 'default',
  name: 'web',
  service: 'web',
  ports: [{ name: '', protocol: 'TCP', port: 8080 }],
  weight: 1,
  endpoints: (['z1', 'z1', 'z2'] as const).map((zone, i) => ({
    ...PLAIN_ENDPOINT,
    address: `10.1.0.${i + 1}`,
    nodeName: `n${i}`,
    zone,
    hintZones: [zone],
  })),
}

test('near endpoints are joined by the others at their capacity, until they have less than four fifths of it', () => {
  const tables = createTables()
  using planner = new ServicePlanner({ tables, nodeName: 'n0', balancing: PLAIN_BALANCING })
  tables.nodes.put({ name: 'n0', addresses: [], podCidrs: [], labels: { 'topology.kubernetes.io/zone': 'z1' } })
  const ports = [{ name: '', protocol: 'TCP', port: 80, nodePort: 0 }] as const
  tables.services.put({ ...PLAIN_SERVICE, clusterIPs: ['10.96.0.1'], ports, zoneCapacity: 100 })
  tables.endpointSlices.put(SLICE)
  const used = (...flows: readonly number[]): number[] => {
    for (const [i, count] of flows.entries()) tables.backendLoads.put({ key: `TCP 10.1.0.${i + 1} 8080`, flows: count })
    planner.plan()
    const [row] = [...tables.frontends.values()]
    assert.equal(row?.counted, true)
    return row.backends.map(({ address }) => Number(address.slice(-1)))
  }
  assert.deepEqual(used(), [1, 2])
  assert.deepEqual(used(150, 49), [1, 2])
  assert.deepEqual(used(150, 50), [1, 2, 3])
  assert.deepEqual(used(110, 50, 40), [1, 2, 3])
  assert.deepEqual(used(109, 50, 40), [1, 2])
  assert.deepEqual(used(150, 49), [1, 2])
})
