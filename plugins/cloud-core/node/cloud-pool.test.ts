import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Lease } from '../../../daemon/plugin.ts'
import type { EndpointRow } from '../../../daemon/state/tables.ts'
import { CloudNode, type CloudNodeOptions } from '../../../test/support/cloud-node.ts'
import { endpointRow } from '../../../test/support/endpoint-row.ts'
import { settle } from '../../../test/support/fake-clock.ts'
import { cloudPlugin } from './node-plugin.ts'
import { parseCloudOptions } from './options.ts'

const start = (options: CloudNodeOptions = {}): Promise<CloudNode> =>
  CloudNode.start(
    clock => cloudPlugin({ name: 'aws-eni', provider: 'aws', parse: raw => parseCloudOptions('aws-eni', raw) }, clock),
    options,
  )
const blocksOf = (...blocks: string[]) => ({ blocks })

suite('what is given', () => {
  test('every address of a block, of the fullest block first, then of the lowest', async () => {
    await using node = await start()
    await node.says(blocksOf('10.0.0.32/31', '10.0.0.16/30'))
    const given: string[] = []
    for (const owner of 'abcde') given.push((await node.take(owner)).address)
    assert.deepEqual(given, ['10.0.0.16', '10.0.0.17', '10.0.0.18', '10.0.0.19', '10.0.0.32'])
    await node.says(blocksOf('10.0.0.0/30', '10.0.0.32/31', '10.0.0.16/30'))
    assert.equal((await node.take('f')).address, '10.0.0.33', 'half of it is in use, of the lower one nothing')
  })

  test('nothing of a block that is on its way back, or on an interface without a device', async () => {
    await using node = await start()
    const phases = ['draining', 'drained', 'releasing', 'released'] as const
    await node.says({
      nics: [{}, { id: 'eni-2', index: 1 }],
      blocks: [
        ...phases.map((phase, i) => ({ block: `10.0.0.${i}/32`, phase })),
        { block: '10.0.0.9/32', nic: 'eni-2' },
        { block: '10.0.0.10/32', nic: 'eni-3' },
      ],
    })
    assert.equal(await node.givenUp(), 'pool default has no IPv4 addresses: more are asked of AWS')
    const waiting = node.take('a')
    node.plug('eni-2')
    assert.equal((await waiting).address, '10.0.0.9')
  })

  test('nothing of an interface below the first for pods', async () => {
    await using node = await start({ section: { firstInterface: 1 } })
    await node.says({
      nics: [{}, { id: 'eni-2', index: 1 }],
      blocks: ['10.0.0.9/32', { block: '10.0.1.9/32', nic: 'eni-2' }],
    })
    assert.match(await node.givenUp(), /has no IPv4 addresses/)
    node.plug('eni-2')
    assert.equal((await node.take('a')).address, '10.0.1.9')
  })

  test('what the node itself and pods of another CNI have is not given, and keeps its block', async () => {
    await using node = await start({ section: { releaseDelaySeconds: 0 } })
    const { formerPods, hostAddresses } = node.host.tables
    for (const address of ['10.0.0.16', '10.0.0.20']) formerPods.put({ address })
    hostAddresses.put({ address: '10.0.0.17', prefixLength: 24, scope: 'global', device: 'ens1' })
    await node.says({ blocks: ['10.0.0.16/30', { block: '10.0.0.20/30', phase: 'draining' }] })
    assert.deepEqual([node.demand, node.report.idle, node.drained], ['3 0 0', [], ''])
    assert.equal((await node.take('a')).address, '10.0.0.18')
    formerPods.delete('10.0.0.20')
    await settle()
    assert.equal(node.drained, '10.0.0.20/30 1')
  })
})

