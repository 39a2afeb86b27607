import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { parse } from 'yaml'
import type { Lease } from '../../daemon/plugin.ts'
import { settle } from '../../test/support/fake-clock.ts'
import { FakeNotes } from '../../test/support/fake-notes.ts'
import { ipamCompliance } from '../../test/support/ipam-compliance.ts'
import { givenUp, type PoolNode, poolNode } from '../../test/support/pool-node.ts'
import { clusterPoolWith } from './plugin.ts'

const node = (pools: unknown, podCidrs?: readonly string[]): Promise<PoolNode> =>
  poolNode(clusterPoolWith, pools === undefined ? {} : { pools }, podCidrs)

const COMPLIANCE = [
  {
    name: 'IPv4 with exclusions',
    family: 4,
    ranges: ['10.64.0.0/28'],
    exclude: ['10.64.0.4/30'],
    size: 10,
    address: '10.64.0.9',
    foreign: '10.64.0.5',
  },
  {
    name: 'IPv6',
    family: 6,
    ranges: ['fd00:64::/124'],
    exclude: [],
    size: 15,
    address: 'fd00:64::8',
    foreign: 'fd00:65::1',
  },
] as const
for (const { name, ranges, exclude, ...subject } of COMPLIANCE) {
  ipamCompliance(`cluster-pool, ${name}`, async () => {
    const n = await node([{ name: 'some', ranges, exclude }], ranges)
    return {
      ...subject,
      cools: true,
      ipam: n.ipam,
      pool: 'some',
      cool: () => n.clock.advance(30_000),
      [Symbol.asyncDispose]: () => n[Symbol.asyncDispose](),
    }
  })
}

test('the lowest free address is given first, in the order of the pod ranges', async () => {
  await using n = await node(undefined, ['10.64.1.0/30', '10.64.0.0/30'])
  const given = [await n.take('a'), await n.take('b'), await n.take('c')].map(lease => lease.address)
  assert.deepEqual(given, ['10.64.1.1', '10.64.1.2', '10.64.0.1'])
})

test('both families of a dual-stack node are given to one owner', async () => {
  await using n = await node(undefined, ['10.64.1.0/24', 'fd00:64:0:1::/64'])
  assert.equal((await n.take('a')).address, '10.64.1.1')
  assert.equal((await n.take('a', { family: 6 })).address, 'fd00:64:0:1::1')
})

test("a node gives only those of its pod ranges that are the pool's", async () => {
  const pools = [
    { name: 'default', ranges: ['10.64.0.0/16'] },
    { name: 'gpu', ranges: ['10.65.0.0/24'] },
  ]
  await using n = await node(pools, ['10.64.7.0/24', '10.65.0.0/16', '192.168.0.0/24'])
  assert.deepEqual(
    n.ipam.status().map(({ pool, ranges }) => `${pool}: ${ranges.join()}`),
    ['default: 10.64.7.0/24', 'gpu: 10.65.0.0/24'],
  )
  assert.equal((await n.take('a', { pool: 'gpu' })).address, '10.65.0.1')
  assert.equal((await n.take('a')).address, '10.64.7.1')
})

test('a request waits until the node is known and has pod ranges', async () => {
  await using n = await node(undefined)
  assert.equal(await givenUp(n), 'pool default: node node-a has no pod ranges yet')
  const waiting = [n.take('a'), n.take('b', { address: '10.64.1.9' })]
  await settle()
  n.podCidrs()
  await settle()
  n.podCidrs('10.64.1.0/24')
  assert.deepEqual(
    (await Promise.all(waiting)).map(lease => lease.address),
    ['10.64.1.1', '10.64.1.9'],
  )
})

test('a pod range added later gives addresses to those who ask, one taken away no more', async () => {
  await using n = await node(undefined, ['10.64.1.0/31'])
  const first = await n.take('a')
  await n.take('b')
  await assert.rejects(n.take('c'), { code: 'POOL_EXHAUSTED' })
  n.podCidrs('10.64.1.0/31', '10.64.2.0/30')
  assert.equal((await n.take('c')).address, '10.64.2.1')
  n.podCidrs('10.64.2.0/30')
  assert.deepEqual(await n.take('a'), first)
  assert.equal((await n.take('d')).address, '10.64.2.2')
  await assert.rejects(n.take('e'), {
    message: 'pool default: 2 addresses in 10.64.2.0/30, 2 used, 0 cooling, 0 excluded, 2 kept outside',
  })
  n.podCidrs('10.64.1.0/31')
  await assert.rejects(n.take('e', { address: first.address }), { code: 'ADDRESS_IN_USE' })
})

