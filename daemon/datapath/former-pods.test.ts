import assert from 'node:assert/strict'
import { test } from 'node:test'
import { settle } from '../../test/support/fake-clock.ts'
import { createTables, type EndpointRow, type PodRow } from '../state/tables.ts'
import { FormerPods } from './former-pods.ts'

const pod = (name: string, address: string, more: Partial<PodRow> = {}): PodRow => ({
  namespace: 'default',
  name,
  uid: `uid of ${name}`,
  nodeName: 'node-a',
  addresses: [address],
  hostNetwork: false,
  labels: {},
  ...more,
})
const endpoint = (name: string, address: string): EndpointRow => ({
  key: `causeway/${name}/eth0`,
  id: 1,
  pod: { namespace: 'default', name, uid: `uid of ${name}` },
  addresses: [address],
  pool: 'default',
  device: { name: 'cw0', index: 9, mac: '' },
  interface: { name: 'eth0', mac: '', mtu: 1500 },
  netns: { dev: 0n, inode: 0n, path: '' } as unknown as EndpointRow['netns'],
})

test("are the pods of this node in the other CNI's ranges that have no interface of ours, as long as they live", async () => {
  const tables = createTables()
  const stop = new AbortController()
  const former = new FormerPods({ tables, nodeName: 'node-a', ranges: ['10.244.0.0/16', 'fd00:244::/48'] })
  const podsKnown = tables.pods.initializer('test')
  const endpointsKnown = tables.endpoints.initializer('test')
  const running = former.run(stop.signal)
  const found = async () => {
    await settle()
    return [...tables.formerPods.values()].map(row => row.address).sort()
  }
  for (const row of [
    pod('old', '10.244.1.2', { addresses: ['10.244.1.2', 'fd00:244::2'] }),
    pod('ours', '10.244.1.3'),
    pod('elsewhere', '10.244.2.2', { nodeName: 'node-b' }),
    pod('of the host', '10.244.1.1', { hostNetwork: true }),
    pod('of another range', '10.64.1.1'),
  ])
    tables.pods.put(row)
  tables.endpoints.put(endpoint('ours', '10.244.1.3'))
  podsKnown()
  assert.deepEqual(await found(), [], 'more of them may be ours')
  assert.equal(tables.formerPods.initialized, false)
  endpointsKnown()
  assert.deepEqual(await found(), ['10.244.1.2', 'fd00:244::2'])
  assert.equal(tables.formerPods.initialized, true)
  tables.endpoints.put(endpoint('new', '10.244.1.2'))
  assert.deepEqual(await found(), ['fd00:244::2'], 'an address that was given again')
  tables.pods.delete('default/old')
  assert.deepEqual(await found(), [])
  stop.abort()
  await running
})

test('without ranges there are none', async () => {
  const tables = createTables()
  tables.pods.put(pod('stray', '10.244.1.2'))
  await new FormerPods({ tables, nodeName: 'node-a', ranges: [] }).run(new AbortController().signal)
  assert.deepEqual([...tables.formerPods.values()], [])
  assert.equal(tables.formerPods.initialized, true)
})
