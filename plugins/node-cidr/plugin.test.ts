import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { parse } from 'yaml'
import { enabledPlugins, setUpPlugins } from '../../daemon/run.ts'
import { FakeClock, settle } from '../../test/support/fake-clock.ts'
import { fakeHost } from '../../test/support/fake-host.ts'
import { FakeNotes } from '../../test/support/fake-notes.ts'
import { ipamCompliance } from '../../test/support/ipam-compliance.ts'
import { givenUp, type PoolNode, poolNode } from '../../test/support/pool-node.ts'
import { plugins } from '../index.ts'
import { nodeCidrWith } from './plugin.ts'

const node = (section: unknown, podCidrs?: readonly string[]): Promise<PoolNode> =>
  poolNode(nodeCidrWith, section, podCidrs)

const COMPLIANCE = [
  {
    name: 'IPv4 with exclusions',
    family: 4,
    podCidrs: ['10.64.0.0/28', 'fd00:64::/64'],
    exclude: ['10.64.0.4/30'],
    size: 10,
    address: '10.64.0.9',
    foreign: '10.64.0.5',
  },
  {
    name: 'IPv6',
    family: 6,
    podCidrs: ['10.64.0.0/24', 'fd00:64::/124'],
    exclude: [],
    size: 15,
    address: 'fd00:64::8',
    foreign: 'fd00:65::1',
  },
] as const
for (const { name, podCidrs, exclude, ...subject } of COMPLIANCE) {
  ipamCompliance(`node-cidr, ${name}`, async () => {
    const n = await node({ exclude }, podCidrs)
    return {
      ...subject,
      cools: true,
      ipam: n.ipam,
      pool: 'default',
      cool: () => n.clock.advance(30_000),
      [Symbol.asyncDispose]: () => n[Symbol.asyncDispose](),
    }
  })
}

test('pods wait for the ranges of their node and get addresses of both families', async () => {
  await using n = await node({})
  assert.equal(await givenUp(n), 'pool default: node node-a has no pod ranges yet')
  const waiting = [n.take('a'), n.take('a', { family: 6 })]
  await settle()
  n.podCidrs()
  await settle()
  n.podCidrs('10.64.1.0/24', 'fd00:64:0:1::/64')
  assert.deepEqual(
    (await Promise.all(waiting)).map(lease => lease.address),
    ['10.64.1.1', 'fd00:64:0:1::1'],
  )
})

const WAY_OUT =
  'so that new pods wait for addresses; kube-controller-manager assigns them with --allocate-node-cidrs and ' +
  '--cluster-cidr, GKE to VPC-native clusters; where nobody does, enable cluster-pool instead of node-cidr and make an IPPool'

test('a node that has had no ranges for half a minute is a problem that names who assigns them', async () => {
  await using n = await node({})
  const problems = () => n.parts.problems?.().map(({ place, message }) => `${place}: ${message}`)
  await n.clock.advance(29_999)
  assert.deepEqual(problems(), [])
  await n.clock.advance(1)
  assert.deepEqual(problems(), [`node node-a: there is no Node object of this name since 30 s, ${WAY_OUT}`])
  n.podCidrs()
  await n.clock.advance(12_000)
  assert.deepEqual(problems(), [`node node-a: it has no pod ranges (spec.podCIDRs) since 42 s, ${WAY_OUT}`])
  n.podCidrs('10.64.1.0/24')
  assert.deepEqual(problems(), [])
  n.podCidrs()
  assert.deepEqual(problems(), [])
  await n.clock.advance(30_000)
  assert.equal(problems()?.length, 1)
})

test('ranges that grow give at once, those that shrink or change leave pods theirs', async () => {
  await using n = await node({}, ['10.64.1.0/30'])
  const first = await n.take('a')
  await n.take('b')
  await assert.rejects(n.take('c'), { code: 'POOL_EXHAUSTED' })
  n.podCidrs('10.64.1.0/29')
  assert.equal((await n.take('c')).address, '10.64.1.3')
  n.podCidrs('10.64.9.0/30')
  assert.deepEqual(await n.take('a'), first)
  assert.equal((await n.take('d')).address, '10.64.9.1')
  await n.take('e')
  await assert.rejects(n.take('f'), {
    message: 'pool default: 2 addresses in 10.64.9.0/30, 2 used, 0 cooling, 0 excluded, 3 kept outside',
  })
  await n.release(first)
  n.podCidrs('10.64.1.0/30')
  assert.equal(
    await givenUp(n),
    'pool default: 2 addresses in 10.64.1.0/30, 1 used, 1 cooling (next free in 30 s), 0 excluded, 3 kept outside',
  )
  await n.clock.advance(30_000)
  assert.equal((await n.take('f')).address, first.address)
})

test('a family that the node has no range of is refused with what it has', async () => {
  await using n = await node({}, ['10.64.1.0/24'])
  await assert.rejects(n.take('a', { family: 6 }), {
    code: 'POOL_EXHAUSTED',
    message: 'pool default has no IPv6 addresses: no pod range of node node-a (10.64.1.0/24) is one',
  })
})