test('a released address is not given before its time, even when nothing else is left', async () => {
  await using n = await node([{ name: 'default', cooldownSeconds: 20 }], ['10.64.1.0/30'])
  const [a, b] = [await n.take('a'), await n.take('b')]
  await n.release(b)
  await n.clock.advance(5000)
  await n.release(a)
  let given = ''
  void n.take('c').then(lease => (given = lease.address))
  await n.clock.advance(14_999)
  assert.equal(given, '')
  await n.clock.advance(1)
  assert.equal(given, '10.64.1.2')
  assert.equal(
    await givenUp(n),
    'pool default: 2 addresses in 10.64.1.0/30, 1 used, 1 cooling (next free in 5 s), 0 excluded',
  )
})

test('those who wait are served in the order they came, also before a later request', async () => {
  await using n = await node(undefined, ['10.64.1.4/31'])
  const leases = [await n.take('a'), await n.take('b')]
  for (const lease of leases) await n.release(lease)
  const order: string[] = []
  const waiting = ['c', 'd'].map(owner => n.take(owner).then(lease => order.push(`${owner} ${lease.address}`)))
  await n.clock.advance(29_999)
  waiting.push(
    n.take('e', { address: '10.64.1.5' }).then(
      () => order.push('e'),
      () => order.push('e refused'),
    ),
  )
  await n.clock.advance(1)
  await Promise.all(waiting)
  assert.deepEqual(order.sort(), ['c 10.64.1.4', 'd 10.64.1.5', 'e refused'])
})

test('a particular address that cools down is waited for', async () => {
  await using n = await node(undefined, ['10.64.1.0/24'])
  await n.release(await n.take('a', { address: '10.64.1.9' }))
  assert.equal(
    await givenUp(n, { address: '10.64.1.9' }),
    '10.64.1.9 of pool default was released lately and is free in 30 s',
  )
  const waiting = n.take('b', { address: '10.64.1.9' })
  await n.clock.advance(30_000)
  assert.equal((await waiting).address, '10.64.1.9')
})

test('without a cooldown a released address is free at once', async () => {
  await using n = await node([{ name: 'default', cooldownSeconds: 0 }], ['10.64.1.8/32'])
  await n.release(await n.take('a'))
  assert.equal((await n.take('b')).address, '10.64.1.8')
})

test('a family the node has no pod range of is refused with the reason', async () => {
  const dual = [{ name: 'default', ranges: ['10.64.0.0/16', 'fd00:64::/48'] }]
  const cases: readonly (readonly [pools: unknown, message: string])[] = [
    [dual, 'pool default has no IPv6 addresses: no pod range of node node-a (10.64.1.0/24) is within fd00:64::/48'],
    [undefined, 'pool default has no IPv6 addresses: no pod range of node node-a (10.64.1.0/24) is one'],
    [[{ name: 'default', ranges: ['10.64.0.0/16'] }], 'pool default has no IPv6 ranges'],
  ]
  for (const [pools, message] of cases) {
    await using n = await node(pools, ['10.64.1.0/24'])
    await assert.rejects(n.take('a', { family: 6 }), { code: 'POOL_EXHAUSTED', message })
  }
})

test('an exhausted pool says how many addresses it has and where they are', async () => {
  await using n = await node([{ name: 'default', ranges: ['10.64.0.0/16'], exclude: ['10.64.1.9'] }], ['10.64.1.0/28'])
  for (let i = 0; i < 13; i++) await n.take(`o${i}`)
  await assert.rejects(n.take('one too many'), {
    code: 'POOL_EXHAUSTED',
    message: 'pool default: 13 addresses in 10.64.1.0/28, 13 used, 0 cooling, 1 excluded',
  })
})

test('pod ranges that overlap or are no prefixes do no harm', async () => {
  await using n = await node(undefined, ['10.64.1.0/30', '10.64.1.0/30', '10.64.0.0/16', 'nonsense', '10.64.9.7/24'])
  assert.deepEqual(
    n.ipam.status().map(({ ranges, total }) => [ranges, total]),
    [[['10.64.0.0/16'], 65_534]],
  )
  assert.match(n.host.log.lines.join('\n'), /^warn a pod range of the node was left out .*nonsense/)
})

