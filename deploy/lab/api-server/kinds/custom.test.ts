import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  eventText,
  namesIn,
  refusalOf,
  startTestApi,
  take,
  type TestApi,
  versionOf,
} from '../../../../test/support/api-server.ts'
import { asText, listAt, objectAt, textAt, valueAt } from '../objects/json.ts'

let api: TestApi
before(async () => {
  api = await startTestApi()
  assert.equal((await api.admin.create(CRDS, pools())).status, 201)
})
after(() => api[Symbol.asyncDispose]())

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const POOLS = '/apis/a.example/v1/pools'

function pools(group = 'a.example'): object {
  const text = { type: 'string' }
  const schema = {
    type: 'object',
    required: ['spec'],
    properties: {
      spec: {
        type: 'object',
        required: ['cidrs'],
        properties: {
          cidrs: { type: 'array', minItems: 1, maxItems: 2, items: { type: 'string', format: 'cidr' } },
          mode: { type: 'string', enum: ['native', 'overlay'], default: 'native' },
          size: { type: 'integer', minimum: 1, maximum: 32 },
          port: { 'x-kubernetes-int-or-string': true },
          free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
          selector: { type: 'object', additionalProperties: text },
          name: { type: 'string', pattern: '^[a-z]+$', maxLength: 4 },
          entries: {
            type: 'array',
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['name'],
            items: { type: 'object', properties: { name: text, value: text } },
          },
        },
      },
      status: { type: 'object', properties: { free: { type: 'integer' }, phase: text } },
    },
  }
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `pools.${group}` },
    spec: {
      group,
      scope: 'Cluster',
      names: { plural: 'pools', singular: 'pool', kind: 'Pool', shortNames: ['pl'] },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schema },
          subresources: { status: {} },
          additionalPrinterColumns: [
            { name: 'Mode', type: 'string', jsonPath: '.spec.mode' },
            { name: 'Free', type: 'integer', jsonPath: '.status.free', priority: 1 },
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          ],
        },
      ],
    },
  }
}

const pool = (name: string, spec: object, more: object = {}): object => ({
  apiVersion: 'a.example/v1',
  kind: 'Pool',
  metadata: { name },
  spec: { cidrs: ['10.0.0.0/8'], ...spec },
  ...more,
})

test('a definition says when what it defines is served', async () => {
  const { json } = await api.admin.get(`${CRDS}/pools.a.example`)
  const conditions = listAt(json, 'status', 'conditions').map(c => `${textAt(c, 'type')}=${textAt(c, 'status')}`)
  assert.deepEqual(conditions, ['NamesAccepted=True', 'Established=True'])
  assert.deepEqual(valueAt(json, 'status', 'storedVersions'), ['v1'])
  const found = listAt((await api.admin.get('/apis/a.example/v1')).json, 'resources')
  assert.deepEqual(
    found.map(r => textAt(r, 'name')),
    ['pools', 'pools/status'],
  )
  assert.deepEqual(valueAt(found[0], 'shortNames'), ['pl'])
})

test('defaults are set, unknown fields are dropped with a warning', async () => {
  const answer = await api.admin.create(POOLS, pool('defaults', { colour: 'red', free: { any: { thing: 1 } } }))
  assert.deepEqual(objectAt(answer.json, 'spec'), {
    cidrs: ['10.0.0.0/8'],
    mode: 'native',
    free: { any: { thing: 1 } },
  })
  assert.equal(answer.headers['warning'], '299 - "unknown field \\"spec.colour\\""')
})

test('unknown fields are refused where that is asked for', async () => {
  const answer = await api.admin.create(`${POOLS}?fieldValidation=Strict`, pool('strict', { colour: 'red' }))
  assert.equal(refusalOf(answer), '400 BadRequest: strict decoding error: unknown field "spec.colour"')
})

