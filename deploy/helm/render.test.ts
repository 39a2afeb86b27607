/** The command line of the renderer: what `--set` means, and what it answers to what makes no sense. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { readManifests, setting } from './render.ts'

const ROOT = join(import.meta.dirname, '../..')

const settings: Readonly<Record<string, object>> = {
  'config.routing.mode=overlay': { config: { routing: { mode: 'overlay' } } },
  'operator.replicas=1': { operator: { replicas: 1 } },
  'apiServers={https://192.0.2.11:6443,https://192.0.2.12:6443}': {
    apiServers: ['https://192.0.2.11:6443', 'https://192.0.2.12:6443'],
  },
  'apiServers={}': { apiServers: [] },
  'image.tag=': { image: { tag: '' } },
  'image.digest=null': { image: { digest: null } },
  'ipPools=[{name: a, cidrs: []}]': { ipPools: [{ name: 'a', cidrs: [] }] },
}
for (const [text, values] of Object.entries(settings))
  test(`--set ${text}`, () => assert.deepEqual(setting(text), values))

test('--set that is no setting, or several in one, is refused', () => {
  for (const text of ['a', '=a', 'a=1,b=2']) assert.throws(() => setting(text), RangeError)
})

function render(...args: readonly string[]): {
  readonly status: number | null
  readonly out: string
  readonly err: string
} {
  const file = join(ROOT, 'deploy/helm/render.ts')
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...args], { encoding: 'utf8', cwd: ROOT })
  return { status, out: stdout, err: stderr }
}

test('the commands in the comments of deploy/cloud render without helm too', () => {
  const set = 'apiServers={https://192.0.2.11:6443,https://192.0.2.12:6443}'
  const { status, out, err } = render('--values', 'deploy/cloud/bare-metal.yaml', '--set', set, '--crds')
  assert.equal(status, 0, err)
  const manifests = readManifests(out)
  assert.equal(manifests[0]?.kind, 'CustomResourceDefinition')
  assert.match(out, /- https:\/\/192\.0\.2\.12:6443/)
})

const refused: readonly (readonly [args: readonly string[], says: RegExp])[] = [
  [['--values', 'deploy/cloud/nowhere.yaml'], /^render: ENOENT.*deploy\/cloud\/nowhere\.yaml'\n$/],
  [['--set', 'deamon.mounts=false'], /^render: these values are not allowed:\n.*deamon.*\n$/],
  [['--value', 'x'], /^render: Unknown option '--value'/],
]
for (const [args, says] of refused)
  test(`render ${args.join(' ')} says what is wrong, without a trace`, () => {
    const { status, out, err } = render(...args)
    assert.deepEqual([status, out], [1, ''])
    assert.match(err, says)
  })
