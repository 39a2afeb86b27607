import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { clientOf, startOwnApi } from '../../../test/support/kubernetes-source.ts'
import { definitionOf, KINDS } from './definitions.ts'
import { installedDefinitions, judgeDefinition } from './installed.ts'
import { ipPool } from './ip-pool.ts'
import { REVISION_ANNOTATION } from './kind.ts'

/**
 * Hashes of what each revision prints, the first first. Clusters may have any of them: lines are added, by the revision
 * that the definition has then, and none is changed once it was released.
 */
const REVISIONS: Readonly<Record<string, readonly string[]>> = {
  egresspolicies: ['841280154cb95c95'],
  ippools: ['13619c3a2f2ea92c'],
  nodenetworks: ['bed9935244c3d340', 'd83d24ed93b744f8', 'ff36a6fbb34813ea'],
  nodesettings: ['f493f8c3a07fbd47'],
}

for (const kind of KINDS)
  test(`${kind.resource.plural}: what is printed is what was recorded for its revision`, () => {
    const { spec } = definitionOf(kind) as { readonly spec: object }
    const hash = createHash('sha256').update(JSON.stringify(spec)).digest('hex').slice(0, 16)
    const recorded = REVISIONS[kind.resource.plural] ?? []
    assert.equal(
      `${kind.revision} ${hash}`,
      `${recorded.length} ${recorded.at(-1)}`,
      'its definition was changed: raise its revision by one, and record the hash for it',
    )
  })

type Definition = {
  readonly metadata: { readonly uid?: string; readonly annotations?: Readonly<Record<string, string>> }
  readonly spec: { readonly versions: readonly object[] }
}
const own = definitionOf(ipPool) as Definition
const revised = (revision: string | undefined): Definition => ({
  ...own,
  metadata: { ...own.metadata, annotations: revision === undefined ? {} : { [REVISION_ANNOTATION]: revision } },
})
const versions = (...all: readonly object[]): Definition => ({
  ...own,
  spec: { ...own.spec, versions: all.map(version => ({ ...own.spec.versions[0], ...version })) },
})
const code = { ...ipPool, revision: 3 }

const cases: readonly (readonly [string, unknown, string, RegExp])[] = [
  ['of the same revision', revised('3'), 'current', /^revision 3$/],
  ['of an older one', revised('2'), 'older', /causeway crds \| kubectl apply/],
  ['of the time before there were revisions', revised(undefined), 'older', /revision 0 is older than 3/],
  ['with a revision that is no number', revised('new'), 'older', /revision 0/],
  ['of a newer one', revised('4'), 'newer', /is kept/],
  ['that is not there', undefined, 'absent', /causeway crds \| kubectl apply/],
  ['that is no definition', 'text', 'unserved', /serves nothing/],
  [
    'that serves other versions',
    versions({ name: 'v1beta1' }),
    'unserved',
    /serves v1beta1, and this build reads v1alpha1/,
  ],
  [
    'that knows the version and serves it no more',
    versions({ name: 'v1beta1' }, { served: false }),
    'unserved',
    /run a newer build/,
  ],
]
for (const [name, found, state, message] of cases)
  test(`a definition ${name} is ${state}`, () => {
    const judged = judgeDefinition(code, found)
    assert.equal(judged.state, state)
    assert.match(judged.message, message)
  })

test('the definitions of a cluster are asked for one by one', async () => {
  await using api = await startOwnApi()
  const { client, connection } = clientOf(api)
  using _connection = connection
  await api.admin.delete('/apis/apiextensions.k8s.io/v1/customresourcedefinitions/nodesettings.causeway.dev')
  const found = await installedDefinitions(client, AbortSignal.timeout(5000))
  assert.deepEqual(
    found.map(({ name, state }) => `${name} ${state}`),
    [
      'egresspolicies.causeway.dev current',
      'ippools.causeway.dev current',
      'nodenetworks.causeway.dev current',
      'nodesettings.causeway.dev absent',
    ],
  )
})

test('a server that does not say is no reason to think that they are old', async () => {
  await using api = await startOwnApi()
  const { client, connection } = clientOf(api, {
    token: ({ server }) => server.serviceAccount('kube-system', 'nobody'),
  })
  using _connection = connection
  const found = await installedDefinitions(client, AbortSignal.timeout(5000))
  assert.deepEqual([...new Set(found.map(({ state }) => state))], ['unknown'])
  assert.match(found[0]?.message ?? '', /403/)
})
