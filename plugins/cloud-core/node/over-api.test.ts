/** The whole way by an API server: a pod is bound, the node tells it, the operator answers, the pod has an address. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../../daemon/state/clock.ts'
import { listAt, type Json } from '../../../deploy/lab/api-server/objects/json.ts'
import { node } from '../../../test/support/api-server.ts'
import { startCloudHalf } from '../../../test/support/cloud-half.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { FakeNotes } from '../../../test/support/fake-notes.ts'
import { startOwnApi } from '../../../test/support/kubernetes-source.ts'
import { cloudPlugin } from './node-plugin.ts'
import { parseCloudOptions } from './options.ts'

const NETWORK = '/apis/causeway.dev/v1alpha1/nodenetworks'
const NIC = { id: 'eni-1', mac: '02:00:00:00:00:01', index: 0, phase: 'ready' }
const PODS = '/api/v1/namespaces/default/pods'
const podOf = (name: string): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { nodeName: 'node-a', containers: [{ name: 'c', image: 'i' }] },
})
/** From the request to the address, apart from the cloud's own time; a slow machine needs some of it for the requests. */
const SOON_MS = 1500

test('demand of pods that are bound reaches the operator before their requests, and its answer the pods', async () => {
  await using stack = new AsyncDisposableStack()
  const api = stack.use(await startOwnApi())
  const { admin } = api
  await admin.create('/api/v1/nodes', node('node-a'))
  const kind = { apiVersion: 'causeway.dev/v1alpha1', kind: 'NodeNetwork', metadata: { name: 'node-a' } }
  await admin.create(NETWORK, { ...kind, spec: { cloud: { provider: 'aws', nics: [NIC], blocks: [] } } })
  const parse = (raw: unknown) => parseCloudOptions('aws-eni', raw)
  const plugin = cloudPlugin({ name: 'aws-eni', provider: 'aws', parse }, systemClock)
  const half = stack.use(await startCloudHalf(api, 'node-a', { plugin, notes: new FakeNotes().open() }))

  const network = async (): Promise<Json> => (await admin.get(`${NETWORK}/node-a`)).json
  const waiting = async (): Promise<Json | undefined> =>
    Object(listAt(await network(), 'status', 'cloudAddresses', 'demand')[0]).waiting as Json | undefined
  await eventually(async () => (await waiting()) === 0)
  for (const name of ['a', 'b', 'c']) await admin.create(PODS, podOf(name))
  await eventually(async () => (await waiting()) === 3)
  const asked = performance.now()
  const requests = ['a', 'b', 'c'].map(name => half.take(name))
  const blocks = [{ block: '10.0.0.16/28', nic: 'eni-1', phase: 'allocatable', born: 1 }]
  await admin.patch(`${NETWORK}/node-a`, { spec: { cloud: { blocks, lastBorn: 1 } } })
  const leases = await Promise.all(requests)
  assert.ok(performance.now() - asked < SOON_MS)
  assert.deepEqual(
    leases.map(({ address }) => address),
    ['10.0.0.16', '10.0.0.17', '10.0.0.18'],
  )
  await eventually(async () => (await waiting()) === 0)
  // Pods that have not got so far that their address stands in their status, and start anew.
  for (const lease of leases.slice(1)) await half.release(lease)
  await eventually(async () => (await waiting()) === 2)
  for (const name of ['b', 'c']) await admin.delete(`${PODS}/${name}`)
  await eventually(async () => (await waiting()) === 0)
  assert.deepEqual(half.log.lines, [])
})
