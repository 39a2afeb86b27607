/** Nodes get addresses of a cloud in memory through an API server: what the operator writes, and what a new leader makes of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listAt, valueAt } from '../../../deploy/lab/api-server/objects/json.ts'
import { node } from '../../../test/support/api-server.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { startOwnApi } from '../../../test/support/kubernetes-source.ts'
import { blocksOf, cloudOf, join, lead, memoryAws, moody, say, setupOf } from '../../../test/support/cloud-operator.ts'

test('a node gets a prefix before it asks, and at once what its pods wait for', async () => {
  await using stack = new AsyncDisposableStack()
  const [api, memory] = [stack.use(await startOwnApi()), memoryAws()]
  await join(api, memory, 'a')
  const { leader } = lead(api, () => setupOf(moody(memory).provider), stack)
  await eventually(async () => (await blocksOf(api, 'a')).length === 1)
  assert.deepEqual(await blocksOf(api, 'a'), ['10.9.0.16/28 allocatable'])
  const spec = await cloudOf(api, 'a')
  assert.deepEqual([valueAt(spec, 'provider'), valueAt(spec, 'machine')], ['aws', 'i-a'])
  const [nic] = listAt(spec, 'nics')
  assert.deepEqual([valueAt(nic, 'phase'), valueAt(nic, 'subnetCidrs')], ['ready', ['10.9.0.0/24']])

  await say(api, 'a', 16, 20)
  await eventually(async () => (await blocksOf(api, 'a')).length === 3)
  const status = leader.addresses?.status()
  assert.deepEqual(
    status?.nodes.map(({ name, has, demand: { assigned, waiting } }) => ({ name, has, assigned, waiting })),
    [{ name: 'a', has: 48, assigned: 16, waiting: 20 }],
  )
})

test('a new leader goes on with what was written down, and asks for nothing twice', async () => {
  await using stack = new AsyncDisposableStack()
  const [api, memory] = [stack.use(await startOwnApi()), memoryAws()]
  await join(api, memory, 'a')
  const first = lead(api, () => setupOf(moody(memory).provider), stack)
  await eventually(async () => (await blocksOf(api, 'a')).length === 1)
  await first.end()
  const calls = memory.tallies.get('AssignPrivateIpAddresses')?.calls
  const second = lead(api, () => setupOf(moody(memory).provider), stack)
  await say(api, 'a', 8, 0)
  await eventually(() => Promise.resolve(second.leader.addresses?.status().nodes[0]?.has === 16))
  assert.deepEqual(await blocksOf(api, 'a'), ['10.9.0.16/28 allocatable'])
  assert.equal(memory.tallies.get('AssignPrivateIpAddresses')?.calls, calls)
})

test('a Node that is no machine of the cloud is a problem that says why', async () => {
  await using stack = new AsyncDisposableStack()
  const [api, memory] = [stack.use(await startOwnApi()), memoryAws()]
  await api.admin.create('/api/v1/nodes', node('bare'))
  const { leader } = lead(api, () => setupOf(moody(memory).provider), stack)
  const told = (): string[] =>
    leader
      .problems()
      .filter(({ place }) => place === 'node bare')
      .map(({ message }) => message)
  await eventually(() => Promise.resolve(told().length > 0))
  assert.deepEqual(told(), ['spec.providerID is empty'])
})
