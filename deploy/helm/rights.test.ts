/** What the chart allows daemon and operator is what they need: the real ones ask an API server that knows its roles. */
import assert from 'node:assert/strict'
import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createSource } from '../../daemon/cluster/create-source.ts'
import { EventRecorder } from '../../daemon/cluster/kubernetes/events.ts'
import { nodeFacts } from '../../daemon/cluster/node-facts.ts'
import { NodeReport } from '../../daemon/cluster/kubernetes/node-report.ts'
import { RESOURCES } from '../../daemon/cluster/kubernetes/resources.ts'
import { loadConfig } from '../../daemon/config/load.ts'
import { runOperator } from '../../daemon/operator.ts'
import { systemClock } from '../../daemon/state/clock.ts'
import { createTables } from '../../daemon/state/tables.ts'
import { plugins } from '../../plugins/index.ts'
import { node, startTestApi, type TestApi } from '../../test/support/api-server.ts'
import { eventually } from '../../test/support/eventually.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import { FakeMetrics } from '../../test/support/fake-metrics.ts'
import { listAt, textAt, valueAt } from '../lab/api-server/objects/json.ts'
import { readCrds, renderManifests } from './render.ts'

const OTHER_TAINT = { key: 'example.com/dedicated', effect: 'NoExecute' }

/** Puts the chart's objects and a small cluster into the server. */
async function fill(api: TestApi): Promise<void> {
  for (const crd of readCrds()) await api.admin.create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd)
  api.server.load([
    ...renderManifests(),
    node('node1', {
      spec: { taints: [{ key: 'causeway.dev/not-ready', effect: 'NoSchedule' }, OTHER_TAINT] },
      status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] },
    }),
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'deny', namespace: 'default' },
      spec: { podSelector: {} },
    },
  ] as never)
}

/** The folder of a service account as kubelet mounts it. */
function mount(api: TestApi, folder: string, name: string): string {
  writeFileSync(join(folder, 'token'), api.server.serviceAccount('kube-system', name))
  writeFileSync(join(folder, 'ca.crt'), api.server.ca)
  return folder
}

function configOf(api: TestApi, serviceAccount: string) {
  const set = [
    'nodeName=node1',
    'logLevel=error',
    'cluster.source=kubernetes',
    `cluster.kubernetes.servers=${api.server.url}`,
    `cluster.kubernetes.serviceAccount=${serviceAccount}`,
  ]
  return loadConfig({ pluginNames: plugins.map(plugin => plugin.name), set }).config
}

test('daemon and operator are refused nothing with the rights of the chart', async () => {
  await using api = await startTestApi()
  await using undo = new AsyncDisposableStack()
  const stopping = new AbortController()
  const folder = (): string => undo.use(mkdtempDisposableSync(join(tmpdir(), 'causeway-account-'))).path
  await fill(api)
  const operator = runOperator(configOf(api, mount(api, folder(), 'causeway-operator')), stopping.signal)
  const log = new FakeLog()
  const config = configOf(api, mount(api, folder(), 'causeway'))
  const keeping = { ...config, paths: { ...config.paths, state: folder() } }
  const build = { version: '0', node: '0' }
  const tables = createTables()
  const { source, client } = await createSource(
    { config: keeping, bootId: 'b', build, tables, log, metrics: new FakeMetrics() },
    undo,
  )
  assert.ok(client)
  const status = () => ({ ready: true, waiting: [], pools: [], problems: [] })
  const common = { client, log, clock: systemClock }
  const facts = () => nodeFacts(config, tables, 'none')
  const report = new NodeReport({ ...common, nodeName: 'node1', bootId: 'b', version: '0', status, facts, tables })
  const running = [operator, source.run(stopping.signal), report.run(stopping.signal)]
  undo.defer(async () => {
    stopping.abort()
    await Promise.all(running)
  })
  const recorder = new EventRecorder({ ...common, component: 'causeway', instance: 'node1' })
  await recorder.warn(
    { resource: RESOURCES.nodes, name: 'node1', namespace: '', uid: '' },
    'Test',
    'text',
    stopping.signal,
  )
  const isReady = async (): Promise<boolean> => {
    const { json } = await api.admin.get('/api/v1/nodes/node1')
    const events = await api.admin.get('/api/v1/events')
    const reasons = listAt(events.json, 'items').map(event => textAt(event, 'reason'))
    return listAt(json, 'spec', 'taints').length === 1 && reasons.length >= 2 && source.waitingFor() === undefined
  }
  await eventually(isReady, { timeoutMs: 30_000, pollMs: 50 })
  const network = await api.admin.get('/apis/causeway.dev/v1alpha1/nodenetworks/node1')
  assert.deepEqual(valueAt(network.json, 'spec', 'podCidrs'), ['10.64.0.0/24'])
  assert.deepEqual(source.problems(), [])
  assert.equal(api.server.counters().answers['403'], undefined)
  const { json } = await api.admin.get('/api/v1/nodes/node1')
  assert.deepEqual(valueAt(json, 'spec', 'taints'), [OTHER_TAINT])
})
