import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryNode, netnsPath } from '../../test/support/memory-node.ts'
import { fakeHost } from '../../test/support/fake-host.ts'
import { clusterPool } from '../../plugins/cluster-pool/plugin.ts'
import { PoolExhausted } from '../errors.ts'
import { AttachmentError } from '../endpoint/errors.ts'
import { addCniRoutes, answerCni, causeChain, cniError, type CniVerb } from './cni.ts'
import { Router } from './router.ts'

const signal = new AbortController().signal
const web = { network: 'causeway', containerId: 'web', ifName: 'eth0', netns: netnsPath('web') }

async function ask(
  node: MemoryNode,
  verb: CniVerb,
  body: unknown,
): Promise<{ status: number; json: Record<string, unknown> }> {
  const answer = await answerCni(node.daemon.endpoints, verb, { body, signal })
  if (!('json' in answer)) throw new TypeError('no JSON')
  return { status: answer.status ?? 200, json: answer.json as Record<string, unknown> }
}

test('all verbs are served at their paths', () => {
  const router = addCniRoutes(new Router(), {} as never)
  for (const verb of ['add', 'del', 'check', 'gc', 'status']) router.match('POST', `/v1/cni/${verb}`)
})

test('a pod is added, checked, spared by GC and deleted', async () => {
  await using node = await MemoryNode.start()
  node.machine.addNamespace(web.netns)
  const args = { K8S_POD_NAMESPACE: 'default', K8S_POD_NAME: 'web', K8S_POD_UID: 'u' }
  const added = await ask(node, 'add', {
    ...web,
    args,
    runtimeConfig: { ips: ['10.1.0.9'], mac: '' },
    deadlineMs: 1000,
  })
  assert.equal(added.status, 200)
  assert.deepEqual(Object.keys(added.json), ['interfaces', 'ips', 'routes', 'dns'])
  assert.deepEqual(node.daemon.tables.endpoints.get('causeway/web/eth0')?.pod, {
    namespace: 'default',
    name: 'web',
    uid: 'u',
  })
  const nothing = { status: 200, json: {} }
  assert.deepEqual(await ask(node, 'status', {}), nothing)
  assert.deepEqual(await ask(node, 'check', { ...web, prevResult: added.json }), nothing)
  assert.deepEqual(
    await ask(node, 'gc', { network: 'causeway', validAttachments: [{ containerID: 'web', ifname: 'eth0' }] }),
    nothing,
  )
  assert.deepEqual(await ask(node, 'check', web), nothing)
  assert.deepEqual(await ask(node, 'del', { ...web, netns: undefined }), nothing)
  assert.equal((await ask(node, 'check', web)).json['code'], 110)
})

const malformed: readonly [CniVerb, object | undefined, RegExp][] = [
  ['add', undefined, /^body: /],
  ['add', { ...web, containerId: '../x' }, /^containerId: /],
  ['add', { ...web, ifName: 'a-name-that-is-too-long' }, /^ifName: /],
  ['add', { ...web, ifName: 'a/b' }, /^ifName: /],
  ['add', { ...web, netns: 'relative' }, /^netns: /],
  ['add', { ...web, runtimeConfig: { ips: 'x' } }, /^runtimeConfig.ips: /],
  ['add', { ...web, runtimeConfig: { mac: '01:00:00:00:00:00' } }, /^runtimeConfig.mac: /],
  ['del', { ...web, network: '' }, /^network: /],
  ['check', { ...web, deadlineMs: -1 }, /^deadlineMs: /],
  ['gc', { network: 'causeway' }, /^validAttachments: /],
]
for (const [verb, body, text] of malformed) {
  test(`${verb} with ${JSON.stringify(body)} is refused by the name of the member`, async () => {
    await using node = await MemoryNode.start()
    const { status, json } = await ask(node, verb, body)
    assert.equal(status, 400)
    assert.equal(json['code'], 7)
    assert.match(String(json['msg']), text)
  })
}

test('requests before the restoration are told to come again', async () => {
  await using node = new MemoryNode()
  const { status, json } = await ask(node, 'add', { ...web, deadlineMs: 5 })
  assert.deepEqual([status, json['code']], [503, 11])
  assert.equal((await ask(node, 'status', {})).json['code'], 50)
})

test('a namespace that does not exist is an error of the environment', async () => {
  await using node = await MemoryNode.start()
  const { status, json } = await ask(node, 'add', web)
  assert.deepEqual(
    [status, json],
    [400, { code: 4, msg: 'CNI_NETNS /run/netns/web is no network namespace', details: '' }],
  )
})

test('a wish that no pool gives is a wrong configuration, by the name of the field', async () => {
  const { tables, ...host } = fakeHost()
  const parts = await clusterPool.configure({ pools: [{ name: 'default', ranges: ['10.1.0.0/16'] }] })({
    ...host,
    tables,
  })
  assert.ok(parts.ipam)
  tables.nodes.put({ name: host.nodeName, addresses: [], podCidrs: ['10.1.3.0/24'], labels: {} })
  await using node = await MemoryNode.start({ endpoints: { ipams: [parts.ipam], families: [4] } })
  node.machine.addNamespace(web.netns)
  assert.deepEqual(await ask(node, 'add', { ...web, runtimeConfig: { ips: ['10.99.0.1'] } }), {
    status: 400,
    json: {
      code: 7,
      msg: 'runtimeConfig.ips: 10.99.0.1 is not among the addresses that pool default gives here: 10.1.3.0/24',
      details: '10.99.0.1 is not among the addresses that pool default gives here: 10.1.3.0/24',
    },
  })
  const given = await ask(node, 'add', { ...web, runtimeConfig: { ips: ['10.1.3.9'] } })
  assert.deepEqual((given.json['ips'] as { address: string }[])[0]?.address, '10.1.3.9/32')
})

test('details carry the whole chain of causes', () => {
  const pool = new PoolExhausted('pool default: 2 of 2 used', { cause: new Error('the subnet is full') })
  assert.deepEqual(cniError(new AttachmentError('NO_ADDRESS', 'no IPv4 address for web', { cause: pool })), {
    code: 11,
    msg: 'no IPv4 address for web',
    details: 'pool default: 2 of 2 used; caused by: the subnet is full',
  })
  const many = new AggregateError([new Error('a', { cause: new Error('b') }), new Error('c')], 'two failed')
  assert.deepEqual(causeChain(new Error('GC', { cause: many })), ['GC', 'two failed', 'a: b', 'c'])
  assert.deepEqual(cniError(new TypeError('x is undefined')), { code: 124, msg: 'x is undefined', details: '' })
})
