/** helm installs the chart into a cluster, changes it and takes it away again. */
import assert from 'node:assert/strict'
import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startTestApi, type TestApi } from '../../test/support/api-server.ts'
import { textAt } from '../lab/api-server/objects/json.ts'
import { kubernetesTools } from '../../test/support/kubernetes-tools.ts'
import { needsHelm, runHelm } from '../../test/support/real-helm.ts'
import { cloudValues } from './manifests.ts'
import { CHART, type Manifest, readCrds, renderManifests } from './render.ts'

/** Where an object lies in the API. */
function pathOf({ apiVersion, kind, metadata }: Manifest): string {
  const irregular: Readonly<Record<string, string>> = { NodeSettings: 'nodesettings', NetworkPolicy: 'networkpolicies' }
  const plural = irregular[kind] ?? `${kind.toLowerCase()}s`
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  const namespace = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`
  return `${group}${namespace}/${plural}/${metadata.name}`
}

/** Those of the objects that the server does not have. */
async function missing(api: TestApi, manifests: readonly Manifest[]): Promise<string[]> {
  const paths = manifests.map(pathOf)
  const answers = await Promise.all(paths.map(path => api.admin.get(path)))
  return paths.filter((_, index) => answers[index]?.status !== 200)
}

test('helm installs, upgrades and uninstalls the chart', needsHelm, async () => {
  await using api = await startTestApi()
  using folder = mkdtempDisposableSync(join(tmpdir(), 'causeway-kubeconfig-'))
  const kubeconfig = join(folder.path, 'config')
  writeFileSync(kubeconfig, api.server.kubeconfig(api.server.adminToken))
  const helm = async (verb: string, ...args: readonly string[]): Promise<void> => {
    const { status, out, err } = await runHelm([
      verb,
      'causeway',
      ...args,
      '--namespace',
      'kube-system',
      '--kubeconfig',
      kubeconfig,
    ])
    assert.equal(status, 0, `${out}${err}`)
  }
  const values = { nodeSettings: [{ name: 'some', settings: { mtu: 1400 } }] }
  const manifests = renderManifests({ values: [values] })
  await helm('install', CHART, '--set', 'nodeSettings[0].name=some,nodeSettings[0].settings.mtu=1400')
  assert.deepEqual(await missing(api, [...readCrds(), ...manifests]), [])
  await helm('upgrade', CHART, '--reset-then-reuse-values', '--set', 'config.logLevel=debug')
  assert.deepEqual(await missing(api, manifests), [])
  const map = await api.admin.get('/api/v1/namespaces/kube-system/configmaps/causeway')
  assert.match(textAt(map.json, 'data', 'config.yaml'), /^logLevel: debug$/m)
  await helm('uninstall')
  assert.equal((await missing(api, manifests)).length, manifests.length)
  assert.deepEqual(await missing(api, readCrds()), [])
})

test('the kubectl commands of README.md bring the plain manifests into an empty cluster', needsHelm, async () => {
  const root = join(import.meta.dirname, '../..')
  const lines = readFileSync(join(root, 'README.md'), 'utf8').split('\n')
  const commands = lines.filter(line => /^kubectl .* deploy\/manifests\//.test(line))
  assert.equal(commands.length, 3)
  await using api = await startTestApi()
  await using tools = await kubernetesTools(api.server.kubeconfig(api.server.adminToken))
  for (const command of commands) {
    const args = command.split(' ').slice(1)
    const { status, stderr } = await tools.kubectl(...args.map(a => (a.startsWith('deploy/') ? join(root, a) : a)))
    assert.equal(status, 0, `${command}: ${stderr}`)
  }
  const manifests = renderManifests({ values: cloudValues().get('kind') ?? [] })
  assert.deepEqual(await missing(api, [...readCrds(), ...manifests]), [])
})
