/** A daemon that is run with the settings which the cluster has for its node, against an API server. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { stringify } from 'yaml'
import { node } from '../test/support/api-server.ts'
import { eventually } from '../test/support/eventually.ts'
import { FakeClock } from '../test/support/fake-clock.ts'
import { FakeLog } from '../test/support/fake-log.ts'
import { startOwnApi, startSource } from '../test/support/kubernetes-source.ts'
import { SettingsFollower } from './cluster/kubernetes/follow-settings.ts'
import { type LoadedConfig, loadConfig, type SettingsLayer } from './config/load.ts'
import { runWithSettings } from './node-settings.ts'
import { systemClock } from './state/clock.ts'

const SETTINGS = '/apis/causeway.dev/v1alpha1/nodesettings'
const settings = (name: string, tree: object, spec: object = {}): object => ({
  apiVersion: 'causeway.dev/v1alpha1',
  kind: 'NodeSettings',
  metadata: { name },
  spec: { settings: tree, ...spec },
})

/** A node's folder with a configuration that finds an API server; what each run of the daemon was given. */
async function world() {
  const folder = mkdtempSync(join(tmpdir(), 'cw-settings-'))
  const api = await startOwnApi()
  await api.admin.create('/api/v1/nodes', node('n1', { metadata: { name: 'n1', labels: { cloud: 'aws' } } }))
  for (const [file, text] of Object.entries({ token: api.server.adminToken, 'ca.crt': api.server.ca }))
    writeFileSync(join(folder, file), text)
  const kubernetes = { servers: [api.server.url], serviceAccount: folder }
  const file = join(folder, 'config.yaml')
  const tree = {
    nodeName: 'n1',
    paths: { state: folder },
    logLevel: 'error',
    cluster: { source: 'kubernetes', kubernetes },
  }
  writeFileSync(file, stringify(tree))
  const load = (layers: readonly SettingsLayer[]): Promise<LoadedConfig> =>
    Promise.resolve().then(() => loadConfig({ pluginNames: [], file, layers }))
  /** The routing modes that runs had, the first ones ending for other settings. */
  const modes = async (runs = 1, signal = new AbortController().signal): Promise<string[]> => {
    const seen: string[] = []
    await runWithSettings(
      {
        load,
        run: async config => {
          seen.push(config.routing.mode)
          return seen.length < runs ? 'changed' : 'stopped'
        },
      },
      signal,
    )
    return seen
  }
  const dispose = async (): Promise<void> => {
    await api[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  }
  return { api, folder, modes, [Symbol.asyncDispose]: dispose }
}

test('settings of the node count over its file, those of other nodes do not', async () => {
  await using w = await world()
  await w.api.admin.create(
    SETTINGS,
    settings('aws', { routing: { mode: 'overlay' } }, { nodeSelector: { matchLabels: { cloud: 'aws' } } }),
  )
  await w.api.admin.create(
    SETTINGS,
    settings('gcp', { routing: { mode: 'native' } }, { priority: 9, nodeSelector: { matchLabels: { cloud: 'gcp' } } }),
  )
  assert.deepEqual(await w.modes(), ['overlay'])
})

test('a daemon that ends for other settings is run again with them', async () => {
  await using w = await world()
  await w.api.admin.create(SETTINGS, settings('a', { routing: { mode: 'overlay' } }))
  assert.deepEqual(await w.modes(2), ['overlay', 'overlay'])
})

test('without an API server the settings of the last time count', async () => {
  await using w = await world()
  await w.api.admin.create(SETTINGS, settings('a', { routing: { mode: 'overlay' } }))
  assert.deepEqual(await w.modes(), ['overlay'])
  await w.api.server.down()
  assert.deepEqual(await w.modes(), ['overlay'])
})

test('a daemon that is told to stop while the API server does not answer stops, and has not run', async () => {
  await using w = await world()
  w.api.server.halfOpen(true)
  assert.deepEqual(await w.modes(1, AbortSignal.timeout(200)), [])
})

test('settings that were taken away do not come back with the API server away', async () => {
  await using w = await world()
  await w.api.admin.create(SETTINGS, settings('a', { routing: { mode: 'overlay' } }))
  assert.deepEqual(await w.modes(), ['overlay'])
  await w.api.admin.delete(`${SETTINGS}/a`)
  assert.deepEqual(await w.modes(), ['auto'])
  await w.api.server.down()
  assert.deepEqual(await w.modes(), ['auto'])
})

test('settings that cannot be kept count all the same', async () => {
  await using w = await world()
  mkdirSync(join(w.folder, 'node-settings.json'))
  await w.api.admin.create(SETTINGS, settings('a', { routing: { mode: 'overlay' } }))
  assert.deepEqual(await w.modes(), ['overlay'])
})

for (const text of ['null', '[7]', '[{"name": "a", "settings": null}]', '[{'])
  test(`settings that are kept as ${text} are none`, async () => {
    await using w = await world()
    writeFileSync(join(w.folder, 'node-settings.json'), text)
    await w.api.server.down()
    assert.deepEqual(await w.modes(), ['auto'])
  })

test('instead of settings that cannot be used the last ones that could count', async () => {
  await using w = await world()
  await w.api.admin.create(SETTINGS, settings('a', { routing: { mode: 'overlay' } }))
  assert.deepEqual(await w.modes(), ['overlay'])
  await w.api.admin.patch(`${SETTINGS}/a`, { spec: { settings: { routing: { mode: 'sideways' } } } })
  assert.deepEqual(await w.modes(), ['overlay'])
})

test('settings that cannot be used are left out', async () => {
  await using w = await world()
  await w.api.admin.create(SETTINGS, settings('a', { routing: { mode: 'sideways' } }))
  assert.deepEqual(await w.modes(), ['auto'])
})

test('a change is noticed, one that cannot be used is told and changes nothing', async () => {
  await using world = await startSource()
  const { admin } = world.api
  await admin.create('/api/v1/nodes', node('n1'))
  const follower = new SettingsFollower({
    client: world.client,
    nodeName: 'n1',
    nodes: world.tables.nodes,
    current: [],
    refusal: layers => Promise.resolve(JSON.stringify(layers).includes('bad') ? 'mode: bad is not allowed' : undefined),
    log: new FakeLog(),
    clock: systemClock,
    idleMs: 10_000,
    random: () => 0,
  })
  let changed = false
  void follower.changed.then(() => {
    changed = true
  })
  const stop = new AbortController()
  const running = follower.run(stop.signal)
  await admin.create(SETTINGS, settings('a', { routing: { mode: 'bad' } }))
  await eventually(() => follower.problems.length > 0)
  assert.deepEqual(follower.problems, [
    { place: 'NodeSettings a', message: 'mode: bad is not allowed; the daemon goes on with what it had' },
  ])
  assert.equal(changed, false)
  await admin.patch(`${SETTINGS}/a`, { spec: { settings: { routing: { mode: 'native' } } } })
  await eventually(() => changed)
  assert.deepEqual(follower.problems, [])
  stop.abort()
  await running
})

/** A follower of n1's settings whose clock stands still. */
async function following(options: Parameters<typeof startSource>[0] = {}) {
  const world = await startSource(options)
  const clock = new FakeClock()
  const log = new FakeLog()
  let [received, changed] = [0, false]
  const follower = new SettingsFollower({
    client: world.client,
    nodeName: 'n1',
    nodes: world.tables.nodes,
    current: [],
    refusal: () => Promise.resolve(undefined),
    log,
    clock,
    idleMs: 1e9,
    random: () => 1,
    metrics: { received: (_, bytes) => (received += bytes), restarted: () => undefined },
  })
  void follower.changed.then(() => {
    changed = true
  })
  const stop = new AbortController()
  const running = follower.run(stop.signal)
  /** Resolves when what was changed by then has arrived. */
  const heard = async (change: Promise<unknown>): Promise<void> => {
    const before = received
    await change
    await eventually(() => received > before)
  }
  const dispose = async (): Promise<void> => {
    stop.abort()
    await running
    await world[Symbol.asyncDispose]()
  }
  return { world, follower, clock, log, heard, changed: () => changed, [Symbol.asyncDispose]: dispose }
}

test('a change that is taken back before its turn changes nothing', async () => {
  await using f = await following()
  const { admin } = f.world.api
  const noticed = (count: number): boolean => f.log.lines.filter(line => line.includes('starts anew')).length === count
  await admin.create('/api/v1/nodes', node('n1'))
  await admin.create(SETTINGS, settings('a', { routing: { mode: 'overlay' } }))
  await eventually(() => noticed(1))
  await f.heard(admin.delete(`${SETTINGS}/a`))
  await f.clock.advance(10_000)
  assert.equal(f.changed(), false)
  await admin.create(SETTINGS, settings('b', { routing: { mode: 'native' } }))
  await eventually(() => noticed(2))
  await f.clock.advance(10_000)
  assert.equal(f.changed(), true)
})

test('settings that cannot be asked for are a problem', async () => {
  await using f = await following({ bare: true })
  await eventually(() => f.follower.problems.length > 0)
  const [problem] = f.follower.problems
  assert.match(problem?.message ?? '', /^nodesettings\.causeway\.dev: .*404.*CustomResourceDefinition is not installed/)
})
