/** A daemon that starts while the API server is away. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempDisposableSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { node } from '../../../test/support/api-server.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { FakeLog } from '../../../test/support/fake-log.ts'
import { type SourceWorld, startOwnApi, startSource } from '../../../test/support/kubernetes-source.ts'
import { systemClock } from '../../state/clock.ts'
import { createTables } from '../../state/tables.ts'
import { KnownCluster } from './known-cluster.ts'

const NODES = '/api/v1/nodes'

/** A cluster that one daemon has known, and whose API server is away by then. */
async function known() {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'cw-known-'))
  const api = await startOwnApi()
  for (const [name, range] of [
    ['n1', '10.0.1.0/24'],
    ['n2', '10.0.2.0/24'],
  ] as const)
    await api.admin.create(NODES, node(name, { spec: { podCIDRs: [range] } }))
  {
    await using world = await startSource({ api, folder: folder.path })
    await eventually(() => world.source.waitingFor() === undefined)
    await eventually(() =>
      ['known-node.json', 'known-cluster.jsonl'].every(file => existsSync(join(folder.path, file))),
    )
  }
  await api.server.down()
  const start = (bootId: string): Promise<SourceWorld> => startSource({ api, folder: folder.path, bootId })
  const dispose = async (): Promise<void> => {
    await api[Symbol.asyncDispose]()
    folder.remove()
  }
  return { api, folder: folder.path, start, [Symbol.asyncDispose]: dispose }
}
const nodes = ({ tables }: SourceWorld): string =>
  [...tables.nodes.values()]
    .map(row => row.name)
    .sort()
    .join(' ')

test('the own node is known, and that is all as long as the kernel lives', async () => {
  await using before = await known()
  await using world = await before.start('this')
  await eventually(() => nodes(world) === 'n1')
  assert.deepEqual(world.tables.nodes.get('n1')?.podCidrs, ['10.0.1.0/24'])
  assert.match(world.source.waitingFor() ?? '', /pods start by what was known at 20/)
  assert.equal(world.tables.nodes.initialized, false, 'nothing may be pruned because of what was known')
})

test('after the node has started again everything is known that was', async () => {
  await using before = await known()
  await using world = await before.start('another')
  await eventually(() => nodes(world) === 'n1 n2')
  assert.ok(
    Object.values(world.tables).every(table => !['nodes', 'services'].includes(table.name) || !table.initialized),
  )
})

test('what was known and is not any more goes once the API server answers', async () => {
  await using before = await known()
  await using world = await before.start('another')
  await eventually(() => nodes(world) === 'n1 n2')
  await before.api.server.up()
  await before.api.admin.delete(`${NODES}/n2`)
  await eventually(() => world.source.waitingFor() === undefined && nodes(world) === 'n1')
  assert.equal(world.tables.nodes.initialized, true)
})

test('a file that cannot be read is no reason not to start', async () => {
  await using before = await known()
  writeFileSync(join(before.folder, 'known-node.json'), '{"row": ')
  await using world = await before.start('this')
  await eventually(() => world.log.lines.some(line => line.includes('what was known of the cluster cannot be read')))
  assert.equal(nodes(world), '')
})

/** What n1 knows by a folder with these files, another kernel having written them. */
async function recalled(files: Readonly<Record<string, string>>) {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'cw-known-'))
  using _folder = { [Symbol.dispose]: () => folder.remove() }
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder.path, file), text)
  const tables = createTables()
  // Which is not finished: what is known counts.
  tables.nodes.initializer('test')
  const log = new FakeLog()
  const options = { folder: folder.path, nodeName: 'n1', bootId: 'this', tables, log, clock: systemClock }
  const since = await new KnownCluster(options).recall()
  return { since, nodes: [...tables.nodes].map(row => row.name).join(' '), warned: log.lines.join() }
}
const OWN = '{"bootId": "another", "at": "2026-01-01T00:00:00Z", "row": {"name": "n1"}}'

