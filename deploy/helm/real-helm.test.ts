/** helm itself and the renderer of the project make the same objects of the same values, and refuse the same ones. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cloudValues } from './manifests.ts'
import { type HelmRun, needsHelm, runHelm } from '../../test/support/real-helm.ts'
import { CHART, type Manifest, readManifests, renderManifests, renderTexts } from './render.ts'
import type { Values } from './values.ts'

function template(values: Values): Promise<HelmRun> {
  return runHelm(['template', 'causeway', CHART, '--namespace', 'network'], values)
}

function byName(manifests: readonly Manifest[]): Record<string, Manifest> {
  const entries = manifests.map(m => [`${m.apiVersion} ${m.kind} ${m.metadata.name}`, m] as const)
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

const releases = new Map<string, Values>([...cloudValues()].map(([name, [values = {}]]) => [name, values]))
releases.set('everything', {
  apiServers: ['https://192.0.2.1:6443'],
  clusterName: 'one',
  image: { tag: '1.2', digest: `sha256:${'0'.repeat(64)}`, pullSecrets: [{ name: 'pull' }] },
  config: {
    routing: { mode: 'overlay' },
    datapath: { ringBufferBytes: 4_194_304 },
    masquerade: null,
    'egress-gateway': {},
  },
  metrics: { address: '192.0.2.7', tls: { secret: 'metrics', clientCa: true } },
  nodeSettings: [
    { name: 'one', nodeSelector: { matchLabels: { 'a/b': 'yes' } }, settings: { mtu: 1400 } },
    { name: 'two', priority: 7, settings: { masquerade: { nativeRanges: ['192.0.2.0/24'] }, logLevel: 'debug' } },
  ],
  ipPools: [
    { name: 'a', cidrs: [{ cidr: '10.1.0.0/16', nodePrefixLength: 24 }], nodeSelector: { matchLabels: { a: 'b' } } },
  ],
  daemon: {
    podLabels: { a: 'no' },
    podAnnotations: { quoted: 'a "b"\n\tc ü' },
    extraEnv: [{ name: 'E', value: '1e3' }],
    preflight: false,
    mounts: false,
    updateStrategy: { rollingUpdate: { maxUnavailable: 1 } },
  },
  operator: {
    serviceAccountAnnotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::123456789012:role/causeway' },
    credentialsSecret: 'cloud',
    hostNetwork: false,
    podLabels: { a: 'b' },
    podAnnotations: { c: 'd' },
    podDisruptionBudget: false,
  },
  monitoring: {
    serviceMonitor: { enabled: true, labels: { a: 'b' }, tlsConfig: { insecureSkipVerify: true } },
    rules: { enabled: true, labels: { a: 'b' } },
    dashboard: { enabled: true },
  },
  admissionPolicy: { enabled: true },
  networkPolicy: { enabled: true, from: [{ podSelector: {} }] },
})
releases.set('to uninstall', { daemon: { uninstall: true } })

for (const [name, values] of releases)
  test(`helm makes the objects of ${name} as the renderer does`, needsHelm, async () => {
    const { status, out, err } = await template(values)
    assert.equal(status, 0, err)
    assert.deepEqual(byName(readManifests(out)), byName(renderManifests({ values: [values], namespace: 'network' })))
  })

for (const [name, values] of releases)
  test(`helm lint finds nothing in ${name}`, needsHelm, async () => {
    const { status, out, err } = await runHelm(['lint', '--strict', CHART], values)
    assert.equal(status, 0, `${out}${err}`)
  })

test('helm makes the same notes', needsHelm, async () => {
  const { out } = await runHelm(['install', 'causeway', CHART, '--namespace', 'network', '--dry-run=client'])
  const notes = renderTexts({ namespace: 'network' }).get('templates/NOTES.txt') ?? ''
  assert.ok(out.trimEnd().endsWith(notes.trimEnd()), out.slice(-2000))
})

const refused: readonly (readonly [what: string, values: Values])[] = [
  ['a key that is none', { deamon: {} }],
  ['a key of the configuration that is none', { config: { routing: { modes: 'native' } } }],
  ['a value of the configuration', { config: { routing: { mode: 'tunnel' } } }],
  ['a name that breaks its form', { config: { network: { pool: 'A b' } } }],
  ['a number beyond its bounds', { config: { mtu: 100 } }],
  ['a section of a plugin that is text', { config: { masquerade: 'on' } }],
  ['what the chart writes itself', { config: { metrics: { listen: ':1' } } }],
  [
    'a setting of some nodes that is none',
    { nodeSettings: [{ name: 'a', settings: { routing: { modes: 'native' } } }] },
  ],
  ['an API server without TLS', { apiServers: ['http://192.0.2.1'] }],
  ['a port that is none', { operator: { port: 0 } }],
  ['a pool without ranges', { ipPools: [{ name: 'a', cidrs: [] }] }],
  ['a value that was taken away', { daemon: { preflight: null } }],
  ['a NetworkPolicy that would hold for nothing', { networkPolicy: { enabled: true } }],
]
for (const [what, values] of refused)
  test(`helm and the renderer refuse ${what}`, needsHelm, async () => {
    const { status, err } = await template(values)
    assert.notEqual(status, 0)
    assert.match(err, /values don't meet the specifications of the schema/)
    assert.throws(() => renderManifests({ values: [values] }), { code: 'VALUES_REFUSED' })
  })
