/** The commands of README.md that install the chart do so, as far as helm can tell without a cluster. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { CLOUD, cloudValues } from './manifests.ts'
import { parseArguments } from '../image/arguments.ts'
import { projectVersion } from '../image/build.ts'
import { needsHelm, runHelm } from '../../test/support/real-helm.ts'
import { readManifests, renderManifests } from './render.ts'
import { containersOf, findManifest } from './workloads.ts'

const ROOT = join(import.meta.dirname, '../..')
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
const commands = readme.split('\n').filter(line => line.startsWith('helm install '))

test('there is a command for every cloud', () => {
  const named = commands.map(command => /deploy\/cloud\/([a-z-]+)\.yaml/.exec(command)?.[1])
  assert.deepEqual(new Set(['default', ...named]), new Set(cloudValues().keys()))
})

test('files that the comments of cloud files and README.md name are there', () => {
  const texts = [
    readme,
    ...[...cloudValues().keys()].slice(1).map(name => readFileSync(join(CLOUD, `${name}.yaml`), 'utf8')),
  ]
  const named = texts.flatMap(text => text.match(/\bdeploy\/(?:cloud|helm|manifests)[\w./-]*\w/g) ?? [])
  const missing = named.filter(path => !existsSync(join(ROOT, path)) && !path.endsWith('causeway/crds'))
  assert.deepEqual(missing, [])
})

test('the image of kind has the name that `npm run image` gives it', () => {
  const { tag } = parseArguments([], {}, { build: 'build', version: projectVersion(ROOT) })
  const values = cloudValues().get('kind')
  assert.ok(values)
  const manifests = renderManifests({ values })
  for (const [kind, name] of [
    ['DaemonSet', 'causeway'],
    ['Deployment', 'causeway-operator'],
  ] as const) {
    const images = [...containersOf(findManifest(manifests, kind, name)).values()].map(({ image }) => image)
    assert.deepEqual([...new Set(images)], [tag])
  }
})

for (const command of commands)
  test(command, needsHelm, async () => {
    // What another program answers stands in its place.
    const line = command.replaceAll(/\$\(.*?\)(?=\})/g, 'https://192.0.2.1').replace('helm install', 'template')
    const args = line.replaceAll(/["']/g, '').split(' ')
    const { status, out, err } = await runHelm(args)
    assert.equal(status, 0, err)
    const kinds = readManifests(out).map(m => m.kind)
    assert.ok(kinds.includes('DaemonSet') && kinds.includes('Deployment'))
    if (command.includes('config.aws-eni'))
      for (const part of [/ name: "NAME"\n/, /^ *aws-eni: \{\}$/m, /^ *eks\.amazonaws\.com\/role-arn: ARN$/m])
        assert.match(out, part)
    if (command.includes('apiServers=')) assert.match(out, /- https:\/\/192\.0\.2\.1/)
  })
