import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { CloudNode, type CloudNodeOptions } from '../../../test/support/cloud-node.ts'
import { settle } from '../../../test/support/fake-clock.ts'
import { cloudPlugin } from './node-plugin.ts'
import { parseCloudOptions } from './options.ts'

const start = (options: CloudNodeOptions = {}): Promise<CloudNode> =>
  CloudNode.start(
    clock => cloudPlugin({ name: 'aws-eni', provider: 'aws', parse: raw => parseCloudOptions('aws-eni', raw) }, clock),
    options,
  )
const blocksOf = (...blocks: string[]) => ({ blocks })

suite('giving back', () => {
  test('a block counts as idle once nothing of it has been in use or cooling for the delay', async () => {
    await using node = await start({ section: { cooldownSeconds: 10, releaseDelaySeconds: 60 } })
    await node.says(blocksOf('10.0.0.0/31', '10.0.0.16/31', '10.0.0.32/31'))
    const lease = await node.take('a')
    await node.clock.advance(59_999)
    assert.deepEqual(node.report.idle, [])
    await node.clock.advance(1)
    assert.deepEqual(node.report.idle, ['10.0.0.16/31', '10.0.0.32/31'])
    await node.release(lease)
    await node.clock.advance(69_999)
    assert.equal(node.report.idle.length, 2)
    await node.clock.advance(1)
    assert.deepEqual(node.report.idle, ['10.0.0.16/31', '10.0.0.32/31', '10.0.0.0/31'], 'those idle longest first')
    await node.take('b')
    await settle()
    assert.deepEqual(node.report.idle, ['10.0.0.16/31', '10.0.0.32/31'])
  })

  const draining = (born = 1) => ({ blocks: [{ block: '10.0.0.16/31', phase: 'draining' as const, born }] })
  const allocatable = (born = 1) => ({ blocks: [{ block: '10.0.0.16/31', born }] })

  test('a draining block gives no more, and is drained when the last of it is back and cool', async () => {
    await using node = await start({ section: { cooldownSeconds: 10 } })
    await node.says(allocatable())
    const lease = await node.take('a')
    await node.says(draining())
    assert.match(await node.givenUp(), /has no IPv4 addresses: more are asked/)
    assert.deepEqual(await node.take('a'), lease, 'who has one keeps it')
    await node.release(lease)
    await node.clock.advance(9_999)
    assert.equal(node.drained, '')
    await node.clock.advance(1)
    assert.equal(node.drained, '10.0.0.16/31 1')
    assert.deepEqual([...node.notes.disk], [['u1 10.0.0.16/31', '1']])
  })

  test('it is told only when the journal has it, and then not given again in that life, after any restart', async () => {
    await using node = await start()
    const disk = Promise.withResolvers<void>()
    node.notes.slow = disk.promise
    await node.says(draining())
    assert.equal(node.drained, '')
    await node.says(allocatable())
    assert.match(await node.givenUp(), /has no IPv4 addresses/, 'the write may succeed')
    await node.says(draining())
    disk.resolve()
    await settle()
    assert.equal(node.drained, '10.0.0.16/31 1')
    await node.says(allocatable())
    assert.match(await node.givenUp(), /has no IPv4 addresses/)
    await node.restart([])
    assert.match(await node.givenUp(), /has no IPv4 addresses/)
    assert.equal(node.drained, '10.0.0.16/31 1')
    await node.says(allocatable(2))
    assert.equal((await node.take('b')).address, '10.0.0.16')
    assert.equal(node.drained, '')
  })

  test('a draining block that is wanted again before nothing of it is in use gives again', async () => {
    await using node = await start()
    await node.says(allocatable())
    await node.take('a')
    await node.says(draining())
    await node.says(allocatable(2))
    assert.equal((await node.take('b')).address, '10.0.0.17')
    assert.equal(node.notes.disk.size, 0)
  })

  test('a disk that is full keeps a block from being given back, and a problem says so; it is tried again', async () => {
    await using node = await start()
    node.notes.full = true
    await node.says(draining())
    assert.equal(node.drained, '')
    assert.match(node.problems.join(), /journal: a block that is not used any more cannot be given back: no space left/)
    node.notes.full = false
    await node.clock.advance(5_000)
    assert.equal(node.drained, '10.0.0.16/31 1')
    assert.deepEqual(node.problems, [])
  })

  test('lives count within one NodeNetwork: one that was made anew begins with the first', async () => {
    await using node = await start()
    await node.says(draining(7))
    assert.equal(node.drained, '10.0.0.16/31 7')
    await node.says({ ...allocatable(1), network: 'u2' })
    assert.equal((await node.take('a')).address, '10.0.0.16')
    await node.restart([], [])
    await node.says({ ...allocatable(7), network: 'u1' })
    assert.match(await node.givenUp(), /has no IPv4 addresses/)
  })

  test('nothing is said, and nothing given up, before leases of an earlier life are known', async () => {
    await using node = await start()
    await node.says(allocatable())
    const lease = await node.take('a')
    await node.says(draining())
    await node.restart([lease])
    assert.equal(node.drained, '')
    assert.equal(node.demand, '1 0 0')
  })

  test('nothing is said before it is known what the operator says', async () => {
    await using node = await start()
    await node.says(allocatable())
    const lease = await node.take('a')
    await node.restart([lease])
    const { cloudMachines, cloudBlocks, cloudReports } = node.host.tables
    const said = (): number[] => [...cloudReports.values()].flatMap(row => row.demand.map(({ assigned }) => assigned))
    assert.deepEqual(said(), [1, 0])
    for (const row of cloudReports.values()) cloudReports.delete(cloudReports.keyOf(row))
    const listed = cloudBlocks.initializer('cluster')
    cloudMachines.delete('aws')
    await settle()
    assert.deepEqual(said(), [])
    listed()
    await settle()
    assert.equal(said().length, 2)
  })

  test('what is forgotten of many former blocks are the oldest', async () => {
    await using node = await start()
    const block = (i: number): string => `10.${i >> 8}.${i & 255}.0/24`
    for (let i = 0; i < 1100; i += 100) {
      const blocks = Array.from({ length: 100 }, (_, n) => ({ block: block(i + n), phase: 'draining' as const }))
      await node.says({ blocks })
    }
    await node.says({ blocks: [] })
    assert.equal(node.notes.disk.size, 1024)
    await node.says({ blocks: [{ block: block(0) }, { block: block(500) }] })
    assert.equal((await node.take('a')).address, '10.0.0.0')
    assert.deepEqual(
      node.ipam.status().map(({ ranges }) => ranges.join()),
      [block(0), ''],
    )
  })
})

