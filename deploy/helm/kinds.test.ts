/** Every object that the chart renders is one that Kubernetes takes: by its schemas, and without fields that it does not know. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { Ajv } from 'ajv'
import { cloudValues } from './manifests.ts'
import { type Manifest, readCrds, renderManifests } from './render.ts'
import type { Values } from './values.ts'

const ROOT = join(import.meta.dirname, '../..')

/** Everything on that can be. */
const EVERYTHING: Values = {
  apiServers: ['https://192.0.2.1:6443'],
  image: { digest: `sha256:${'0'.repeat(64)}`, pullSecrets: [{ name: 'pull' }] },
  metrics: { address: '192.0.2.7', tls: { secret: 'metrics', clientCa: true } },
  nodeSettings: [{ name: 'some', nodeSelector: { matchLabels: { a: 'b' } }, priority: 3, settings: { mtu: 1400 } }],
  ipPools: [
    {
      name: 'six',
      cidrs: [{ cidr: '2001:db8::/48', nodePrefixLength: 64 }],
      nodeSelector: { matchExpressions: [{ key: 'a', operator: 'Exists' }] },
    },
  ],
  daemon: { podLabels: { a: 'b' }, podAnnotations: { c: 'd' }, extraEnv: [{ name: 'E', value: 'F' }] },
  operator: {
    hostNetwork: false,
    podLabels: { a: 'b' },
    podAnnotations: { c: 'd' },
    extraEnv: [{ name: 'E', value: 'F' }],
  },
  monitoring: {
    serviceMonitor: { enabled: true, labels: { a: 'b' }, tlsConfig: { insecureSkipVerify: true } },
    rules: { enabled: true, labels: { a: 'b' } },
    dashboard: { enabled: true },
  },
  admissionPolicy: { enabled: true },
  networkPolicy: { enabled: true, from: [{ namespaceSelector: { matchLabels: { a: 'b' } } }] },
}

const releases = new Map<string, Manifest[]>()
for (const [name, values] of [
  ...cloudValues(),
  ['everything', [EVERYTHING]] as const,
  ['to uninstall', [{ daemon: { uninstall: true } }]] as const,
])
  releases.set(name, renderManifests({ values }))

/** Kinds of others, whose schemas are not in any package that is here. */
const OTHERS = ['monitoring.coreos.com/v1']

function isKubernetes({ apiVersion }: Manifest): boolean {
  return !apiVersion.startsWith('causeway.dev/') && !OTHERS.includes(apiVersion)
}

/** Checks an object by the schema of its kind; throws with what is wrong. */
async function validate(manifest: Manifest): Promise<void> {
  const models = (await import(`kubernetes-models/${manifest.apiVersion}/${manifest.kind}`)) as Record<
    string,
    new (
      object: object,
    ) => { validate(): void }
  >
  const Model = models[manifest.kind]
  assert.ok(Model, `${manifest.apiVersion} has no ${manifest.kind}`)
  new Model(manifest).validate()
}

for (const [name, manifests] of releases)
  test(`the schemas of Kubernetes take the objects of ${name}`, async () => {
    const own = manifests.filter(isKubernetes)
    assert.ok(own.length > 10)
    for (const manifest of own) await validate(manifest)
  })

test('a wrong object is refused by the schemas', async () => {
  const [set] = (releases.get('default') ?? []).filter(m => m.kind === 'DaemonSet')
  assert.ok(set)
  await assert.rejects(validate({ ...set, spec: { selector: {} } }), /template/)
})

/** Compiles the objects as values of the kinds' types, which know every field; what the compiler says. */
async function compileAsTypes(manifests: readonly Manifest[]): Promise<string> {
  mkdirSync(join(ROOT, 'build'), { recursive: true })
  using folder = mkdtempDisposableSync(join(ROOT, 'build/chart-types-'))
  const kinds = new Map(manifests.map(m => [`${m.apiVersion}/${m.kind}`, m.kind]))
  const imports = [...kinds].map(([path, kind]) => `import type { I${kind} } from 'kubernetes-models/${path}'`)
  const values = manifests.map((m, i) => `export const object${i}: I${m.kind} = ${JSON.stringify(m, undefined, 1)}`)
  writeFileSync(join(folder.path, 'objects.ts'), [...imports, ...values, ''].join('\n'))
  const options = {
    extends: join(ROOT, 'tsconfig.json'),
    include: ['objects.ts'],
    exclude: [],
    compilerOptions: { types: [] },
  }
  writeFileSync(join(folder.path, 'tsconfig.json'), JSON.stringify(options))
  try {
    await promisify(execFile)(join(ROOT, 'node_modules/.bin/tsc'), ['-p', folder.path])
    return ''
  } catch (error) {
    return (error as { stdout: string }).stdout
  }
}

test('no object has a field that Kubernetes does not know', async () => {
  const manifests = [...releases.values()].flat().filter(isKubernetes)
  assert.equal(await compileAsTypes(manifests), '')
})

test('a misspelt field is found', async () => {
  const [set] = (releases.get('default') ?? []).filter(m => m.kind === 'ServiceAccount')
  assert.ok(set)
  assert.match(await compileAsTypes([{ ...set, imagePullSecret: [] }]), /imagePullSecret"' does not exist in type/)
})

interface Crd {
  readonly spec: {
    readonly group: string
    readonly names: { readonly kind: string }
    readonly versions: readonly { readonly name: string; readonly schema: { readonly openAPIV3Schema: object } }[]
  }
}

test('the definitions of the own kinds take the objects of those', () => {
  const ajv = new Ajv({ strict: false, validateFormats: false })
  const schemas = new Map<string, object>()
  for (const { spec } of readCrds() as unknown as Crd[])
    for (const { name, schema } of spec.versions)
      schemas.set(`${spec.group}/${name} ${spec.names.kind}`, schema.openAPIV3Schema)
  for (const manifest of [...releases.values()].flat().filter(m => m.apiVersion.startsWith('causeway.dev/'))) {
    const schema = schemas.get(`${manifest.apiVersion} ${manifest.kind}`)
    assert.ok(schema, `no definition of ${manifest.kind}`)
    assert.ok(ajv.validate(schema, manifest), `${manifest.kind} ${manifest.metadata.name}: ${ajv.errorsText()}`)
  }
})
