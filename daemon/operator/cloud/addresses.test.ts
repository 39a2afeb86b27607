/** Nodes get addresses of a cloud in memory through an API server: what the operator writes, and what a new leader makes of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { node, type TestApi } from '../../../test/support/api-server.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { FakeLog } from '../../../test/support/fake-log.ts'
import { clientOf, startOwnApi } from '../../../test/support/kubernetes-source.ts'
import { type Json, listAt, textAt, valueAt } from '../../../deploy/lab/api-server/objects/json.ts'
import { AWS_BUDGETS, MemoryAws } from '../../../plugins/cloud-core/memory/aws.ts'
import type { Failure } from '../../../plugins/cloud-core/model.ts'
import { CloudFailure, type CloudProvider } from '../../../plugins/cloud-core/provider.ts'
import { systemClock } from '../../state/clock.ts'
import { Leadership } from '../lead.ts'
import type { CloudSetup } from '../../../plugins/cloud-core/setup.ts'

const OWN = '/apis/causeway.dev/v1alpha1'
const LIMITS = { nics: 4, slots: 9, lengths: { 4: [28, 32], 6: [80] }, wholeWrites: false } as const
const QUICK = { assign: 20, create: 30, attach: 20, protect: 10, observe: 10, sweep: 10, device: 10, release: 10 }

function cloud(): MemoryAws {
  return new MemoryAws({
    timer: systemClock,
    random: () => 0,
    subnets: [{ id: 'subnet-1', cidr: '10.9.0.0/24', zone: 'zone-a' }],
    latencies: QUICK,
  })
}

function providerOf(memory: MemoryAws): CloudProvider {
  const asked = <T>(ask: (done: (answer: T | { message: string }) => void) => void): Promise<T> =>
    new Promise((resolve, reject) =>
      ask(answer => {
        if (Object(answer) === answer && 'message' in (answer as object)) reject(failureOf(answer))
        else resolve(answer as T)
      }),
    )
  return {
    name: 'aws',
    budget: kind => AWS_BUDGETS[kind],
    limits: () => Promise.resolve(LIMITS),
    call: (machine, call) => asked(done => memory.call(machine.id, call, done)),
    sweep: () => asked(done => memory.sweep(done)),
  }
}

function failureOf(answer: unknown): CloudFailure {
  const { kind, message } = answer as Failure
  return new CloudFailure(kind, message)
}

function setupOf(memory: MemoryAws): CloudSetup {
  return {
    provider: providerOf(memory),
    machineOf: row =>
      row.providerId === ''
        ? 'spec.providerID is empty'
        : { node: row.name, id: row.providerId.replace(/.*\//, ''), type: 'm', zone: 'zone-a' },
    policyOf: () => {
      return {
        families: [4],
        preAllocate: 8,
        min: 0,
        maxAbove: 16,
        maxPods: 110,
        releaseDelayMs: 1000,
        firstNic: 0,
        prefixes: true,
      }
    },
  }
}

function lead(api: TestApi, memory: MemoryAws, stack: AsyncDisposableStack) {
  const { client, connection } = clientOf(api)
  stack.use(connection)
  const [stop, log] = [new AbortController(), new FakeLog()]
  const refusal = () => Promise.resolve(undefined)
  const options = { client, log, clock: systemClock, idleMs: 30_000, identity: 'operator', refusal }
  const leader = new Leadership({ ...options, cloud: () => setupOf(memory) })
  const running = leader.run(stop.signal)
  const end = async (): Promise<void> => {
    stop.abort()
    await running
  }
  stack.defer(end)
  return { leader, log, end }
}

async function join(api: TestApi, memory: MemoryAws, name: string): Promise<void> {
  memory.addMachine({ id: `i-${name}`, node: name, limits: LIMITS }, 'subnet-1')
  await api.admin.create('/api/v1/nodes', { ...node(name), spec: { providerID: `aws:///zone-a/i-${name}` } })
}

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
  const [api, memory] = [stack.use(await startOwnApi()), cloud()]
  await join(api, memory, 'a')
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
  const [api, memory] = [stack.use(await startOwnApi()), cloud()]
  await join(api, memory, 'a')
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
  const [api, memory] = [stack.use(await startOwnApi()), cloud()]
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
