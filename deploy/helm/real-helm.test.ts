/** helm itself and the renderer of the project make the same objects of the same values, and refuse the same ones. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { stringify } from 'yaml'
import { cloudValues } from './manifests.ts'
import { findHelm } from './real-helm.ts'
import { CHART, type Manifest, readManifests, renderManifests, renderTexts } from './render.ts'
import { YAML } from './template-run.ts'
import type { Values } from './values.ts'

const helm = await findHelm()
const options = { skip: helm === undefined ? 'helm is not there: npm run setup brings it' : false }

interface Ran {
  readonly status: number
  readonly out: string
  readonly err: string
}

/** Runs helm with values in a file of their own and nothing of the user's configuration. */
async function run(args: readonly string[], values: Values = {}): Promise<Ran> {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'causeway-helm-'))
  const file = join(folder.path, 'values.yaml')
  writeFileSync(file, stringify(values, YAML))
  const env = { PATH: process.env.PATH, HOME: folder.path }
  try {
    const { stdout, stderr } = await promisify(execFile)(helm ?? 'helm', [...args, '--values', file], {
      env,
      maxBuffer: 1 << 26,
    })
    return { status: 0, out: stdout, err: stderr }
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: number; stdout: string; stderr: string }
    return { status: code ?? 1, out: stdout, err: stderr }
  }
}

function template(values: Values): Promise<Ran> {
  return run(['template', 'causeway', CHART, '--namespace', 'network'], values)
}

function byName(manifests: readonly Manifest[]): Record<string, Manifest> {
  const entries = manifests.map(m => [`${m.apiVersion} ${m.kind} ${m.metadata.name}`, m] as const)
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

const releases = new Map<string, Values>([...cloudValues()].map(([name, [values = {}]]) => [name, values]))
releases.set('everything', {
  apiServers: ['https://192.0.2.1:6443'],
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
  operator: { hostNetwork: false, podLabels: { a: 'b' }, podAnnotations: { c: 'd' }, podDisruptionBudget: false },
  monitoring: {
    serviceMonitor: { enabled: true, labels: { a: 'b' }, tlsConfig: { insecureSkipVerify: true } },
    rules: { enabled: true, labels: { a: 'b' } },
    dashboard: { enabled: true },
  },
  networkPolicy: { enabled: true, from: [{ podSelector: {} }] },
})

for (const [name, values] of releases)
  test(`helm makes the objects of ${name} as the renderer does`, options, async () => {
    const { status, out, err } = await template(values)
    assert.equal(status, 0, err)
    assert.deepEqual(byName(readManifests(out)), byName(renderManifests({ values: [values], namespace: 'network' })))
  })

for (const [name, values] of releases)
  test(`helm lint finds nothing in ${name}`, options, async () => {
    const { status, out, err } = await run(['lint', '--strict', CHART], values)
    assert.equal(status, 0, `${out}${err}`)
  })

test('helm makes the same notes', options, async () => {
  const { out } = await run(['install', 'causeway', CHART, '--namespace', 'network', '--dry-run=client'])
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
  ['an API server without TLS', { apiServers: ['http://192.0.2.1'] }],
  ['a port that is none', { operator: { port: 0 } }],
  ['a pool without ranges', { ipPools: [{ name: 'a', cidrs: [] }] }],
  ['a value that was taken away', { daemon: { preflight: null } }],
  ['a NetworkPolicy that would hold for nothing', { networkPolicy: { enabled: true } }],
]
for (const [what, values] of refused)
  test(`helm and the renderer refuse ${what}`, options, async () => {
    const { status, err } = await template(values)
    assert.notEqual(status, 0)
    assert.match(err, /values don't meet the specifications of the schema/)
    assert.throws(() => renderManifests({ values: [values] }), { code: 'VALUES_REFUSED' })
  })
