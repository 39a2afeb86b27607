/** Objects that a newer build has written, in a cluster with newer definitions, and what this build does with them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { node, type TestApi } from '../../test/support/api-server.ts'
import { eventually } from '../../test/support/eventually.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import { clientOf, startOwnApi } from '../../test/support/kubernetes-source.ts'
import { asText, listAt, textAt, valueAt } from '../../deploy/lab/api-server/objects/json.ts'
import { definitionOf, KINDS } from '../cluster/kinds/definitions.ts'
import { writeStatus } from '../cluster/kubernetes/conditions.ts'
import { RESOURCES } from '../cluster/kubernetes/resources.ts'
import { systemClock } from '../state/clock.ts'
import { Leadership } from './lead.ts'

const NEWER = '/apis/causeway.dev/v1beta1'
const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'

interface Version {
  readonly name: string
  readonly served: boolean
  readonly storage: boolean
  readonly schema: {
    readonly openAPIV3Schema: { readonly properties: Readonly<Record<string, { properties: object }>> }
  }
}
type Definition = object & {
  readonly metadata: { readonly name: string }
  readonly spec: { readonly versions: readonly [Version] }
}

/** As a later build prints it: a version more, which is stored, and a field more in both, for they have one schema. */
function newer(definition: Definition, served = true): Definition {
  const [version] = definition.spec.versions
  const { spec = { properties: {} }, status = { properties: {} }, ...rest } = version.schema.openAPIV3Schema.properties
  const keys = { keys: { type: 'array', items: { type: 'string' } } }
  const properties = {
    ...rest,
    spec: { ...spec, properties: { ...spec.properties, ...keys } },
    status: { ...status, properties: { ...status.properties, ...keys } },
  }
  const schema = { openAPIV3Schema: { ...version.schema.openAPIV3Schema, properties } }
  const old = { ...version, served, storage: false, schema }
  const versions = [{ ...old, name: 'v1beta1', served: true, storage: true }, old]
  const metadata = { ...definition.metadata, annotations: { 'causeway.dev/revision': '99' } }
  return { ...definition, metadata, spec: { ...definition.spec, versions } } as unknown as Definition
}

async function startNewer(): Promise<TestApi> {
  const api = await startOwnApi({ bare: true })
  for (const kind of KINDS) {
    const { status, text } = await api.admin.create(DEFINITIONS, newer(definitionOf(kind) as Definition))
    assert.equal(status, 201, text)
  }
  return api
}

async function lead(api: TestApi, stack: AsyncDisposableStack) {
  const { client, connection } = clientOf(api)
  stack.use(connection)
  const [stop, log] = [new AbortController(), new FakeLog()]
  const refusal = () => Promise.resolve(undefined)
  const leader = new Leadership({ client, log, clock: systemClock, idleMs: 30_000, identity: 'operator', refusal })
  const running = leader.run(stop.signal)
  stack.defer(async () => {
    stop.abort()
    await running
  })
  return { leader, client, log }
}

function own(kind: string, name: string, rest: object): object {
  return { apiVersion: 'causeway.dev/v1beta1', kind, metadata: { name }, ...rest }
}

