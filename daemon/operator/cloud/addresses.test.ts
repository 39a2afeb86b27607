/** Nodes get addresses of a cloud in memory through an API server: what the operator writes, and what a new leader makes of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { node, type TestApi } from '../../../test/support/api-server.ts'
import { joinCloud, lead, memoryCloud } from '../../../test/support/cloud-leader.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { startOwnApi } from '../../../test/support/kubernetes-source.ts'
import { type Json, listAt, textAt, valueAt } from '../../../deploy/lab/api-server/objects/json.ts'

const OWN = '/apis/causeway.dev/v1alpha1'
const cloudOf = async (api: TestApi, name: string): Promise<Json | undefined> =>
  valueAt((await api.admin.get(`${OWN}/nodenetworks/${name}`)).json, 'spec', 'cloud')
const blocksOf = async (api: TestApi, name: string): Promise<string[]> =>
  listAt(await cloudOf(api, name), 'blocks').map(block => `${textAt(block, 'block')} ${textAt(block, 'phase')}`)

async function say(api: TestApi, name: string, cloudAddresses: object): Promise<void> {
  const answer = await api.admin.patch(`${OWN}/nodenetworks/${name}/status`, { status: { cloudAddresses } })
  assert.equal(answer.status, 200, answer.text)
}
const demand = (assigned: number, waiting: number) => [{ family: 'IPv4', assigned, waiting, cooling: 0 }]

test('a node gets a prefix before it asks, and at once what its pods wait for', async () => {
  await using stack = new AsyncDisposableStack()
  const [api, memory] = [stack.use(await startOwnApi()), memoryCloud()]
  await joinCloud(api, memory, 'a')
  const { leader } = lead(api, memory, stack)
  await eventually(async () => (await blocksOf(api, 'a')).length === 1)
  assert.deepEqual(await blocksOf(api, 'a'), ['10.9.0.16/28 allocatable'])
  const spec = await cloudOf(api, 'a')
  assert.deepEqual([valueAt(spec, 'provider'), valueAt(spec, 'machine')], ['aws', 'i-a'])
  const [nic] = listAt(spec, 'nics')
  assert.deepEqual([valueAt(nic, 'phase'), valueAt(nic, 'subnetCidrs')], ['ready', ['10.9.0.0/24']])

  await say(api, 'a', { demand: demand(16, 20), idle: [], drained: [] })
  await eventually(async () => (await blocksOf(api, 'a')).length === 3)
  const status = leader.addresses?.status()
  assert.deepEqual(
    status?.nodes.map(({ name, has, demand: { assigned, waiting } }) => ({ name, has, assigned, waiting })),
    [{ name: 'a', has: 48, assigned: 16, waiting: 20 }],
  )
})

test('a new leader goes on with what was written down, and asks for nothing twice', async () => {
  await using stack = new AsyncDisposableStack()
  const [api, memory] = [stack.use(await startOwnApi()), memoryCloud()]
  await joinCloud(api, memory, 'a')
  const first = lead(api, memory, stack)
  await eventually(async () => (await blocksOf(api, 'a')).length === 1)
  await first.end()
  const calls = memory.tallies.get('AssignPrivateIpAddresses')?.calls
  const second = lead(api, memory, stack)
  await say(api, 'a', { demand: demand(8, 0), idle: [], drained: [] })
  await eventually(() => Promise.resolve(second.leader.addresses?.status().nodes[0]?.has === 16))
  assert.deepEqual(await blocksOf(api, 'a'), ['10.9.0.16/28 allocatable'])
  assert.equal(memory.tallies.get('AssignPrivateIpAddresses')?.calls, calls)
})

test('a Node that is no machine of the cloud is a problem that says why', async () => {
  await using stack = new AsyncDisposableStack()
  const [api, memory] = [stack.use(await startOwnApi()), memoryCloud()]
  await api.admin.create('/api/v1/nodes', node('bare'))
  const { leader } = lead(api, memory, stack)
  const told = (): string[] =>
    leader
      .problems()
      .filter(({ place }) => place === 'node bare')
      .map(({ message }) => message)
  await eventually(() => Promise.resolve(told().length > 0))
  assert.deepEqual(told(), ['spec.providerID is empty'])
})
