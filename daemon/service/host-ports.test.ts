import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PLAIN_BALANCING } from '../../test/support/service-row.ts'
import type { PortMapping } from '../state/service-rows.ts'
import { createTables } from '../state/tables.ts'
import { hostPortFrontends, type PortHolder } from './host-ports.ts'
import { ServicePlanner } from './planner.ts'

const NODE = { name: 'n1', zone: 'z1', addresses: ['192.0.2.1', '2001:db8::1'] }
const pod = (name: string, ...portMappings: readonly PortMapping[]): PortHolder => ({
  key: `causeway/${name}/eth0`,
  pod: { namespace: 'default', name, uid: '' },
  addresses: ['10.1.0.1', 'fd00:1::1'],
  portMappings,
})
const HTTP: PortMapping = { hostPort: 8080, containerPort: 80, protocol: 'TCP' }

const told = (...mappings: readonly PortMapping[]): string[] =>
  hostPortFrontends(pod('web', ...mappings), NODE, PLAIN_BALANCING).map(
    ({ key, backends }) => `${key} → ${backends.map(b => `${b.address} ${b.port}`).join(', ')}`,
  )

test('a host port leads to the pod from every address of the node, by loopback for the node alone', () => {
  assert.deepEqual(told(HTTP), [
    'TCP 192.0.2.1:8080 inside → 10.1.0.1 80',
    'TCP 192.0.2.1:8080 outside → 10.1.0.1 80',
    'TCP 127.0.0.1:8080 inside → 10.1.0.1 80',
    'TCP [2001:db8::1]:8080 inside → fd00:1::1 80',
    'TCP [2001:db8::1]:8080 outside → fd00:1::1 80',
    'TCP [::1]:8080 inside → fd00:1::1 80',
  ])
})

test('with an address of the host it is there only, unless that stands for all', () => {
  assert.deepEqual(told({ ...HTTP, hostIP: '192.0.2.1' }), [
    'TCP 192.0.2.1:8080 inside → 10.1.0.1 80',
    'TCP 192.0.2.1:8080 outside → 10.1.0.1 80',
  ])
  assert.deepEqual(told({ ...HTTP, hostIP: '127.0.0.1' }), ['TCP 127.0.0.1:8080 inside → 10.1.0.1 80'])
  assert.deepEqual(told({ ...HTTP, hostIP: '0.0.0.0' }), told(HTTP))
})

test('a pod that comes, changes and goes takes its ports along; of two that want one the first by name has it', () => {
  const tables = createTables()
  using planner = new ServicePlanner({ tables, nodeName: 'n1', balancing: PLAIN_BALANCING })
  tables.hostAddresses.put({ address: '192.0.2.1', prefixLength: 24, scope: 'global', device: 'eth0' })
  const put = (name: string, ...mappings: readonly PortMapping[]): void => {
    const device = { name: 'cw1', index: 1, mac: '' }
    const own = { name: 'eth0', mac: '', mtu: 1500 }
    const netns = { dev: 1, ino: 1, path: '' }
    const { addresses } = pod(name)
    const row = { ...pod(name, ...mappings), id: 1, pool: '', device, interface: own, netns }
    tables.endpoints.put({ ...row, addresses: addresses.slice(0, 1) })
  }
  const holders = (): string[] => {
    planner.plan()
    const rows = [...tables.frontends.values()].filter(row => row.scope === 'outside')
    return rows.map(row => `${row.port} ${row.service}`).sort()
  }
  put('b', HTTP)
  assert.deepEqual(holders(), ['8080 default/b'])
  put('a', HTTP, { ...HTTP, hostPort: 9090 })
  assert.deepEqual(holders(), ['8080 default/a', '9090 default/a'])
  assert.match(
    planner.problems.join(),
    /^TCP .*:8080 .*is claimed by host ports of causeway\/b\/eth0 too; host ports of/,
  )
  put('a')
  assert.deepEqual(holders(), ['8080 default/b'])
  tables.endpoints.delete('causeway/b/eth0')
  assert.deepEqual(holders(), [])
})
