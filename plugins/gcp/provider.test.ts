import assert from 'node:assert/strict'
import { writeFileSync, mkdtempDisposableSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { serveWire } from '../../test/support/wire-server.ts'
import { GCP_BUDGETS } from '../cloud-core/memory/gcp.ts'
import type { Call } from '../cloud-core/model.ts'
import type { Machine } from '../cloud-core/provider.ts'
import { BUDGETS } from './provider-apis.ts'
import { instanceBody, json, keptInstance, MACHINE, NIC, operation, pods, serveGce } from './testdata/gce.ts'

const signal = AbortSignal.timeout(60_000)
const write = (add: readonly (readonly [length: number, count: number])[], remove: readonly string[] = []): Call => ({
  kind: 'write',
  add: add.map(([length, count]) => ({ nic: NIC, length, family: 4, count })),
  remove: remove.map(block => ({ nic: NIC, block })),
})

test('alias ranges are written whole, with those of others and the fingerprint, and the operation is waited for', async () => {
  const other = { ipCidrRange: '10.8.0.0/24', subnetworkRangeName: 'others' }
  await using cloud = await serveGce(keptInstance([other, pods('10.4.9.0/28'), pods('10.4.9.16/28')]))
  const reply = await cloud.provider.call(MACHINE, write([[28, 2]], ['10.4.9.0/28']), signal)
  assert.deepEqual(cloud.asked(), [
    'GET instances/vm1',
    'PATCH instances/vm1/updateNetworkInterface',
    'POST operations/operation-1/wait',
    'GET instances/vm1',
  ])
  const [, patch] = cloud.server.requests
  assert.equal(patch?.query.get('networkInterface'), 'nic0')
  assert.match(patch?.query.get('requestId') ?? '', /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.equal(patch?.headers['content-type'], 'application/json')
  assert.deepEqual(JSON.parse(patch?.body ?? ''), {
    fingerprint: 'f1',
    aliasIpRanges: [other, pods('10.4.9.16/28'), pods('/28'), pods('/28')],
  })
  for (const { headers } of cloud.server.requests) assert.equal(headers['authorization'], 'Bearer test-token')
  assert.deepEqual(reply.nics[0]?.blocks, ['10.4.9.16/28', '10.4.1.0/28', '10.4.2.0/28'])
})

test('the last range is taken away by a list that is empty and sent', async () => {
  await using cloud = await serveGce(keptInstance([pods('10.4.9.0/28')]))
  const reply = await cloud.provider.call(MACHINE, write([], ['10.4.9.0/28']), signal)
  assert.deepEqual(JSON.parse(cloud.server.requests[1]?.body ?? ''), { fingerprint: 'f1', aliasIpRanges: [] })
  assert.deepEqual(reply.nics[0]?.blocks, [])
})

test('what is to be given back and is not there is given back already: nothing is written', async () => {
  await using cloud = await serveGce(keptInstance([pods('10.4.9.0/28')]))
  const reply = await cloud.provider.call(MACHINE, write([], ['10.4.7.0/28']), signal)
  assert.deepEqual(cloud.asked(), ['GET instances/vm1'])
  assert.deepEqual(reply.nics[0]?.blocks, ['10.4.9.0/28'])
})

test('a request has the name of its change: the same again for the same, another for another state', async () => {
  const names: string[] = []
  for (const before of [[], [], [pods('10.4.9.0/28')]]) {
    await using cloud = await serveGce(keptInstance(before))
    await cloud.provider.call(MACHINE, write([[32, 1]]), signal)
    names.push(cloud.server.requests[1]?.query.get('requestId') ?? '')
  }
  assert.equal(names[0], names[1])
  assert.notEqual(names[0], names[2])
})

test('without a range of its own, addresses are of the primary range of the subnet', async () => {
  await using cloud = await serveGce(keptInstance([pods('10.8.0.0/24')]), { rangeName: '' })
  const reply = await cloud.provider.call(MACHINE, write([[32, 1]]), signal)
  assert.deepEqual(JSON.parse(cloud.server.requests[1]?.body ?? ''), {
    fingerprint: 'f1',
    aliasIpRanges: [pods('10.8.0.0/24'), { ipCidrRange: '/32' }],
  })
  assert.deepEqual(reply.nics[0]?.blocks, ['10.4.1.0/32'])
})

test('interfaces of a machine are shown with the hardware address that Google makes of their address', async () => {
  const { name, networkInterfaces } = instanceBody([pods('10.4.9.0/28'), pods('10.4.9.17')])
  const second = { ...networkInterfaces[0], name: 'nic1', networkIP: '10.133.0.7', aliasIpRanges: [] }
  await using cloud = await serveGce({
    'GET instances/vm1': () => json({ name, networkInterfaces: [...networkInterfaces, second] }),
  })
  const { nics } = await cloud.provider.call(MACHINE, { kind: 'observe' }, signal)
  assert.deepEqual(nics, [
    {
      id: NIC,
      mac: '42:01:0a:84:00:05',
      subnet: 'p1/europe-west1/nodes',
      status: 'attached',
      machine: MACHINE.id,
      index: 0,
      deletedWithMachine: true,
      forPods: true,
      token: '',
      node: '',
      addresses: ['10.132.0.5'],
      blocks: ['10.4.9.0/28', '10.4.9.17/32'],
    },
    {
      ...nics[0],
      id: `${MACHINE.id}/nic1`,
      mac: '42:01:0a:85:00:07',
      index: 1,
      forPods: false,
      addresses: ['10.133.0.7'],
      blocks: [],
    },
  ])
})

test('a sweep lists instances zone by zone, all pages, and what subnets have left in the range of pods', async () => {
  const other: Machine = { ...MACHINE, node: 'n2', id: 'p1/europe-west1-c/vm2', zone: 'europe-west1-c' }
  const third: Machine = { ...MACHINE, node: 'n3', id: 'p1/europe-west1-b/vm3' }
  await using cloud = await serveGce({
    'GET instances': ({ query }) => {
      assert.equal(query.get('maxResults'), '500')
      return query.get('pageToken') === 'more/2'
        ? json({ items: [instanceBody([pods('10.4.3.0/28')], 'f', 'vm3')] })
        : json({ items: [instanceBody([]), instanceBody([], 'f', 'of-somebody-else')], nextPageToken: 'more/2' })
    },
    'GET zones/europe-west1-c/instances': () => json({}),
    'GET regions/europe-west1/subnetworks/nodes': ({ query }) => {
      assert.equal(query.get('views'), 'WITH_UTILIZATION')
      return json({
        ipCidrRange: '10.132.0.0/20',
        secondaryIpRanges: [
          { rangeName: 'services', ipCidrRange: '10.5.0.0/20' },
          { rangeName: 'pods', ipCidrRange: '10.4.0.0/14' },
        ],
        utilizationDetails: {
          ipv4Utilizations: [
            { rangeName: '', totalAllocatedIp: '3', totalFreeIp: '4089' },
            { rangeName: 'pods', totalAllocatedIp: '16', totalFreeIp: '262128' },
          ],
        },
      })
    },
  })
  const wrong: Machine = { ...MACHINE, node: 'n4', id: 'nothing' }
  const { nics, subnets } = await cloud.provider.sweep([MACHINE, other, third, wrong], signal)
  assert.deepEqual(
    nics.map(({ id, machine, blocks }) => [id, machine, blocks.join()]),
    [
      [NIC, MACHINE.id, ''],
      [`${third.id}/nic0`, third.id, '10.4.3.0/28'],
    ],
  )
  const cidrs = ['10.132.0.0/20', '10.4.0.0/14']
  assert.deepEqual(subnets, [
    { id: 'p1/europe-west1/nodes', zone: '', cidrs, free: 262_128, forNics: false, reserved: [] },
  ])
})

test('all machines can have as many ranges; what is no machine of Google is refused', async () => {
  await using cloud = await serveGce({})
  assert.deepEqual(await cloud.provider.limits(MACHINE, signal), {
    nics: 1,
    slots: 150,
    lengths: { 4: [28, 32], 6: [] },
    wholeWrites: true,
  })
  await assert.rejects(cloud.provider.limits({ ...MACHINE, id: 'x' }, signal), {
    kind: 'invalid',
    message: /no machine/,
  })
})

/** A workload's identity, whose token is exchanged for one of Google. */
async function asWorkload(tokens: string, work: () => Promise<void>): Promise<void> {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'causeway-gcp-'))
  const [file, token] = [join(folder.path, 'credentials.json'), join(folder.path, 'token')]
  const credentials = {
    type: 'external_account',
    audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: tokens,
    credential_source: { file: token },
  }
  writeFileSync(token, 'of-the-workload')
  writeFileSync(file, JSON.stringify(credentials))
  process.env['GOOGLE_APPLICATION_CREDENTIALS'] = file
  try {
    await work()
  } finally {
    delete process.env['GOOGLE_APPLICATION_CREDENTIALS']
  }
}

