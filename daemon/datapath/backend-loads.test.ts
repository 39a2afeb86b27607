import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PLAIN_BALANCING, PLAIN_ENDPOINT, PLAIN_SERVICE } from '../../test/support/service-row.ts'
import { fromMapped16 } from '../kernel/ip.ts'
import { MemoryMap } from '../kernel/memory/map.ts'
import { frontendsOf } from '../service/frontends.ts'
import type { EndpointSliceRow, FrontendRow, ServiceRow } from '../state/service-rows.ts'
import { createTables } from '../state/tables.ts'
import { BackendLoads } from './backend-loads.ts'
import type { Load, LoadKey } from './shared.gen.ts'

const slice = (...addresses: readonly string[]): EndpointSliceRow => ({
  namespace: 'default',
  name: 'web',
  service: 'web',
  ports: [{ name: '', protocol: 'TCP', port: 8080 }],
  weight: 1,
  endpoints: addresses.map(address => ({ ...PLAIN_ENDPOINT, address })),
})

test('backends of services that choose by flows are counted, and told after a run', () => {
  const map = new MemoryMap<LoadKey, Load>('loads', 100)
  const { backendLoads } = createTables()
  let rows: readonly FrontendRow[] = []
  const loads = new BackendLoads({ map: () => map, frontends: () => rows, loads: backendLoads })
  const serve = (service: Partial<ServiceRow>, ...addresses: readonly string[]): void => {
    const ports = [{ name: '', protocol: 'TCP', port: 80, nodePort: 0 }] as const
    const whole = { ...PLAIN_SERVICE, clusterIPs: ['10.96.0.1'], ports, ...service }
    rows = frontendsOf(whole, [slice(...addresses)], { name: 'n1', zone: '', addresses: [] }, PLAIN_BALANCING)
  }
  const counted = (): string[] =>
    [...map.entries()].map(([{ address }, { live }]) => `${fromMapped16(address)} ${live}`)
  const told = (): string[] => [...backendLoads.values()].map(({ key, flows }) => `${key}: ${flows}`)

  serve({}, '10.1.0.1')
  assert.equal(loads.begin(), false)
  serve({ algorithm: 'least' }, '10.1.0.1', '10.1.0.2')
  assert.equal(loads.begin(), true)
  assert.deepEqual(counted(), ['10.1.0.1 0', '10.1.0.2 0'])
  for (const [key] of map.entries()) map.update(key, { live: 7, counting: 0 })
  loads.end()
  assert.deepEqual(told(), ['TCP 10.1.0.1 8080: 7', 'TCP 10.1.0.2 8080: 7'])

  serve({ zoneCapacity: 5 }, '10.1.0.2', '10.1.0.3')
  loads.begin()
  loads.end()
  assert.deepEqual(told().sort(), ['TCP 10.1.0.2 8080: 7', 'TCP 10.1.0.3 8080: 0'])
  rows = []
  assert.equal(loads.begin(), false)
  loads.end()
  assert.deepEqual([counted(), told()], [[], []])
})
