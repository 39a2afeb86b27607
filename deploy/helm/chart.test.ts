/** What is printed from something else is in step with it, and values reach the objects they are for. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { definitionText, KINDS } from '../../daemon/cluster/kinds/definitions.ts'
import { CAPABILITIES } from '../../daemon/capabilities.ts'
import { HOST_MOUNTS } from '../image/mounts.ts'
import { MANIFESTS, manifestFiles } from './manifests.ts'
import { chartReadme } from './readme.ts'
import { CHART, renderManifests } from './render.ts'
import { ValuesRefused } from './values.ts'
import { valuesSchema } from './values-schema.ts'
import { containersOf, findManifest } from './workloads.ts'

interface Volume {
  readonly name: string
  readonly hostPath?: { readonly path: string; readonly type: string }
}
interface Mount {
  readonly name: string
  readonly mountPath: string
  readonly readOnly?: boolean
  readonly mountPropagation?: string
}

function assertGolden(path: string, text: string): void {
  if (process.env.UPDATE_GOLDENS === '1') {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  } else assert.equal(readFileSync(path, 'utf8'), text)
}

test('values.schema.json is what the schemas print', () =>
  assertGolden(join(CHART, 'values.schema.json'), valuesSchema()))

test('the README of the chart has every value', () => assertGolden(join(CHART, 'README.md'), chartReadme()))

test('the definitions of the own kinds are what the code prints', () => {
  const files = new Map(KINDS.map(kind => [`${kind.resource.plural}.yaml`, definitionText(kind)]))
  for (const [name, text] of files) assertGolden(join(CHART, 'crds', name), text)
  assert.deepEqual(globSync('*', { cwd: join(CHART, 'crds') }).sort(), [...files.keys()].sort())
})

test('the plain manifests are what the chart renders', () => {
  const files = manifestFiles()
  for (const [name, text] of files) assertGolden(join(MANIFESTS, name), text)
  for (const name of globSync('*.yaml', { cwd: MANIFESTS }))
    if (!files.has(name) && process.env.UPDATE_GOLDENS === '1') rmSync(join(MANIFESTS, name))
    else assert.ok(files.has(name), `${name} is no longer rendered`)
})

test('no container is privileged, and each adds the capabilities that the README names to none', () => {
  const manifests = renderManifests()
  const readme = readFileSync(join(CHART, 'README.md'), 'utf8')
  const rows = [...readme.matchAll(/^\| +(?:`([a-z]+)`)? +\| +\d* +\| `?([A-Za-z_ `]+?)`? +\|/gm)]
  const named = new Map<string, string[]>()
  let last = ''
  for (const [, container, capability = ''] of rows) {
    last = container ?? last
    named.set(last, [...(named.get(last) ?? []), capability])
  }
  named.set('preflight', named.get('daemon') ?? [])
  const containers = [
    ...containersOf(findManifest(manifests, 'DaemonSet', 'causeway')),
    ...containersOf(findManifest(manifests, 'Deployment', 'causeway-operator')),
  ]
  assert.deepEqual(
    containers.map(([name]) => name),
    ['mounts', 'preflight', 'install', 'daemon', 'operator'],
  )
  for (const [name, { securityContext }] of containers) {
    const { capabilities, ...rest } = securityContext
    const user = name === 'operator' ? {} : { runAsUser: 0 }
    const profile = name === 'mounts' ? { appArmorProfile: { type: 'Unconfined' } } : {}
    const want = {
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      ...user,
      ...profile,
    }
    assert.deepEqual(rest, want, name)
    assert.deepEqual(capabilities.drop, ['ALL'], name)
    assert.deepEqual(capabilities.add ?? ['none'], named.get(name), name)
  }
})

test('the daemon has the capabilities that its code names', () => {
  const daemon = containersOf(findManifest(renderManifests(), 'DaemonSet', 'causeway')).get('daemon')
  assert.deepEqual(
    daemon?.securityContext.capabilities.add,
    CAPABILITIES.map(({ name }) => name),
  )
})

test('the daemon sees of the node what the image is run with', () => {
  const daemonSet = findManifest(renderManifests(), 'DaemonSet', 'causeway')
  const { template } = daemonSet['spec'] as { template: { spec: { volumes: readonly Volume[] } } }
  const paths = new Map(template.spec.volumes.map(({ name, hostPath }) => [name, hostPath]))
  const mounts = containersOf(daemonSet).get('daemon')?.['volumeMounts'] as readonly Mount[]
  // /var/run leads to /run in the image, which a runtime that is no kubelet's does not need to be told.
  const ofNode = mounts.filter(({ name, mountPath }) => paths.get(name) && !mountPath.startsWith('/var/run/'))
  const found = ofNode.map(({ name, mountPath, readOnly = false, mountPropagation }) => {
    const { path, type } = paths.get(name) ?? {}
    const follows = mountPropagation === 'HostToContainer'
    return { name, hostPath: path, mountPath, readOnly, follows, create: type === 'DirectoryOrCreate' }
  })
  const wanted = HOST_MOUNTS.map(({ hostPath, mountPath = hostPath, ...rest }) => {
    return { hostPath, mountPath, readOnly: false, follows: false, create: false, ...rest }
  })
  const byName = (a: { name: string }, b: { name: string }): number => a.name.localeCompare(b.name)
  assert.deepEqual(found.toSorted(byName), wanted.toSorted(byName))
})

test('the name of the cluster reaches the configuration, and what a cloud knows the operator by the operator', () => {
  const serviceAccountAnnotations = { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::123456789012:role/causeway' }
  const values = { clusterName: 'one', operator: { serviceAccountAnnotations, credentialsSecret: 'keys' } }
  const manifests = renderManifests({ values: [values] })
  const { data } = findManifest(manifests, 'ConfigMap', 'causeway') as unknown as { data: Record<string, string> }
  assert.ok(data['config.yaml']?.startsWith('cluster:\n  source: kubernetes\n  name: "one"\n'))
  const annotationsOf = (name: string): unknown =>
    (findManifest(manifests, 'ServiceAccount', name)['metadata'] as { annotations?: object }).annotations
  assert.deepEqual(annotationsOf('causeway-operator'), serviceAccountAnnotations)
  assert.equal(annotationsOf('causeway'), undefined, 'daemons have no rights in the cloud')
  const { template } = findManifest(manifests, 'Deployment', 'causeway-operator')['spec'] as {
    template: { spec: { volumes: readonly { name: string; secret?: object }[] } }
  }
  assert.deepEqual(template.spec.volumes.find(({ name }) => name === 'credentials')?.secret, { secretName: 'keys' })
})

test('TLS, addresses and API servers reach configuration and probes', () => {
  const tls = { secret: 'metrics', clientCa: true }
  const values = {
    apiServers: ['https://192.0.2.1:6443', 'https://192.0.2.2:6443'],
    metrics: { address: '192.0.2.7', port: 19_964, tls },
  }
  const manifests = renderManifests({ values: [values] })
  const { data } = findManifest(manifests, 'ConfigMap', 'causeway') as unknown as { data: Record<string, string> }
  const [cluster = ''] = (data['config.yaml'] ?? '').split('families:')
  assert.equal(
    cluster.slice(0, cluster.indexOf('cloud:')),
    [
      'cluster:',
      '  source: kubernetes',
      '  kubernetes:',
      '    servers:',
      '      - https://192.0.2.1:6443',
      '      - https://192.0.2.2:6443',
      'metrics:',
      '  listen: "192.0.2.7:19964"',
      '  tls:',
      '    certFile: /etc/causeway-tls/tls.crt',
      '    keyFile: /etc/causeway-tls/tls.key',
      '    clientCaFile: /etc/causeway-tls/ca.crt',
      '',
    ].join('\n'),
  )
  const daemon = containersOf(findManifest(manifests, 'DaemonSet', 'causeway')).get('daemon')
  const probe = { port: 'metrics', scheme: 'HTTPS', host: '192.0.2.7' }
  assert.deepEqual(daemon?.readinessProbe, {
    httpGet: { path: '/v1/health', ...probe },
    periodSeconds: 5,
    timeoutSeconds: 5,
  })
  assert.deepEqual(daemon?.ports, [{ name: 'metrics', containerPort: 19_964, hostPort: 19_964 }])
})

test('to uninstall, a node has nothing of the daemon before its pod is ready', () => {
  const manifests = renderManifests({ values: [{ daemon: { uninstall: true } }] })
  const containers = containersOf(findManifest(manifests, 'DaemonSet', 'causeway'))
  assert.deepEqual([...containers.keys()], ['uninstall', 'done'])
  assert.deepEqual(containers.get('uninstall')?.command.slice(1, 3), ['uninstall', '--force'])
  const before = containersOf(findManifest(renderManifests(), 'DaemonSet', 'causeway')).get('daemon')
  assert.deepEqual(containers.get('uninstall')?.volumeMounts, before?.volumeMounts)
})

test('nodes of several clouds are NodeSettings', () => {
  const settings = { routing: { mode: 'native' } }
  const nodeSelector = { matchLabels: { cloud: 'google' } }
  const values = { nodeSettings: [{ name: 'google', nodeSelector, settings }], ipPools: [] }
  const manifests = renderManifests({ values: [values] })
  assert.deepEqual(findManifest(manifests, 'NodeSettings', 'google').spec, { nodeSelector, priority: 0, settings })
  assert.equal(
    manifests.some(m => m.kind === 'IPPool'),
    false,
  )
})

const refused: readonly (readonly [what: string, values: object, problem: RegExp])[] = [
  ['a key that is none', { deamon: {} }, /deamon/],
  ['a key of the configuration that is none', { config: { routing: { modes: 'native' } } }, /modes/],
  ['a value of the configuration', { config: { routing: { mode: 'tunnel' } } }, /routing\/mode/],
  ['what the chart writes itself', { config: { nodeName: 'a' } }, /nodeName/],
  ['an API server without TLS', { apiServers: ['http://192.0.2.1'] }, /apiServers\/0/],
  ['a port that is none', { metrics: { port: 70_000 } }, /port/],
  ['a pool without ranges', { ipPools: [{ name: 'a', cidrs: [] }] }, /ipPools\/0\/cidrs/],
  ['a NetworkPolicy that would hold for nothing', { networkPolicy: { enabled: true } }, /hostNetwork/],
]
for (const [what, values, problem] of refused)
  test(`values are refused for ${what}`, () =>
    assert.throws(
      () => renderManifests({ values: [values as Record<string, unknown>] }),
      error => error instanceof ValuesRefused && problem.test(error.message),
    ))

const parser = spawnSync('apparmor_parser', ['--version']).error === undefined
test('the AppArmor profile is one that its compiler takes', {
  skip: parser ? false : 'apparmor_parser is not there',
}, () => {
  const profile = join(CHART, 'files/apparmor/causeway')
  const { status, stderr } = spawnSync('apparmor_parser', ['--skip-kernel-load', '--skip-cache', profile], {
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
})