suite('waiting', () => {
  test('requests park while more may come, in order, and are served when it does', async () => {
    await using node = await start()
    await node.says(blocksOf('10.0.0.1/32'))
    await node.take('a')
    const waiting = ['b', 'c'].map(owner => node.take(owner))
    await settle()
    assert.equal(node.demand, '1 2 0')
    await node.clock.advance(2500)
    await node.says(blocksOf('10.0.0.1/32', '10.0.0.7/32'))
    assert.equal((await waiting[0])?.address, '10.0.0.7')
    assert.equal(node.demand, '2 1 0')
    await node.says(blocksOf('10.0.0.1/32', '10.0.0.7/32', '10.0.0.8/32'))
    assert.equal((await waiting[1])?.address, '10.0.0.8')
    assert.match(node.host.metrics.text(), /cloud_address_wait_seconds{pool="default",family="ipv4"} 3/)
  })

  test('who gives up says what it waited for, with numbers', async () => {
    await using node = await start()
    assert.equal(await node.givenUp(), 'pool default: the operator has given this node no addresses of AWS yet')
    await node.says(blocksOf('10.0.0.1/32'))
    await node.take('a')
    assert.equal(
      await node.givenUp(),
      'pool default: 1 addresses in 10.0.0.1/32, 1 used, 0 cooling, 0 excluded; more are asked of AWS',
    )
    await settle()
    assert.equal(node.demand, '1 0 0')
  })

  test('where the operator says a shortage, those who wait are refused at once, with numbers and its cause', async () => {
    await using node = await start()
    await node.says(blocksOf('10.0.0.1/32'))
    const lease = await node.take('a')
    const waiting = node.take('b')
    waiting.catch(() => undefined)
    await node.says({ ...blocksOf('10.0.0.1/32'), shortage: 'subnet-1 is full' })
    const message =
      'pool default: 1 addresses in 10.0.0.1/32, 1 used, 0 cooling, 0 excluded; no more come from AWS: subnet-1 is full'
    await assert.rejects(waiting, { code: 'POOL_EXHAUSTED', message, final: true })
    // One that cools down is worth waiting for.
    await node.release(lease)
    const next = node.take('c')
    await node.clock.advance(30_000)
    assert.equal((await next).address, '10.0.0.1')
  })

  test('a particular address that no block has is refused, and not waited for', async () => {
    await using node = await start()
    await node.says(blocksOf('10.0.0.1/32'))
    await assert.rejects(node.take('a', { address: '10.0.0.2' }), { code: 'ADDRESS_NOT_IN_POOL' })
  })

  test('addresses of another cloud are not given', async () => {
    await using node = await start()
    await node.says({ provider: 'gcp', blocks: ['10.0.0.1/32'] })
    assert.match(await node.givenUp(), /addresses of Google Cloud, and not of AWS/)
    assert.match(node.problems.join(), /enable the same plugin in both/)
  })
})

suite('demand', () => {
  const served = (name: string): EndpointRow => {
    const row = endpointRow(name, ['10.9.9.9'])
    return { ...row, pod: { namespace: 'test', name, uid: '' } }
  }
  test('pods bound to the node count before their request comes, and once', async () => {
    await using node = await start()
    await node.says(blocksOf('10.0.0.1/32'))
    for (const name of ['a', 'b', 'c']) node.pod(name)
    node.pod('elsewhere', { nodeName: 'node-b' })
    node.pod('of the host', { hostNetwork: true })
    node.pod('done', { ending: true })
    node.pod('old', { addresses: ['10.9.0.1'] })
    await settle()
    assert.equal(node.demand, '0 3 0')
    await node.take('a')
    await settle()
    assert.equal(node.demand, '1 2 0', 'it has an address though nobody else knows')
    void node.take('b').catch(() => undefined)
    await settle()
    assert.equal(node.demand, '1 2 0', 'it waits, by its request and as a pod')
    node.host.tables.endpoints.put(served('c'))
    await settle()
    assert.equal(node.demand, '1 1 0', 'it was served by another pool')
  })

  test('requests of pods that the runtime does not name count by themselves', async () => {
    await using node = await start()
    await node.says(blocksOf())
    const nobody = { pod: { namespace: '', name: '', uid: '' } }
    for (const owner of ['x', 'y']) void node.take(owner, nobody).catch(() => undefined)
    await settle()
    assert.equal(node.demand, '0 2 0')
  })

  test('what cools down counts until it is cool, also in a block that is draining', async () => {
    await using node = await start({ section: { cooldownSeconds: 20 } })
    await node.says(blocksOf('10.0.0.16/28'))
    const lease = await node.take('a')
    await node.release(lease)
    await settle()
    assert.equal(node.demand, '0 0 1')
    await node.says({ blocks: [{ block: '10.0.0.16/28', phase: 'draining' }] })
    assert.deepEqual([node.demand, node.drained], ['0 0 1', ''])
    await node.clock.advance(20_000)
    assert.deepEqual([node.demand, node.drained], ['0 0 0', '10.0.0.16/28 1'])
  })

  test('each family of the node has its own, and pods without an address want both', async () => {
    await using node = await start()
    await node.says(blocksOf('10.0.0.0/28', 'fd00:1::/80'))
    assert.equal((await node.take('a', { family: 6 })).address, 'fd00:1::1')
    node.pod('b')
    await settle()
    assert.deepEqual(
      node.report.demand.map(({ family, assigned, waiting }) => `${family}: ${assigned} ${waiting}`),
      ['4: 0 1', '6: 1 1'],
    )
  })
})

