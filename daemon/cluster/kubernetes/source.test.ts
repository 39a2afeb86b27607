/** The source as the daemon runs it, against an API server that can be made to fail. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { definitionOf, KINDS } from '../kinds/definitions.ts'
import type { FaultOptions } from '../../../deploy/lab/api-server/faults/fault.ts'
import { node, type TestApi } from '../../../test/support/api-server.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { clientOf, type SourceWorld, startOwnApi, startSource } from '../../../test/support/kubernetes-source.ts'
import { Random } from '../../../test/support/random.ts'
import { nameAndVersion } from './resource-version.ts'
import { RESOURCES } from './resources.ts'

const NODES = '/api/v1/nodes'
const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const NETWORKS = '/apis/causeway.dev/v1alpha1/nodenetworks'
const pods = (namespace: string): string => `/api/v1/namespaces/${namespace}/pods`

const synced = (world: SourceWorld) => eventually(() => world.source.waitingFor() === undefined)
const names = ({ tables }: SourceWorld): string =>
  [...tables.nodes.values()]
    .map(row => row.name)
    .sort()
    .join(' ')
const pod = (name: string, nodeName: string): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default' },
  spec: { nodeName, containers: [{ name: 'c', image: 'i' }] },
})

test('the tables hold what this node needs, and nothing else of the cluster', async () => {
  await using world = await startSource()
  const { admin } = world.api
  await admin.create(NODES, node('n1', { spec: { podCIDRs: ['10.0.1.0/24'] } }))
  await admin.create(pods('default'), pod('own', 'n1'))
  await admin.create(pods('default'), pod('other', 'n2'))
  await admin.create('/api/v1/namespaces/default/services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'elsewhere', labels: { 'service.kubernetes.io/service-proxy-name': 'another' } },
    spec: { ports: [{ port: 80 }] },
  })
  await admin.create('/api/v1/namespaces/default/services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'web',
      annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{"long": 1}', a: 'b' },
    },
    spec: { clusterIP: '10.96.0.7', ports: [{ port: 80 }] },
  })
  await synced(world)
  const { tables } = world
  await eventually(() => tables.services.size > 0 && tables.pods.size > 0 && tables.nodes.size > 0)
  assert.deepEqual(
    [...tables.pods.values()].map(row => row.name),
    ['own'],
  )
  assert.deepEqual(
    [...tables.services.values()].map(row => [row.name, row.clusterIPs, row.annotations]),
    [['web', ['10.96.0.7'], { a: 'b' }]],
  )
  assert.deepEqual(world.source.problems(), [])
  assert.ok([tables.nodes, tables.pods, tables.services, tables.egressPolicies].every(table => table.initialized))
})

test('one connection carries everything', async () => {
  await using world = await startSource()
  await synced(world)
  const { connections, openWatches } = world.api.server.counters()
  // The administrator has one of its own.
  assert.equal(connections, 2)
  assert.ok(Object.values(openWatches).reduce((sum, n) => sum + n, 0) >= 7)
})

test('of namespaces nothing but the metadata comes, by a stream as by pages', async () => {
  await using api = await startOwnApi()
  const { client } = clientOf(api)
  const annotations = { a: 'b' }
  await api.admin.create('/api/v1/namespaces', { metadata: { name: 'team', annotations }, spec: { finalizers: ['x'] } })
  const { signal } = new AbortController()
  const seen: unknown[] = []
  for await (const { items } of client.list(RESOURCES.namespaces, {}, { signal, extent: 'metadata' }))
    seen.push(...items.filter(item => nameAndVersion(item).name === 'team'))
  const query = { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan', allowWatchBookmarks: true }
  const events = client.watch(RESOURCES.namespaces, query, { signal, extent: 'metadata', heard: () => {} })
  for await (const { type, object } of events) {
    if (type === 'BOOKMARK') break
    if (nameAndVersion(object).name === 'team') seen.push(object)
  }
  assert.equal(seen.length, 2)
  for (const object of seen as { kind: string; metadata: object }[]) {
    assert.deepEqual(Object.keys(object).sort(), ['apiVersion', 'kind', 'metadata'])
    assert.equal(object.kind, 'PartialObjectMetadata')
  }
})

test('a node has the ranges of its NodeNetwork, without one those of its Node', async () => {
  await using world = await startSource()
  const { admin } = world.api
  const ranges = (): unknown => world.tables.nodes.get('n1')?.podCidrs
  await admin.create(NODES, node('n1', { spec: { podCIDRs: ['10.0.1.0/24'] } }))
  await synced(world)
  await eventually(() => world.tables.nodes.size === 1)
  assert.deepEqual(ranges(), ['10.0.1.0/24'])
  const network = { apiVersion: 'causeway.dev/v1alpha1', kind: 'NodeNetwork', metadata: { name: 'n1' } }
  await admin.create(NETWORKS, { ...network, spec: { podCidrs: ['10.9.0.0/26'] } })
  await eventually(() => JSON.stringify(ranges()) === '["10.9.0.0/26"]')
  await admin.delete(`${NETWORKS}/n1`)
  await eventually(() => JSON.stringify(ranges()) === '["10.0.1.0/24"]')
})

test('an object that cannot be used is named, and the last one that could counts', async () => {
  await using world = await startSource()
  const { admin } = world.api
  await admin.create(NODES, node('n1', { spec: { podCIDRs: ['10.0.1.0/24'] } }))
  await synced(world)
  await eventually(() => world.tables.nodes.size === 1)
  await admin.patch(`${NODES}/n1`, { spec: { podCIDRs: ['10.0.1'] } })
  await eventually(() => world.source.problems().length > 0)
  assert.deepEqual(world.source.problems(), [
    { place: 'Node n1', message: "spec.podCIDRs[0]: '10.0.1' is no prefix: /length is missing" },
  ])
  assert.deepEqual(world.tables.nodes.get('n1')?.podCidrs, ['10.0.1.0/24'])
  await admin.delete(`${NODES}/n1`)
  await eventually(() => world.source.problems().length === 0 && world.tables.nodes.size === 0)
})

test('missing rights are named one by one, with the rule to add', async () => {
  await using world = await startSource({ token: ({ server }) => server.serviceAccount('kube-system', 'causeway') })
  const rules = [{ apiGroups: [''], resources: ['nodes', 'pods', 'services'], verbs: ['get', 'list', 'watch'] }]
  const { admin } = world.api
  const group = 'rbac.authorization.k8s.io'
  await admin.create(`/apis/${group}/v1/clusterroles`, {
    apiVersion: `${group}/v1`,
    kind: 'ClusterRole',
    metadata: { name: 'c' },
    rules,
  })
  await admin.create(`/apis/${group}/v1/clusterrolebindings`, {
    apiVersion: `${group}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name: 'c' },
    roleRef: { apiGroup: group, kind: 'ClusterRole', name: 'c' },
    subjects: [{ kind: 'ServiceAccount', namespace: 'kube-system', name: 'causeway' }],
  })
  await eventually(() => world.tables.pods.initialized && world.source.problems().length > 0)
  assert.match(world.source.waitingFor() ?? '', /nodenetworks\.causeway\.dev .*forbidden/)
  const rights = world.source.problems().filter(({ place }) => place === 'RBAC')
  assert.ok(
    rights.some(({ message }) =>
      message.includes(
        'may not list or watch endpointslices.discovery.k8s.io; add to the ClusterRole: {apiGroups: ["discovery.k8s.io"], resources: [endpointslices], verbs: [list, watch]}',
      ),
    ),
  )
  const all = [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }]
  await admin.patch(`/apis/${group}/v1/clusterroles/c`, { rules: all })
  await synced(world)
  // What is given since is not named any more.
  await eventually(() => world.source.problems().length === 0)
})

test('a cluster without the own kinds is waited for, saying what is missing', async () => {
  await using world = await startSource({ bare: true })
  await eventually(() => world.tables.pods.initialized)
  assert.equal(world.tables.nodes.initialized, false)
  await eventually(() =>
    /nodenetworks.*CustomResourceDefinition is not installed/.test(world.source.waitingFor() ?? ''),
  )
  for (const kind of KINDS) await world.api.admin.create(DEFINITIONS, definitionOf(kind))
  await synced(world)
  assert.equal(world.tables.nodes.initialized, true, 'they were installed since')
})

for (const [what, from, until, verdict] of [
  ['not valid yet', 60, 120, 'is not valid yet'],
  ['no longer valid', -120, -60, 'has ended'],
] as const)
  test(`a certificate that is ${what} is told with its dates and this node's time`, async () => {
    const at = (minutes: number): Date => new Date(Math.floor(Date.now() / 1000) * 1000 + minutes * 60_000)
    const validity = { from: at(from), until: at(until) }
    await using world = await startSource({ validity, bare: true })
    const span = `valid from ${validity.from.toISOString()} to ${validity.until.toISOString()}`
    await eventually(
      () => world.source.waitingFor()?.includes(`its certificate (${span}) ${verdict} by this node's clock`) === true,
    )
  })

test('the next server of the list is taken where one cannot be reached', async () => {
  await using world = await startSource({ before: ['https://127.0.0.1:1'] })
  await synced(world)
  assert.equal(world.source.problems().length, 0)
})

/** Faults meet the source and not the test. */
const SOURCE = 'source'
const sourceToken = ({ server }: TestApi): string => server.user(SOURCE, ['system:masters'])

