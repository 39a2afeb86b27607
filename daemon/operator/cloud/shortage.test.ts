/** A node that gets no more addresses: what its NodeNetwork, its Node and its Events say, and that it ends with the shortage. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listAt, textAt, valueAt } from '../../../deploy/lab/api-server/objects/json.ts'
import type { TestApi } from '../../../test/support/api-server.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { startOwnApi } from '../../../test/support/kubernetes-source.ts'
import type { Failure } from '../../../plugins/cloud-core/model.ts'
import {
  blocksOf,
  cloudOf,
  join,
  lead,
  LIMITS,
  memoryAws,
  moody,
  networkOf,
  say,
  setupOf,
} from '../../../test/support/cloud-operator.ts'

const TAINT = 'causeway.dev/no-addresses'

async function conditionOf(api: TestApi, name: string) {
  const all = listAt(await networkOf(api, name), 'status', 'conditions')
  const found = all.find(each => textAt(each, 'type') === 'AddressesAvailable')
  return found === undefined
    ? undefined
    : { status: textAt(found, 'status'), reason: textAt(found, 'reason'), message: textAt(found, 'message') }
}
const shortageOf = async (api: TestApi, name: string): Promise<string> => textAt(await cloudOf(api, name), 'shortage')

async function nodeOf(api: TestApi, name: string) {
  const { json } = await api.admin.get(`/api/v1/nodes/${name}`)
  return {
    taints: listAt(json, 'spec', 'taints').map(taint => textAt(taint, 'key')),
    capacity: valueAt(json, 'status', 'capacity', 'causeway.dev/addresses'),
    allocatable: valueAt(json, 'status', 'allocatable', 'causeway.dev/addresses'),
  }
}

async function eventsOf(api: TestApi, name: string): Promise<string[]> {
  const items = listAt((await api.admin.get('/api/v1/namespaces/default/events')).json, 'items')
  return items
    .filter(event => textAt(event, 'involvedObject', 'name') === name)
    .map(event => `${textAt(event, 'involvedObject', 'kind')} ${textAt(event, 'reason')}`)
}

test('a machine that is full says so although nothing of its addresses changes, until pods have gone', async () => {
  await using stack = new AsyncDisposableStack()
  const [api, memory] = [stack.use(await startOwnApi()), memoryAws()]
  await join(api, memory, 'a', { ...LIMITS, nics: 1, slots: 2 })
  lead(api, () => setupOf(moody(memory).provider), stack, { taintEmpty: true })
  await eventually(async () => (await nodeOf(api, 'a')).capacity === '32')
  assert.deepEqual(await nodeOf(api, 'a'), { taints: [], capacity: '32', allocatable: '32' })
  await eventually(async () => (await conditionOf(api, 'a'))?.reason === 'AddressesComing')
  await api.admin.patch('/api/v1/nodes/a', { spec: { taints: [{ key: 'theirs', effect: 'NoSchedule' }] } })

  await say(api, 'a', 30, 0)
  await eventually(async () => (await blocksOf(api, 'a')).length === 2)
  assert.equal(await shortageOf(api, 'a'), '')
  await say(api, 'a', 32, 3)
  await eventually(async () => (await shortageOf(api, 'a')) !== '')
  const message =
    'machine i-a of type m holds 32 addresses for pods, as many as it can: take a larger type, or let its kubelet take fewer pods'
  assert.equal(await shortageOf(api, 'a'), message)
  await eventually(async () => (await conditionOf(api, 'a'))?.status === 'False')
  assert.deepEqual(await conditionOf(api, 'a'), { status: 'False', reason: 'MachineFull', message })
  await eventually(async () => (await nodeOf(api, 'a')).taints.length === 2)
  assert.deepEqual((await nodeOf(api, 'a')).taints, ['theirs', TAINT])
  assert.deepEqual(await eventsOf(api, 'a'), ['Node MachineFull'])

  await say(api, 'a', 20, 0)
  await eventually(async () => (await shortageOf(api, 'a')) === '' && (await nodeOf(api, 'a')).taints.length === 1)
  assert.deepEqual((await nodeOf(api, 'a')).taints, ['theirs'])
  await eventually(async () => (await conditionOf(api, 'a'))?.status === 'True')
})

test('subnets without addresses are named with the way out, and the scheduler counts what the node has', async () => {
  await using stack = new AsyncDisposableStack()
  const [api, memory] = [stack.use(await startOwnApi()), memoryAws('10.9.0.0/27')]
  await join(api, memory, 'a')
  lead(api, () => setupOf(moody(memory).provider), stack)
  await eventually(async () => (await nodeOf(api, 'a')).capacity === '110')
  await say(api, 'a', 8, 60)
  await eventually(async () => (await conditionOf(api, 'a'))?.reason === 'SubnetsFull', { timeoutMs: 20_000 })
  assert.match(
    (await conditionOf(api, 'a'))?.message ?? '',
    /^no addresses are left in subnet-1: add subnets of zone zone-a to those that aws-eni\.subnets chooses/,
  )
  await eventually(async () => (await nodeOf(api, 'a')).capacity !== '110')
  const { capacity, taints } = await nodeOf(api, 'a')
  assert.ok(Number(capacity) >= 16 && Number(capacity) <= 27)
  assert.deepEqual(taints, [], 'it is not configured')
  assert.deepEqual(await eventsOf(api, 'a'), ['Node SubnetsFull'])
})

const failing: readonly (readonly [what: string, kind: string, failure: Failure, reason: string, says: RegExp])[] = [
  [
    'a call that is denied',
    'assign',
    { kind: 'denied', message: 'AssignPrivateIpAddresses (…): UnauthorizedOperation; the policy lacks {…}' },
    'Denied',
    /the policy lacks .*causeway ipam permissions --cloud aws$/,
  ],
  ['credentials that are wrong', 'sweep', { kind: 'denied', message: 'no credentials' }, 'Denied', /^no credentials; /],
  ['a type that nobody knows', 'limits', { kind: 'invalid', message: 'no such type' }, 'CloudFails', /^no such type; /],
  ['a call that fails again and again', 'assign', { kind: 'unreachable', message: 'no answer' }, 'CloudFails', /again/],
]
for (const [what, kind, failure, reason, says] of failing)
  test(`${what} is told where people look, ends when it does, and ends nothing else`, async () => {
    await using stack = new AsyncDisposableStack()
    const [api, memory] = [stack.use(await startOwnApi()), memoryAws()]
    const cloud = moody(memory)
    // A look of its own would make up for the one at everything.
    cloud.failing = { [kind]: failure, ...(kind === 'sweep' && { observe: failure }) }
    await join(api, memory, 'a')
    const { leader } = lead(api, () => setupOf(cloud.provider), stack)
    await eventually(async () => (await conditionOf(api, 'a'))?.status === 'False', { timeoutMs: 20_000 })
    const condition = await conditionOf(api, 'a')
    assert.equal(condition?.reason, reason)
    assert.match(condition?.message ?? '', says)
    // For what may pass pods wait.
    const waits = failure.kind === 'unreachable'
    await eventually(async () => waits || (await shortageOf(api, 'a')) !== '')
    assert.match(await shortageOf(api, 'a'), waits ? /^$/ : says)
    assert.deepEqual(await eventsOf(api, 'a'), [`Node ${reason}`])
    const [told] = leader.addresses?.status().nodes ?? []
    assert.ok(told?.failure?.includes(failure.message) === true, JSON.stringify(told))
    cloud.failing = {}
    if (kind !== 'assign') return
    await eventually(async () => (await blocksOf(api, 'a')).length === 1, { timeoutMs: 30_000 })
    await eventually(async () => (await shortageOf(api, 'a')) === '')
  })
