/** What one node's daemon publishes, as another's sees it, by an API server that holds objects to their definitions. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { node } from '../../../test/support/api-server.ts'
import { endpointRow } from '../../../test/support/endpoint-row.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { clientOf, startSource } from '../../../test/support/kubernetes-source.ts'
import { systemClock } from '../../state/clock.ts'
import { createTables } from '../../state/tables.ts'
import { nodeFacts } from '../node-facts.ts'
import { NodeReport } from './node-report.ts'

const NETWORKS = '/apis/causeway.dev/v1alpha1/nodenetworks'
/** So soon other nodes know where a new pod is; a slow machine needs some of it for the requests. */
const SOON_MS = 800

test('cloud, native network and pods outside the ranges of a node reach the others, the last at once', async () => {
  await using world = await startSource({ nodeName: 'n1' })
  const { api, tables: seen } = world
  await api.admin.create('/api/v1/nodes', node('n2', { spec: { podCIDRs: ['10.0.2.0/24'] } }))
  const kind = { apiVersion: 'causeway.dev/v1alpha1', kind: 'NodeNetwork', metadata: { name: 'n2' } }
  await api.admin.create(NETWORKS, { ...kind, spec: {} })
  const tables = createTables()
  tables.nodes.put({ name: 'n2', addresses: [], podCidrs: ['10.0.2.0/24'], labels: {} })
  const { client, connection, log } = clientOf(api)
  const settings = {
    nodeName: 'n2',
    routing: { nativeNetwork: 'rack/7' },
  } as const
  const report = new NodeReport({
    client,
    nodeName: 'n2',
    ownUids: () => ({ node: '', network: '' }),
    bootId: 'b',
    version: '1',
    status: () => ({ ready: true, waiting: [], pools: [], problems: [] }),
    facts: () => nodeFacts(settings, tables, 'azure'),
    tables,
    log,
    clock: systemClock,
  })
  const stop = new AbortController()
  const running = report.run(stop.signal)
  const row = () => seen.nodes.get('n2')
  try {
    await eventually(() => row()?.nativeNetwork === 'rack/7')
    assert.deepEqual([row()?.cloud, row()?.podAddresses], ['azure', undefined])
    tables.endpoints.put(endpointRow('a', ['10.9.0.7', 'fd00:9::7', '10.0.2.7']))
    await eventually(() => row()?.podAddresses?.length === 2, { timeoutMs: SOON_MS, pollMs: 2 })
    assert.deepEqual(row()?.podAddresses, ['10.9.0.7', 'fd00:9::7'])
    tables.endpoints.delete('causeway/a/eth0')
    await eventually(() => row()?.podAddresses === undefined, { timeoutMs: SOON_MS, pollMs: 2 })
    assert.deepEqual(
      log.lines.filter(line => !line.startsWith('info ')),
      [],
    )
  } finally {
    stop.abort()
    await running
    connection[Symbol.dispose]()
  }
})