test('what only a newer build knows outlives the writes of this one', async () => {
  await using stack = new AsyncDisposableStack()
  const api = stack.use(await startNewer())
  await api.admin.create('/api/v1/nodes', node('a'))
  const cidrs = [{ cidr: '10.1.0.0/16' }, { cidr: 'fd00::/56' }]
  await api.admin.create(`${NEWER}/ippools`, own('IPPool', 'p', { spec: { cidrs, keys: ['pool'] } }))
  const spec = { podCidrs: ['10.1.7.0/24'], pool: 'p', keys: ['network'] }
  await api.admin.create(`${NEWER}/nodenetworks`, own('NodeNetwork', 'a', { spec }))
  await api.admin.patch(`${NEWER}/nodenetworks/a/status`, { status: { keys: ['reported'] } })
  await api.admin.patch(`${NEWER}/ippools/p/status`, { status: { keys: ['told'] } })
  const { client, log } = await lead(api, stack)
  const network = async () => (await api.admin.get(`${NEWER}/nodenetworks/a`)).json
  const pool = async () => (await api.admin.get(`${NEWER}/ippools/p`)).json
  // A range of the other family, an owner, a status.
  await eventually(async () => listAt(await network(), 'spec', 'podCidrs').length === 2)
  await eventually(async () => listAt(await network(), 'metadata', 'ownerReferences').length === 1)
  await eventually(async () => listAt(await pool(), 'status', 'conditions').length > 0)
  const ready = { type: 'Ready', status: 'True', reason: 'DaemonReady', message: '' } as const
  const update = { conditions: [ready], fields: { version: '1' } }
  await writeStatus(client, { resource: RESOURCES.nodeNetworks, name: 'a' }, update, AbortSignal.timeout(5000))
  const after = await network()
  assert.deepEqual(valueAt(after, 'spec', 'keys'), ['network'])
  assert.deepEqual(valueAt(after, 'status', 'keys'), ['reported'])
  assert.equal(valueAt(after, 'status', 'version'), '1')
  assert.deepEqual(valueAt(await pool(), 'spec', 'keys'), ['pool'])
  assert.deepEqual(valueAt(await pool(), 'status', 'keys'), ['told'])
  assert.match(log.lines.join('\n'), /info the definition of an own kind is newer definition=ippools\.causeway\.dev/)
})

test('objects of this build are good for a newer one, which adds to them', async () => {
  await using stack = new AsyncDisposableStack()
  const api = stack.use(await startOwnApi())
  await api.admin.create('/api/v1/nodes', node('a'))
  await api.admin.create('/apis/causeway.dev/v1alpha1/ippools', {
    ...own('IPPool', 'p', { spec: { cidrs: [{ cidr: '10.1.0.0/16' }] } }),
    apiVersion: 'causeway.dev/v1alpha1',
  })
  const { log } = await lead(api, stack)
  const ranges = async (path: string) => asText(valueAt((await api.admin.get(path)).json, 'spec', 'podCidrs'))
  await eventually(async () => (await ranges('/apis/causeway.dev/v1alpha1/nodenetworks/a')) === '["10.1.0.0/24"]')
  for (const kind of KINDS) {
    const definition = newer(definitionOf(kind) as Definition)
    const { status, text } = await api.admin.patch(`${DEFINITIONS}/${definition.metadata.name}`, definition)
    assert.equal(status, 200, text)
  }
  assert.equal(await ranges(`${NEWER}/nodenetworks/a`), '["10.1.0.0/24"]')
  assert.equal((await api.admin.patch(`${NEWER}/nodenetworks/a`, { spec: { keys: ['k'] } })).status, 200)
  // The older one goes on: its watch brings the next Node.
  await api.admin.create('/api/v1/nodes', node('b'))
  await eventually(async () => (await ranges(`${NEWER}/nodenetworks/b`)) === '["10.1.1.0/24"]')
  assert.deepEqual(
    log.lines.filter(line => line.startsWith('error')),
    [],
  )
})

test('a definition that serves this version no more is said to be that, with what to do', async () => {
  await using stack = new AsyncDisposableStack()
  const api = stack.use(await startOwnApi({ bare: true }))
  for (const kind of KINDS) {
    const served = kind.resource.plural !== 'ippools'
    await api.admin.create(DEFINITIONS, newer(definitionOf(kind) as Definition, served))
  }
  const { leader } = await lead(api, stack)
  const place = 'CustomResourceDefinition ippools.causeway.dev'
  const problem = (): string => leader.problems().find(each => each.place === place)?.message ?? ''
  await eventually(() => problem() !== '')
  assert.match(problem(), /^serves v1beta1, and this build reads v1alpha1: run a newer build/)
  const unheard = (): boolean =>
    leader
      .problems()
      .some(({ place: of, message }) => of.includes('ippools') && message.includes('does not serve v1alpha1'))
  await eventually(unheard)
  const told = async (): Promise<boolean> => {
    const { json } = await api.admin.get('/api/v1/events')
    return listAt(json, 'items').some(each => textAt(each, 'reason') === 'VersionNotServed')
  }
  await eventually(told)
})