const FAULTS: readonly (readonly [what: string, fault: FaultOptions])[] = [
  ['a watch that falls silent', { kind: 'silent-watch', resource: 'nodes', count: 1 }],
  ['a connection cut in the middle of a line', { kind: 'cut', resource: 'nodes', count: 2 }],
  ['an older state than was asked for', { kind: 'stale', resource: 'nodes', count: 2 }],
  ['too many requests', { kind: 'too-many-requests', resource: 'nodes', retryAfterSeconds: 1, count: 2 }],
  ['errors of the server', { kind: 'error', code: 500, count: 5 }],
  ['a server that is not ready', { kind: 'error', code: 503, count: 5 }],
  ['garbage', { kind: 'garbage', resource: 'nodes', count: 2 }],
  ['slow answers', { kind: 'slow', delayMs: 300, count: 5 }],
  ['no bookmarks', { kind: 'no-bookmarks' }],
]
for (const [what, fault] of FAULTS)
  test(`${what}: nothing known is lost, and every change comes`, async () => {
    await using world = await startSource({ idleMs: 600, bookmarkMs: 200, token: sourceToken })
    const { admin, server } = world.api
    for (const name of ['a', 'b', 'c']) await admin.create(NODES, node(name))
    await synced(world)
    await eventually(() => names(world) === 'a b c')
    const seen = new Set<string>()
    const watching = setInterval(() => seen.add(names(world)), 5).unref()
    server.addFault({ ...fault, user: SOURCE })
    await admin.create(NODES, node('d'))
    await admin.delete(`${NODES}/b`)
    if (fault.kind !== 'silent-watch') server.cutConnections()
    await admin.create(NODES, node('e'))
    await eventually(() => names(world) === 'a c d e', { timeoutMs: 20_000 })
    clearInterval(watching)
    for (const state of seen) assert.match(state, /a .*c/, 'what nobody deleted was there all the time')
  })