test('leases of an earlier life are known before the node is', async () => {
  await using n = await node({})
  await n.ipam.restore([{ owner: 'a', family: 4, address: '10.64.1.1', pool: 'default' }], [], new FakeNotes().open())
  n.podCidrs('10.64.1.0/24')
  assert.equal((await n.take('b')).address, '10.64.1.2')
})

test('an address that was given back twice keeps no other from being given when its own rest is over', async () => {
  await using n = await node({}, ['10.64.1.0/30'])
  const released = (owner: string, address: string, agoMs: number) => {
    const lease = { owner, family: 4, address, pool: 'default' } as const
    return { lease, agoMs }
  }
  await n.ipam.restore(
    [],
    [released('a', '10.64.1.1', 20_000), released('b', '10.64.1.2', 18_000), released('c', '10.64.1.1', 5000)],
    new FakeNotes().open(),
  )
  await n.clock.advance(12_000)
  assert.equal((await n.take('d')).address, '10.64.1.2')
  await n.clock.advance(13_000)
  assert.equal((await n.take('e')).address, '10.64.1.1')
})

test('what the node itself and pods of another CNI have is not given, until they have it no more', async () => {
  await using n = await node({ cooldownSeconds: 0 }, ['10.64.1.0/29'])
  const { formerPods, hostAddresses } = n.host.tables
  const host = (address: string) => ({ address, prefixLength: 24, scope: 'global', device: 'cni0' }) as const
  const held = await n.take('a', { address: '10.64.1.3' })
  hostAddresses.put(host('10.64.1.1'))
  for (const address of ['10.64.1.2', held.address, 'fd00::2']) formerPods.put({ address })
  assert.equal((await n.take('b')).address, '10.64.1.4')
  assert.deepEqual(await n.take('a'), held, 'who had it before keeps it')
  await assert.rejects(n.take('c', { address: '10.64.1.1' }), { code: 'ADDRESS_IN_USE' })
  const [status] = n.ipam.status()
  assert.deepEqual([status?.total, status?.used, status?.excluded, status?.free], [4, 2, 2, 2])
  for (const owner of ['d', 'e']) await n.take(owner)
  await assert.rejects(n.take('f'), {
    message: 'pool default: 4 addresses in 10.64.1.0/29, 4 used, 0 cooling, 2 excluded',
  })
  await n.release(held)
  await assert.rejects(n.take('f'), { code: 'POOL_EXHAUSTED' })
  formerPods.delete('10.64.1.2')
  assert.equal((await n.take('f')).address, '10.64.1.2')
})

test('nothing is given while it is not known which addresses pods of another CNI have', async () => {
  await using n = await node({})
  const known = n.host.tables.formerPods.initializer('test')
  n.podCidrs('10.64.1.0/29')
  assert.equal(await givenUp(n), 'pool default: addresses of pods of another CNI are not known yet')
  const waiting = n.take('a')
  await settle()
  n.host.tables.formerPods.put({ address: '10.64.1.1' })
  known()
  assert.equal((await waiting).address, '10.64.1.2')
})

test('gauges bear the name of the plugin', async () => {
  await using n = await node({ exclude: ['10.64.1.4/30'] }, ['10.64.1.0/29'])
  await n.release(await n.take('a'))
  for (const owner of ['b', 'c']) await n.take(owner)
  void n.take('d').catch(() => undefined)
  await settle()
  assert.deepEqual(n.host.metrics.text().split('\n'), [
    'node_cidr_addresses{pool="default",family="ipv4",state="cooling"} 1',
    'node_cidr_addresses{pool="default",family="ipv4",state="excluded"} 3',
    'node_cidr_addresses{pool="default",family="ipv4",state="free"} 0',
    'node_cidr_addresses{pool="default",family="ipv4",state="used"} 2',
    'node_cidr_waiting_requests{pool="default",family="ipv4"} 1',
  ])
})

test('node-cidr and cluster-pool together are refused, and both are named', async () => {
  const host = fakeHost()
  const both = enabledPlugins(plugins, { 'node-cidr': {}, 'cluster-pool': {} })
  await assert.rejects(setUpPlugins({ plugins: both, hostFor: () => host, clock: new FakeClock() }), {
    name: 'ConfigError',
    message: "node-cidr: plugins cluster-pool and node-cidr both provide the pool 'default'; disable one of them",
  })
})

suite('examples of the README', () => {
  const readme = readFileSync(new URL('README.md', import.meta.url), 'utf8')
  const examples = [...readme.matchAll(/```yaml\n(.*?)```/gs)].map(match => match[1] ?? '')
  assert.ok(examples.length > 1)
  for (const example of examples) {
    test(example.trim().split('\n')[0] ?? '', async () => {
      // Each example is a whole configuration with a comment that says what a pod of a node gets.
      const [, podCidrs = '', address] = /^# node: (.*); first pod: (.*)$/m.exec(example) ?? []
      const { 'node-cidr': section } = parse(example) as Readonly<Record<string, unknown>>
      await using n = await node(section, podCidrs.split(', '))
      assert.equal((await n.take('a')).address, address)
    })
  }
})
