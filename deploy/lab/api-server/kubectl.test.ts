/** The real kubectl and the real helm against the server. */
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { startTestApi, type TestApi } from '../../../test/support/api-server.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { type KubernetesTools, kubernetesTools, noKubernetesTools } from '../../../test/support/kubernetes-tools.ts'

const options = { skip: noKubernetesTools }
let api: TestApi
let tools: KubernetesTools
before(async () => {
  api = await startTestApi()
  tools = await kubernetesTools(api.server.kubeconfig(api.server.adminToken))
})
after(async () => {
  await tools[Symbol.asyncDispose]()
  await api[Symbol.asyncDispose]()
})

/** What kubectl prints, in columns one space apart; it must succeed. */
async function kubectl(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await tools.kubectl(...args)
  assert.equal(status, 0, `kubectl ${args.join(' ')}: ${stderr}`)
  return squeezed(stdout)
}

async function helm(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await tools.helm(...args)
  assert.equal(status, 0, `helm ${args.join(' ')}: ${stderr}`)
  return squeezed(stdout)
}

function squeezed(text: string): string {
  return text
    .split('\n')
    .map(line => line.replaceAll(/[ \t]+/g, ' ').trim())
    .join('\n')
    .trim()
}

const DEFINITION = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: pools.a.example }
spec:
  group: a.example
  scope: Cluster
  names: { plural: pools, singular: pool, kind: Pool, shortNames: [pl] }
  versions:
    - name: v1
      served: true
      storage: true
      subresources: { status: {} }
      additionalPrinterColumns:
        - { name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status' }
        - { name: Size, type: integer, jsonPath: .spec.size, priority: 1 }
      schema:
        openAPIV3Schema:
          type: object
          description: Where addresses come from.
          properties:
            spec:
              type: object
              properties:
                size: { type: integer, maximum: 10, description: How many there are. }
            status: { type: object, x-kubernetes-preserve-unknown-fields: true }
`
const pool = (name: string, size: number): string =>
  `{ apiVersion: a.example/v1, kind: Pool, metadata: { name: ${name} }, spec: { size: ${size} } }`

test('kubectl defines a kind, waits for it, and shows its columns', options, async () => {
  await kubectl('apply', '-f', await tools.file('definition.yaml', DEFINITION))
  await kubectl('wait', '--for=condition=Established', 'crd/pools.a.example', '--timeout=10s')
  assert.equal(
    await kubectl('apply', '-f', await tools.file('pool.yaml', pool('one', 3))),
    'pool.a.example/one created',
  )
  assert.equal(
    await kubectl('apply', '-f', await tools.file('pool.yaml', pool('one', 3))),
    'pool.a.example/one unchanged',
  )
  const waiting = kubectl('wait', '--for=condition=Ready', 'pool/one', '--timeout=20s')
  await kubectl(
    'patch',
    'pl',
    'one',
    '--subresource=status',
    '--type=merge',
    '-p',
    '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}',
  )
  assert.equal(await waiting, 'pool.a.example/one condition met')
  assert.equal(await kubectl('get', 'pl', '-o', 'wide'), 'NAME READY SIZE\none True 3')
  assert.match(await kubectl('explain', 'pool.spec.size'), /FIELD: size <integer>[^]*How many there are/)
})

test('kubectl says what the schema refuses', options, async () => {
  await kubectl('apply', '-f', await tools.file('definition.yaml', DEFINITION))
  const big = await tools.kubectl('apply', '-f', await tools.file('big.yaml', pool('big', 11)))
  assert.match(
    big.stderr,
    /The Pool "big" is invalid: spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10/,
  )
  const odd = await tools.kubectl(
    'create',
    '-f',
    await tools.file('odd.yaml', pool('odd', 1).replace('size:', 'sise:')),
  )
  assert.match(odd.stderr, /strict decoding error: unknown field "spec.sise"/)
})

test('kubectl applies on the server, and names who disagrees', options, async () => {
  const map = (value: string) =>
    `{ apiVersion: v1, kind: ConfigMap, metadata: { name: applied }, data: { a: "${value}" } }`
  await kubectl('apply', '--server-side', '-f', await tools.file('map.yaml', map('1')))
  await kubectl('patch', 'configmap', 'applied', '--field-manager=hand', '-p', '{"data":{"a":"2"}}')
  const other = await tools.file('map.yaml', map('3'))
  assert.match(
    (await tools.kubectl('apply', '--server-side', '-f', other)).stderr,
    /Apply failed with 1 conflict: conflict with "hand" using v1: .data.a/,
  )
  await kubectl('apply', '--server-side', '--force-conflicts', '-f', other)
  assert.equal(await kubectl('get', 'configmap', 'applied', '-o', 'jsonpath={.data.a}'), '3')
})

test('kubectl applies its own patch to a deployment, scales and deletes it', options, async () => {
  const deployment = (image: string) => `
    apiVersion: apps/v1
    kind: Deployment
    metadata: { name: web }
    spec:
      replicas: 2
      selector: { matchLabels: { app: web } }
      template:
        metadata: { labels: { app: web } }
        spec: { containers: [{ name: web, image: "${image}" }, { name: side, image: side }] }`
  await kubectl('apply', '-f', await tools.file('web.yaml', deployment('web:1')))
  assert.equal(
    await kubectl('apply', '-f', await tools.file('web.yaml', deployment('web:2'))),
    'deployment.apps/web configured',
  )
  assert.equal(
    await kubectl('get', 'deployment', 'web', '-o', 'jsonpath={.spec.template.spec.containers[*].image}'),
    'web:2 side',
  )
  await kubectl('scale', 'deployment', 'web', '--replicas=5')
  assert.match(await kubectl('get', 'deployments'), /^NAME READY UP-TO-DATE AVAILABLE AGE\nweb 0\/5 0 0 \d+s$/)
  await kubectl('delete', '-f', await tools.file('web.yaml', deployment('web:2')), '--wait')
  assert.equal(await kubectl('get', 'deployments', '-o', 'name'), '')
})

test('kubectl asks what somebody may', options, async () => {
  await kubectl('create', 'namespace', 'rights')
  await kubectl('create', 'serviceaccount', 'reader', '-n', 'rights')
  await kubectl('create', 'clusterrole', 'reads-nodes', '--verb=get,list', '--resource=nodes')
  await kubectl(
    'create',
    'clusterrolebinding',
    'reads-nodes',
    '--clusterrole=reads-nodes',
    '--serviceaccount=rights:reader',
  )
  const reader = await kubectl('create', 'token', 'reader', '-n', 'rights')
  await tools.file('reader', api.server.kubeconfig(reader))
  const asReader = ['--kubeconfig', join(tools.folder, 'reader')]
  assert.equal(await kubectl('auth', 'can-i', 'list', 'nodes', ...asReader), 'yes')
  const { status, stdout } = await tools.kubectl('auth', 'can-i', 'delete', 'nodes', ...asReader)
  assert.deepEqual([status, stdout.trim()], [1, 'no'])
  assert.equal(await kubectl('auth', 'can-i', 'list', 'nodes', '--as=system:serviceaccount:rights:reader'), 'yes')
  assert.match(
    (await tools.kubectl('get', 'pods', '-A', ...asReader)).stderr,
    /pods is forbidden: User "system:serviceaccount:rights:reader" cannot list resource "pods" in API group "" at the cluster scope/,
  )
})

test('kubectl follows what changes', options, async () => {
  await kubectl('create', 'configmap', 'followed', '--from-literal=a=1')
  api.server.resetCounters()
  const only = '--field-selector=metadata.name=followed'
  const following = tools.kubectl('get', 'configmaps', '-w', '--output-watch-events', only)
  await eventually(() => api.server.counters().openWatches['configmaps'] === 1)
  await kubectl('label', 'configmap', 'followed', 'b=2')
  await api.admin.delete('/api/v1/namespaces/default/configmaps/followed')
  await eventually(() => api.server.counters().watchEvents['configmaps'] === 2)
  api.server.cutConnections() // which is how it learns that nothing more comes
  const { stdout } = await following
  const lines = squeezed(stdout)
    .split('\n')
    .map(line => line.replace(/ \S+$/, ''))
  assert.deepEqual(lines, ['EVENT NAME DATA', 'ADDED followed 1', 'MODIFIED followed 1', 'DELETED followed 1'])
})

/** The smallest chart: one object always, one by choice, and a kind of its own. */
async function chart(): Promise<string> {
  const files = {
    'Chart.yaml': 'apiVersion: v2\nname: tiny\nversion: 0.1.0\n',
    'values.yaml': 'word: one\nextra: true\n',
    'crds/things.yaml': DEFINITION.replaceAll('pool', 'thing').replaceAll('Pool', 'Thing').replace('[pl]', '[tg]'),
    'templates/all.yaml': `
apiVersion: v1
kind: ConfigMap
metadata: { name: {{ .Release.Name }} }
data: { word: {{ .Values.word | quote }} }
{{- if .Values.extra }}
---
apiVersion: a.example/v1
kind: Thing
metadata: { name: extra }
spec: { size: 1 }
{{- end }}
`,
  }
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(tools.folder, 'tiny', name)), { recursive: true })
    await tools.file(join('tiny', name), text)
  }
  return join(tools.folder, 'tiny')
}

for (const how of ['true', 'false'])
  test(`helm installs, upgrades, rolls back and uninstalls, --server-side=${how}`, options, async () => {
    const path = await chart()
    const space = ['-n', `helm-${how}`]
    const word = () => kubectl('get', 'configmap', 'tiny', ...space, '-o', 'jsonpath={.data.word}')
    await helm(
      'install',
      'tiny',
      path,
      ...space,
      '--create-namespace',
      `--server-side=${how}`,
      '--wait',
      '--timeout=20s',
    )
    assert.deepEqual([await word(), await kubectl('get', 'things', '-o', 'name')], ['one', 'thing.a.example/extra'])
    await helm('upgrade', 'tiny', path, ...space, '--set', 'word=two,extra=false')
    assert.deepEqual([await word(), await kubectl('get', 'things', '-o', 'name')], ['two', ''])
    await helm('rollback', 'tiny', '1', ...space)
    assert.deepEqual([await word(), await kubectl('get', 'things', '-o', 'name')], ['one', 'thing.a.example/extra'])
    assert.match(await helm('list', ...space), /tiny helm-\w+ 3 .* deployed tiny-0.1.0/)
    await helm('uninstall', 'tiny', ...space, '--wait')
    assert.equal(await kubectl('get', 'configmaps,secrets', ...space, '-o', 'name'), '')
  })
