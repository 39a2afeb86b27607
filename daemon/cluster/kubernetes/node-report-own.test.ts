/** What a daemon says of its node, and of whose NodeNetwork. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { node } from '../../../test/support/api-server.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { FakeLog } from '../../../test/support/fake-log.ts'
import { startSource } from '../../../test/support/kubernetes-source.ts'
import { type Json, listAt, textAt } from '../../../deploy/lab/api-server/objects/json.ts'
import { systemClock } from '../../state/clock.ts'
import { NodeReport } from './node-report.ts'

const NETWORKS = '/apis/causeway.dev/v1alpha1/nodenetworks'

function networkOf(name: string, ownerUid: string, podCidrs: readonly string[]): object {
  const ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name, uid: ownerUid }]
  return {
    apiVersion: 'causeway.dev/v1alpha1',
    kind: 'NodeNetwork',
    metadata: { name, ownerReferences },
    spec: { podCidrs },
  }
}

const isReady = (json: Json): boolean =>
  listAt(json, 'status', 'conditions').some(
    each => textAt(each, 'type') === 'Ready' && textAt(each, 'status') === 'True',
  )

test('the NodeNetwork of a Node of the same name that is gone is not this node’s: not its ranges, not its report', async () => {
  await using stack = new AsyncDisposableStack()
  const world = stack.use(await startSource({ nodeName: 'n1' }))
  const { api, client, source, tables } = world
  const uidOf = (json: Json): string => textAt(json, 'metadata', 'uid')
  const first = uidOf((await api.admin.create('/api/v1/nodes', node('n1'))).json)
  await api.admin.create(NETWORKS, networkOf('n1', first, ['10.0.0.0/24']))
  const log = new FakeLog()
  const status = () => ({ ready: true, waiting: [], pools: [], problems: [] })
  const ownUids = () => source.ownUids()
  const report = new NodeReport({
    client,
    nodeName: 'n1',
    ownUids,
    bootId: 'b',
    version: '1',
    status,
    facts: () => ({ cloud: 'none', nativeNetwork: '', podAddresses: [] }),
    tables,
    log,
    clock: systemClock,
  })
  const stop = new AbortController()
  const running = report.run(stop.signal)
  stack.defer(async () => {
    stop.abort()
    await running
  })
  const network = async (): Promise<Json> => (await api.admin.get(`${NETWORKS}/n1`)).json
  await eventually(async () => isReady(await network()))
  await eventually(() => tables.nodes.get('n1')?.podCidrs.join() === '10.0.0.0/24')

  // Made anew; the NodeNetwork that is there bears the first one's uid, as one does whose deletion is under way.
  await api.admin.delete('/api/v1/nodes/n1')
  await api.admin.delete(`${NETWORKS}/n1`)
  api.server.load([networkOf('n1', first, ['10.0.0.0/24'])] as never)
  const second = uidOf((await api.admin.create('/api/v1/nodes', node('n1'))).json)
  assert.notEqual(first, second)
  const refused = (): boolean => log.lines.some(line => line.includes('is of a Node of that name that is gone'))
  await eventually(refused, { timeoutMs: 10_000 })
  assert.equal(isReady(await network()), false)
  assert.deepEqual(tables.nodes.get('n1')?.podCidrs, [])

  // As the operator does; a report follows soon, although nothing has changed on the node.
  await api.admin.delete(`${NETWORKS}/n1`)
  await api.admin.create(NETWORKS, networkOf('n1', second, ['10.0.1.0/24']))
  await eventually(async () => isReady(await network()), { timeoutMs: 10_000 })
  assert.deepEqual(tables.nodes.get('n1')?.podCidrs, ['10.0.1.0/24'])
})