test('restored leases are known before the node is', async () => {
  await using n = await node(undefined)
  const lease: Lease = { owner: 'a', family: 4, address: '10.64.1.1', pool: 'default' }
  await n.ipam.restore(
    [lease, { ...lease, owner: 'b' }, { ...lease, owner: 'a', address: '10.64.1.2' }],
    [],
    new FakeNotes().open(),
  )
  assert.deepEqual(n.host.log.lines, [
    'error lease was not restored: a holds it owner=b family=4 address=10.64.1.1 pool=default',
    'error lease was not restored: a holds 10.64.1.1 owner=a family=4 address=10.64.1.2 pool=default',
  ])
  n.podCidrs('10.64.1.0/24')
  assert.equal((await n.take('c')).address, '10.64.1.2')
})

test('what was released before the start cools down for the rest of its time', async () => {
  await using n = await node(undefined)
  const lease = (address: string): Lease => ({ owner: 'gone', family: 4, address, pool: 'default' })
  const held: Lease = { ...lease('10.64.1.4'), owner: 'a' }
  const ago = { '10.64.1.1': 5_000, '10.64.1.2': 20_000, '10.64.1.3': 30_000, '10.64.1.4': 1_000 }
  await n.ipam.restore(
    [held],
    Object.entries(ago).map(([address, agoMs]) => ({ lease: lease(address), agoMs })),
    new FakeNotes().open(),
  )
  n.podCidrs('10.64.1.0/29')
  assert.deepEqual(n.ipam.status()[0], {
    pool: 'default',
    family: 4,
    ranges: ['10.64.1.0/29'],
    total: 6,
    used: 1,
    cooling: 2,
    excluded: 0,
    free: 3,
  })
  const next = async () => (await n.take(`o${n.clock.now()}`)).address
  assert.equal(await next(), '10.64.1.3')
  await n.clock.advance(10_000)
  assert.equal(await next(), '10.64.1.2')
  await n.clock.advance(15_000)
  assert.equal(await next(), '10.64.1.1')
})

test('stopping refuses those who wait', async () => {
  const n = await node(undefined)
  const waiting = n.take('a')
  await n.host.stop()
  await assert.rejects(waiting, /is being closed/)
})

test('gauges say how full each pool is and who waits', async () => {
  await using n = await node(
    [{ name: 'default', ranges: ['10.64.0.0/16'], exclude: ['10.64.1.4/30'] }],
    ['10.64.1.0/29'],
  )
  await n.take('a')
  await n.release(await n.take('b'))
  await n.take('c')
  void n.take('d').catch(() => undefined)
  await settle()
  assert.deepEqual(n.host.metrics.text().split('\n'), [
    'cluster_pool_addresses{pool="default",family="ipv4",state="cooling"} 1',
    'cluster_pool_addresses{pool="default",family="ipv4",state="excluded"} 3',
    'cluster_pool_addresses{pool="default",family="ipv4",state="free"} 0',
    'cluster_pool_addresses{pool="default",family="ipv4",state="used"} 2',
    'cluster_pool_waiting_requests{pool="default",family="ipv4"} 1',
  ])
})

suite('examples of the README', () => {
  const readme = readFileSync(new URL('README.md', import.meta.url), 'utf8')
  const examples = [...readme.matchAll(/```yaml\n(.*?)```/gs)].map(match => match[1] ?? '')
  assert.ok(examples.length > 0)
  for (const example of examples) {
    test(example.trim().split('\n')[0] ?? '', async () => {
      // Each example is a whole configuration with a comment that says what a pod of a node gets.
      const [, podCidrs = '', address] = /^# node: (.*); first pod: (.*)$/m.exec(example) ?? []
      const { 'cluster-pool': section } = parse(example) as Readonly<
        Record<string, { readonly pools?: unknown } | null>
      >
      await using n = await node(section?.pools, podCidrs.split(', '))
      assert.equal((await n.take('a')).address, address)
    })
  }
})

test('a node that has had no ranges for half a minute is a problem that names who assigns them', async () => {
  await using n = await node(undefined, [])
  const problems = () => n.parts.problems?.().map(({ message }) => message)
  await n.clock.advance(29_999)
  assert.deepEqual(problems(), [])
  await n.clock.advance(1)
  assert.match(problems()?.join() ?? '', /no pod ranges .* since 30 s.* the operator assigns them from the IPPools/)
  n.podCidrs('10.64.1.0/24')
  assert.deepEqual(problems(), [])
})