test('a server that is away: everything stays, and what happened meanwhile comes afterwards', async () => {
  await using world = await startSource()
  const { admin, server } = world.api
  for (const name of ['a', 'b']) await admin.create(NODES, node(name))
  await synced(world)
  await eventually(() => names(world) === 'a b')
  await server.down()
  await eventually(() => world.source.problems().length > 0)
  assert.match(world.source.problems()[0]?.message ?? '', /nodes.*what is known stays/)
  assert.equal(names(world), 'a b')
  assert.equal(world.source.waitingFor(), undefined)
  await server.up()
  await admin.delete(`${NODES}/a`)
  await admin.create(NODES, node('c'))
  await eventually(() => names(world) === 'b c', { timeoutMs: 20_000 })
  await eventually(() => world.source.problems().length === 0, { timeoutMs: 20_000 })
})

test('a server that has forgotten the history gives a whole state, out of which the deleted are missing', async () => {
  await using world = await startSource()
  const { admin, server } = world.api
  for (const name of ['a', 'b']) await admin.create(NODES, node(name))
  await synced(world)
  await eventually(() => names(world) === 'a b')
  await server.down()
  await server.up()
  await admin.delete(`${NODES}/a`)
  server.forget()
  server.cutConnections()
  await eventually(() => names(world) === 'b', { timeoutMs: 20_000 })
})

test('a server that accepts and never answers is given up', async () => {
  await using world = await startSource()
  const { admin, server } = world.api
  await admin.create(NODES, node('a'))
  await synced(world)
  server.halfOpen(true)
  server.cutConnections()
  await eventually(() => world.source.problems().length > 0, { timeoutMs: 20_000 })
  server.halfOpen(false)
  await admin.create(NODES, node('b'))
  await eventually(() => names(world) === 'a b', { timeoutMs: 20_000 })
})

for (const seed of [1, 2, 3])
  test(`random changes and faults end in what the server has (seed ${seed})`, async () => {
    await using world = await startSource({ idleMs: 500, bookmarkMs: 150, historyLimit: 20, token: sourceToken })
    await synced(world)
    const random = new Random(seed)
    for (let round = 0; round < 60; round++) await disturb(world.api, random)
    world.api.server.clearFaults()
    const listed = await world.api.admin.get(NODES)
    const items = listed.json.items as { metadata: { name: string; labels?: Record<string, string> } }[]
    const want = items.map(({ metadata }) => `${metadata.name} ${metadata.labels?.round ?? ''}`).sort()
    const have = (): string[] =>
      [...world.tables.nodes.values()].map(row => `${row.name} ${row.labels.round ?? ''}`).sort()
    await eventually(() => JSON.stringify(have()) === JSON.stringify(want), { timeoutMs: 20_000 })
    assert.deepEqual(have(), want)
  })

async function disturb({ admin, server }: TestApi, random: Random): Promise<void> {
  const name = `n${random.below(8)}`
  const what = random.below(12)
  if (what < 4) await admin.create(NODES, node(name))
  else if (what < 7) await admin.patch(`${NODES}/${name}`, { metadata: { labels: { round: `${random.below(1000)}` } } })
  else if (what < 9) await admin.delete(`${NODES}/${name}`)
  else if (what === 9) server.addFault({ ...random.pick(FAULTS)[1], user: SOURCE })
  else if (what === 10) server.forget()
  else server.cutConnections()
}