for (const [spec, want] of [
  [{ cidrs: [] }, 'spec.cidrs: Invalid value: []: spec.cidrs in body should have at least 1 items'],
  [{ cidrs: ['::/0', '::/1', '::/2'] }, 'spec.cidrs: Too many: 3: must have at most 2 items'],
  [
    { cidrs: ['10.0.0.0'] },
    'spec.cidrs[0]: Invalid value: "10.0.0.0": spec.cidrs[0] in body must be of type cidr: "10.0.0.0"',
  ],
  [{ mode: 'fast' }, 'spec.mode: Unsupported value: "fast": supported values: "native", "overlay"'],
  [{ size: 'big' }, 'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"'],
  [{ size: 0 }, 'spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1'],
  [{ size: 33 }, 'spec.size: Invalid value: 33: spec.size in body should be less than or equal to 32'],
  [{ port: true }, 'spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"'],
  [{ name: 'A' }, `spec.name: Invalid value: "A": spec.name in body should match '^[a-z]+$'`],
  [{ name: 'abcde' }, 'spec.name: Too long: may not be more than 4 bytes'],
  [
    { selector: { a: 1 } },
    'spec.selector.a: Invalid value: "integer": spec.selector.a in body must be of type string: "integer"',
  ],
  [{ entries: [{ name: 'a' }, { name: 'a' }] }, 'spec.entries[1]: Duplicate value: {"name":"a"}'],
] as const)
  test(`what breaks the schema is refused: ${JSON.stringify(spec)}`, async () => {
    const answer = await api.admin.create(POOLS, pool('refused', spec))
    assert.equal(refusalOf(answer), `422 Invalid: Pool.a.example "refused" is invalid: ${want}`)
  })

test('everything that is wrong is told at once', async () => {
  const answer = await api.admin.create(POOLS, { metadata: { name: 'twice' }, spec: { size: 0 } })
  assert.deepEqual(
    listAt(answer.json, 'details', 'causes').map(c => `${textAt(c, 'field')} ${textAt(c, 'reason')}`),
    ['spec.cidrs FieldValueRequired', 'spec.size FieldValueInvalid'],
  )
})

test('a status is its own, and does not count as a change of what is wanted', async () => {
  const made = await api.admin.create(POOLS, pool('reported', {}, { status: { phase: 'Mine' } }))
  assert.equal(valueAt(made.json, 'status'), undefined)
  const change = { metadata: { labels: { a: 'b' } }, spec: { size: 9 }, status: { free: 7 } }
  const { json } = await api.admin.patch(`${POOLS}/reported/status`, change)
  assert.deepEqual(valueAt(json, 'status'), { free: 7 })
  assert.equal(valueAt(json, 'spec', 'size'), undefined)
  assert.equal(valueAt(json, 'metadata', 'labels'), undefined)
  assert.equal(valueAt(json, 'metadata', 'generation'), 1)
  const wanted = await api.admin.patch(`${POOLS}/reported`, change)
  assert.deepEqual([valueAt(wanted.json, 'metadata', 'generation'), valueAt(wanted.json, 'status', 'free')], [2, 7])
})

test('an update must say what it has seen, and no strategic merge patch is known', async () => {
  const { json } = await api.admin.create(POOLS, pool('versioned', {}))
  assert.match(
    refusalOf(await api.admin.update(`${POOLS}/versioned`, pool('versioned', {}))),
    /^422 .*must be specified for an update$/,
  )
  const next = pool('versioned', { size: 3 }, { metadata: { name: 'versioned', resourceVersion: versionOf(json) } })
  assert.equal((await api.admin.update(`${POOLS}/versioned`, next)).status, 200)
  assert.equal((await api.admin.patch(`${POOLS}/versioned`, {}, 'application/strategic-merge-patch+json')).status, 415)
})

test('a table has the columns of the definition', async () => {
  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
  await api.admin.create(
    POOLS,
    pool('shown', { mode: 'overlay' }, { metadata: { name: 'shown', labels: { table: 'yes' } } }),
  )
  await api.admin.patch(`${POOLS}/shown/status`, { status: { free: 12 } })
  const { json } = await api.admin.request('GET', `${POOLS}?labelSelector=table`, { accept })
  assert.deepEqual(
    listAt(json, 'columnDefinitions').map(c => `${textAt(c, 'name')} ${asText(valueAt(c, 'priority'))}`),
    ['Name 0', 'Mode 0', 'Free 1', 'Age 0'],
  )
  const [row] = listAt(json, 'rows')
  assert.deepEqual(listAt(row, 'cells').slice(0, 3), ['shown', 'overlay', 12])
  assert.match(asText(listAt(row, 'cells')[3]), /^\d+s$/)
})

