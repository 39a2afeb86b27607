/** What the chart allows daemon and operator is what they need: the real ones ask an API server that knows its roles. */
import assert from 'node:assert/strict'
import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createSource } from '../../daemon/cluster/create-source.ts'
import { nodeFacts } from '../../daemon/cluster/node-facts.ts'
import { NodeReport } from '../../daemon/cluster/kubernetes/node-report.ts'
import { RESOURCES } from '../../daemon/cluster/kubernetes/resources.ts'
import { Warnings } from '../../daemon/cluster/kubernetes/warnings.ts'
import { loadConfig } from '../../daemon/config/load.ts'
import { runOperator } from '../../daemon/operator.ts'
import { systemClock } from '../../daemon/state/clock.ts'
import { createTables } from '../../daemon/state/tables.ts'
import { plugins } from '../../plugins/index.ts'
import { node, startTestApi, type TestApi } from '../../test/support/api-server.ts'
import { eventually } from '../../test/support/eventually.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import { FakeMetrics } from '../../test/support/fake-metrics.ts'
import { type Json, listAt, textAt, valueAt } from '../lab/api-server/objects/json.ts'
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
    node('node2', { status: { nodeInfo: { bootID: 'second' } } }),
    own('NodeNetwork', 'node2', { podCidrs: ['10.64.7.0/24'] }, 'of-a-node-before'),
    node('node3'),
    own('NodeNetwork', 'node3', { podCidrs: ['10.64.8.0/24'] }),
    own('NodeSettings', 'some', { settings: { mtu: 1400 } }),
    own('EgressPolicy', 'some', { selectors: [{}], destinations: ['192.0.2.0/24'], gateways: [{ nodeSelector: {} }] }),
    { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace: 'default' }, spec: {} },
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'deny', namespace: 'default' },
      spec: { podSelector: {} },
    },
  ] as never)
}

function own(kind: string, name: string, spec: object, nodeUid?: string): object {
  const owner = { apiVersion: 'v1', kind: 'Node', name, uid: nodeUid }
  const metadata = { name, ...(nodeUid !== undefined && { ownerReferences: [owner] }) }
  return { apiVersion: 'causeway.dev/v1alpha1', kind, metadata, spec }
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
  const operator = runOperator(
    configOf(api, mount(api, folder(), 'causeway-operator')),
    () => Promise.resolve(undefined),
    stopping.signal,
  )
  const log = new FakeLog()
  const config = configOf(api, mount(api, folder(), 'causeway'))
  const keeping = { ...config, paths: { ...config.paths, state: folder() } }
  const build = { version: '0', node: '0' }
  const tables = createTables()
  const { source, api: side } = await createSource(
    { config: keeping, bootId: 'b', build, tables, log, metrics: new FakeMetrics() },
    undo,
  )
  assert.ok(side)
  const status = () => ({ ready: true, waiting: [], pools: [], problems: [] })
  const { client, ownUids } = side
  const common = { client, log, clock: systemClock }
  const facts = () => nodeFacts(config, tables, 'none')
  const own = { nodeName: 'node1', ownUids, bootId: 'b', version: '0' }
  const report = new NodeReport({ ...common, ...own, status, facts, tables })
  const running = [operator, source.run(stopping.signal), report.run(stopping.signal)]
  undo.defer(async () => {
    stopping.abort()
    await Promise.all(running)
  })
  const warnings = new Warnings({ ...common, nodeName: 'node1' })
  running.push(warnings.run(stopping.signal))
  // An Event of the daemon at a kind that is asked for its uid, each.
  const objects = [
    { resource: RESOURCES.nodes, name: 'node1', namespace: '', uid: '' },
    { resource: RESOURCES.services, name: 'web', namespace: 'default', uid: '' },
    { resource: RESOURCES.pods, name: 'none', namespace: 'default', uid: '' },
    { resource: RESOURCES.egressPolicies, name: 'some', namespace: '', uid: '' },
  ]
  for (const object of objects) warnings.warn({ object, reason: 'Test', message: 'text' })
  const isReady = async (): Promise<boolean> => {
    const { json } = await api.admin.get('/api/v1/nodes/node1')
    const events = await api.admin.get('/api/v1/events')
    const reasons = listAt(events.json, 'items').map(event => textAt(event, 'reason'))
    return (
      listAt(json, 'spec', 'taints').length === 1 &&
      reasons.filter(reason => reason === 'Test').length === 3 &&
      reasons.includes('NotEnforced') &&
      source.waitingFor() === undefined
    )
  }
  await eventually(isReady, { timeoutMs: 30_000, pollMs: 50 })
  const network = await api.admin.get('/apis/causeway.dev/v1alpha1/nodenetworks/node1')
  assert.deepEqual(valueAt(network.json, 'spec', 'podCidrs'), ['10.64.0.0/24'])
  const at = async (path: string): Promise<Json> => (await api.admin.get(`/apis/causeway.dev/v1alpha1/${path}`)).json
  for (const path of ['ippools/default', 'nodesettings/some', 'egresspolicies/some'])
    await eventually(async () => listAt(await at(path), 'status', 'conditions').length > 0)
  for (const name of ['node2', 'node3'])
    await eventually(async () => {
      const [owner] = listAt(await at(`nodenetworks/${name}`), 'metadata', 'ownerReferences')
      return textAt(owner, 'uid') === textAt((await api.admin.get(`/api/v1/nodes/${name}`)).json, 'metadata', 'uid')
    })
  assert.deepEqual(source.problems(), [])
  assert.equal(api.server.counters().answers['403'], undefined)
  const { json } = await api.admin.get('/api/v1/nodes/node1')
  assert.deepEqual(valueAt(json, 'spec', 'taints'), [OTHER_TAINT])
})