suite('after a restart', () => {
  test('pods keep their addresses, and what was released cools down', async () => {
    await using node = await start()
    await node.says(blocksOf('10.0.0.16/30'))
    const [a, b] = [await node.take('a'), await node.take('b')]
    await node.restart([a], [{ lease: b, agoMs: 10_000 }])
    assert.equal(node.demand, '1 0 1')
    assert.deepEqual(await node.take('a'), a)
    assert.equal((await node.take('c')).address, '10.0.0.18')
  })

  test('a copy of the spec is not trusted where it may be older than what was given up and forgotten', async () => {
    await using node = await start()
    await node.says(blocksOf('10.0.0.16/30'))
    node.notes.complete = false
    await node.restart([])
    const listed = node.host.tables.cloudBlocks.initializer('cluster')
    await settle()
    assert.match(await node.givenUp(), /the API server does not answer, and what this node gave up before is not known/)
    const waiting = node.take('a')
    await settle()
    listed()
    assert.equal((await waiting).address, '10.0.0.16')
  })

  test('a copy is trusted where the journal is whole', async () => {
    await using node = await start()
    await node.says(blocksOf('10.0.0.16/30'))
    await node.restart([])
    node.host.tables.cloudBlocks.initializer('cluster')
    assert.equal((await node.take('a')).address, '10.0.0.16')
  })
})