test('a list of custom resources says of each item what it is', async () => {
  const { json } = await api.admin.get(POOLS)
  assert.equal(textAt(listAt(json, 'items')[0], 'kind'), 'Pool')
})

for (const [what, change, want] of [
  [
    'a name that is not its plural and group',
    { metadata: { name: 'x.b.example' } },
    /metadata.name: Invalid value: "x.b.example": must be spec.names.plural\+"."\+spec.group/,
  ],
  ['no version that is stored', { spec: { versions: [] } }, /must have exactly one version marked as storage version/],
  [
    'a schema without types',
    {
      spec: {
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: 'object', properties: { a: {} } } },
          },
        ],
      },
    },
    /properties\[a\].type: Required value/,
  ],
] as const)
  test(`a definition with ${what} is refused`, async () => {
    const base = pools('b.example')
    const answer = await api.admin.create(CRDS, {
      ...base,
      ...change,
      spec: { ...objectAt(base as never, 'spec'), ...('spec' in change ? change.spec : {}) },
    })
    assert.match(refusalOf(answer), want)
  })

test('a definition that goes takes its objects and watches with it', async () => {
  await api.admin.create(CRDS, pools('c.example'))
  const path = '/apis/c.example/v1/pools'
  await api.admin.create(path, { metadata: { name: 'p' }, spec: { cidrs: ['::/8'] } })
  const watch = api.admin.watch(`${path}?watch=1`)
  assert.deepEqual(
    (await take(watch, 1)).map(event => eventText(event)),
    ['ADDED p'],
  )
  await api.admin.delete(`${CRDS}/pools.c.example`)
  assert.deepEqual(
    (await take(watch, 1)).map(event => eventText(event)),
    ['DELETED p'],
  )
  assert.equal((await watch.next()).done, true)
  assert.equal((await api.admin.get(path)).status, 404)
  await api.admin.create(CRDS, pools('c.example'))
  assert.deepEqual(namesIn(await api.admin.get(path)), [])
})

test('a changed definition is served at once', async () => {
  await api.admin.create(CRDS, pools('d.example'))
  const steps = [
    {
      op: 'add',
      path: '/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/extra',
      value: { type: 'string' },
    },
  ]
  await api.admin.patch(`${CRDS}/pools.d.example`, steps, 'application/json-patch+json')
  const { json } = await api.admin.create('/apis/d.example/v1/pools', {
    metadata: { name: 'p' },
    spec: { cidrs: ['::/8'], extra: 'kept' },
  })
  assert.equal(textAt(json, 'spec', 'extra'), 'kept')
})

test('an object is served at every version its definition serves', async () => {
  const base = pools('e.example') as never
  const [version] = listAt(base, 'spec', 'versions')
  const versions = [
    { ...objectAt({ version } as never, 'version'), storage: false },
    { ...objectAt({ version } as never, 'version'), name: 'v2' },
  ]
  await api.admin.create(CRDS, {
    ...objectAt({ base } as never, 'base'),
    spec: { ...objectAt(base, 'spec'), versions },
  })
  await api.admin.create('/apis/e.example/v1/pools', { metadata: { name: 'p' }, spec: { cidrs: ['::/8'] } })
  const { json } = await api.admin.get('/apis/e.example/v2/pools/p')
  assert.equal(textAt(json, 'apiVersion'), 'e.example/v2')
  const group = await api.admin.get('/apis/e.example')
  assert.equal(textAt(group.json, 'preferredVersion', 'version'), 'v2')
  const kept = await api.admin.get(`${CRDS}/pools.e.example`)
  assert.deepEqual(valueAt(kept.json, 'status', 'storedVersions'), ['v2'])
})

test('a definition that finalizers held goes with its resource once the last of them is taken away', async () => {
  const path = `${CRDS}/pools.held.example`
  await api.admin.create(CRDS, pools('held.example'))
  await api.admin.patch(path, { metadata: { finalizers: ['a.example/x'] } })
  await api.admin.delete(path)
  assert.equal((await api.admin.get('/apis/held.example/v1/pools')).status, 200)
  await api.admin.patch(path, { metadata: { finalizers: null } })
  assert.equal((await api.admin.get(path)).status, 404)
  assert.equal((await api.admin.get('/apis/held.example/v1/pools')).status, 404)
})