test('the own node is known though the rest is not there', async () => {
  const { since, nodes, warned } = await recalled({ 'known-node.json': OWN })
  assert.deepEqual({ since, nodes, warned }, { since: new Date('2026-01-01'), nodes: 'n1', warned: '' })
})

test('of a file that is damaged counts what comes before, and the own node', async () => {
  const rest = '["nodes",{"name":"n2"}]\n["table of another build",{}]\n["nodes",{"na'
  const { nodes, warned } = await recalled({ 'known-node.json': OWN, 'known-cluster.jsonl': rest })
  assert.equal(nodes, 'n2 n1')
  assert.match(warned, /what was known of the cluster cannot be read/)
})

for (const text of ['null', '[]', '{"row": {"name": "n1"}, "at": "yesterday"}', OWN.replace('n1', 'n2')])
  test(`what is kept as ${text} is no node of ours`, async () => {
    const { since, nodes, warned } = await recalled({ 'known-node.json': text })
    assert.deepEqual({ since, nodes }, { since: undefined, nodes: '' })
    assert.match(warned, /what was known of the cluster cannot be read/)
  })

test('what could not be kept is kept at the next change of any node', async () => {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'cw-known-'))
  using _folder = { [Symbol.dispose]: () => folder.remove() }
  const inTheWay = join(folder.path, 'known-node.json.tmp')
  mkdirSync(inTheWay)
  await using world = await startSource({ folder: folder.path })
  const { admin } = world.api
  await admin.create(NODES, node('n1'))
  await eventually(() => world.log.lines.some(line => line.includes('could not be kept')))
  rmdirSync(inTheWay)
  await admin.create(NODES, node('n2'))
  await eventually(() => existsSync(join(folder.path, 'known-node.json')))
})

test('a change of the own node is kept at once', async () => {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'cw-known-'))
  using _folder = { [Symbol.dispose]: () => folder.remove() }
  await using world = await startSource({ folder: folder.path })
  const { admin } = world.api
  await admin.create(NODES, node('n1', { spec: { podCIDRs: ['10.0.1.0/24'] } }))
  const kept = (): string => {
    const file = join(folder.path, 'known-node.json')
    return existsSync(file) ? readFileSync(file, 'utf8') : ''
  }
  await eventually(() => kept().includes('10.0.1.0/24'))
  await admin.patch(`${NODES}/n1`, { metadata: { labels: { cloud: 'aws' } } })
  await eventually(() => kept().includes('aws'))
})

test('addresses that the cloud gave the node are known, and those that it has not any more go', async () => {
  await using before = await known()
  const { api } = before
  await api.server.up()
  const kind = { apiVersion: 'causeway.dev/v1alpha1', kind: 'NodeNetwork', metadata: { name: 'n1' } }
  const nic = { id: 'eni-1', mac: '02:00:00:00:00:01', index: 0, phase: 'ready' }
  const block = { block: '10.0.0.16/28', nic: 'eni-1', phase: 'allocatable', born: 3 }
  const networks = '/apis/causeway.dev/v1alpha1/nodenetworks'
  await api.admin.create(networks, { ...kind, spec: { cloud: { provider: 'aws', nics: [nic], blocks: [block] } } })
  {
    await using world = await before.start('this')
    await eventually(() => world.source.waitingFor() === undefined && world.tables.cloudBlocks.size === 1)
    await eventually(() => readFileSync(join(before.folder, 'known-node.json'), 'utf8').includes('10.0.0.16/28'))
  }
  await api.server.down()
  await using world = await before.start('another')
  const { cloudBlocks, cloudNics, cloudMachines } = world.tables
  await eventually(() => cloudBlocks.size === 1)
  assert.deepEqual([cloudNics.get('eni-1')?.mac, cloudMachines.get('aws')?.shortage], ['02:00:00:00:00:01', ''])
  assert.equal(cloudBlocks.initialized, false)
  await api.server.up()
  await api.admin.patch(`${networks}/n1`, { spec: { cloud: { blocks: [] } } })
  await eventually(() => cloudBlocks.initialized && cloudBlocks.size === 0)
  assert.equal(cloudNics.size, 1)
})