suite('problems', () => {
  test('a block that vanished while pods have addresses of it: they keep them, and are named', async () => {
    await using node = await start()
    await node.says(blocksOf('10.0.0.16/30', '10.0.0.32/30'))
    const lease: Lease = await node.take('a')
    node.host.tables.endpoints.put({
      ...endpointRow('a', [lease.address]),
      key: 'a',
      pod: { namespace: 'shop', name: 'web', uid: '' },
    })
    await node.says(blocksOf('10.0.0.32/30'))
    assert.deepEqual(await node.take('a'), lease)
    assert.match(
      node.problems.join(),
      /^NodeNetwork node-a: pods have addresses .*: 10\.0\.0\.16 \(shop\/web\); they keep them/,
    )
    assert.equal(node.demand, '0 0 0', 'it takes no address of those that the node has')
    await node.release(lease)
    assert.deepEqual(node.problems, [])
  })

  test('a spec that does not come is told after half a minute', async () => {
    await using node = await start()
    await node.clock.advance(29_999)
    assert.deepEqual(node.problems, [])
    await node.clock.advance(1)
    assert.match(node.problems.join(), /there are no addresses of AWS for this node \(spec\.cloud\) since 30 s/)
    await node.says(blocksOf('10.0.0.16/30'))
    assert.deepEqual(node.problems, [])
  })

  test('a shortage is told with its cause and who waits', async () => {
    await using node = await start()
    await node.says({ ...blocksOf('10.0.0.16/32'), shortage: 'subnet-1 is full' })
    await node.release(await node.take('a'))
    void node.take('b').catch(() => undefined)
    await settle()
    assert.deepEqual(node.problems, [
      'NodeNetwork node-a: no more addresses come from AWS: subnet-1 is full; 1 request waits',
    ])
  })
})

suite('a pool in its place', () => {
  const section = { fallbackPool: 'overlay' }
  const full = { blocks: [], shortage: 'subnet-1 is full' }
  const fallbackOf = (node: CloudNode, owner: string): Promise<unknown> =>
    node.take(owner).then(
      () => 'an address',
      (error: unknown) => (error as { readonly fallback?: unknown }).fallback,
    )

  test('is named to pods that allow it, by themselves or by their namespace', async () => {
    await using node = await start({ section })
    await node.says(full)
    node.pod('may', { fallbackPool: true })
    node.pod('may not', { fallbackPool: false })
    node.pod('says nothing')
    assert.equal(await fallbackOf(node, 'may'), 'overlay')
    assert.equal(await fallbackOf(node, 'says nothing'), undefined)
    node.host.tables.namespaces.put({ name: 'test', labels: {}, fallbackPool: true })
    assert.equal(await fallbackOf(node, 'says nothing'), 'overlay')
    assert.equal(await fallbackOf(node, 'may not'), undefined)
    assert.deepEqual(
      node.ipam.status().map(({ more }) => more),
      Array(2).fill('pool overlay, for pods that allow it'),
    )
  })

  test('is named to all where that is configured, and never while more may come', async () => {
    await using node = await start({ section: { ...section, fallbackForAll: true } })
    await node.says({ blocks: [] })
    node.pod('may', { fallbackPool: true })
    assert.match(await node.givenUp('may'), /more are asked of AWS/)
    await node.says(full)
    assert.equal(await fallbackOf(node, 'unknown'), 'overlay')
  })
})

test('the pool shows its blocks by state, and figures say the same', async () => {
  await using node = await start()
  await node.says({
    blocks: ['10.0.0.16/30', '10.0.0.20/30', { block: '10.0.0.24/30', phase: 'released' }, 'fd00:1::/80'],
  })
  await node.take('a')
  assert.deepEqual(
    node.ipam.status().map(({ family, used, free, blocks }) => ({ family, used, free, blocks })),
    [
      { family: 4, used: 1, free: 7, blocks: { allocatable: 2, released: 1 } },
      { family: 6, used: 0, free: Number(2n ** 48n - 1n), blocks: { allocatable: 1 } },
    ],
  )
  const text = node.host.metrics.text()
  assert.match(text, /^cloud_addresses{pool="default",family="ipv4",state="used"} 1$/m)
  assert.match(text, /^cloud_blocks{phase="allocatable"} 3$/m)
  assert.match(text, /^cloud_waiting_requests{pool="default",family="ipv4"} 0$/m)
})

test('stopping refuses those who wait', async () => {
  const node = await start()
  await node.says(blocksOf())
  const waiting = node.take('a')
  waiting.catch(() => undefined)
  await settle()
  await node[Symbol.asyncDispose]()
  await assert.rejects(waiting, /is being closed/)
})