test('the token of a workload is exchanged once and sent', async () => {
  await using tokens = await serveWire(({ body }) => {
    assert.equal(new URLSearchParams(body).get('subject_token'), 'of-the-workload')
    return json({ access_token: 'of-google', expires_in: 3600, token_type: 'Bearer' })
  })
  await using cloud = await serveGce(keptInstance([]), { ownToken: true })
  await asWorkload(`${tokens.url}/token`, async () => {
    for (const _ of [1, 2]) await cloud.provider.call(MACHINE, { kind: 'observe' }, signal)
  })
  assert.equal(tokens.requests.length, 1)
  for (const { headers } of cloud.server.requests) assert.equal(headers['authorization'], 'Bearer of-google')
})

for (const [what, wire, kind] of [
  ['refused', json({ error: 'invalid_grant' }, 400), 'denied'],
  ['never given', 'silence', 'unreachable'],
] as const)
  test(`a token that is ${what} makes a call ${kind}, which is not made`, async () => {
    await using tokens = await serveWire(() => wire)
    await using cloud = await serveGce(keptInstance([]), { ownToken: true, timeoutMs: 500 })
    await asWorkload(`${tokens.url}/token`, async () => {
      await assert.rejects(cloud.provider.call(MACHINE, write([[32, 1]]), signal), { kind, message: /no credentials/ })
    })
    assert.deepEqual(cloud.asked(), [])
  })

test('budgets are those of the cloud in memory', () => {
  assert.deepEqual(BUDGETS, GCP_BUDGETS)
})

test('an operation that is done at once is not waited for', async () => {
  await using cloud = await serveGce({
    ...keptInstance([]),
    'PATCH instances/vm1/updateNetworkInterface': () => json(operation('DONE')),
  })
  await cloud.provider.call(MACHINE, write([[32, 1]]), signal)
  assert.deepEqual(
    cloud.asked().filter(key => key.startsWith('POST')),
    [],
  )
})
