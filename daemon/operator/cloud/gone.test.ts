/** A node that is gone: its NodeNetwork goes by its owner, and what it left in the cloud by the tags that it bears. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMetrics } from '../../observe/metrics.ts'
import { join, lead, memoryAws, moody, networkOf, setupOf } from '../../../test/support/cloud-operator.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { startOwnApi } from '../../../test/support/kubernetes-source.ts'
import { valueAt } from '../../../deploy/lab/api-server/objects/json.ts'
import { cloudMetrics } from './metrics.ts'

test('an interface that was made for a node that is gone is deleted after two looks, and one in use stays', async () => {
  await using stack = new AsyncDisposableStack()
  const clock = new FakeClock()
  const [api, memory] = [stack.use(await startOwnApi()), memoryAws('10.9.0.0/24', clock)]
  for (const name of ['a', 'b']) await join(api, memory, name)
  // Whoever asked for it died before anything was written down.
  const made = Promise.withResolvers<unknown>()
  memory.call('i-a', { kind: 'create', token: 'token-of-a', subnet: 'subnet-1', length: 28, count: 1 }, made.resolve)
  await clock.advance(100)
  await made.promise
  const leftover = [...memory.nics.values()].find(({ token }) => token === 'token-of-a')?.id ?? ''
  assert.notEqual(leftover, '')

  const metrics = createMetrics({ version: '', node: '' })
  let leader: ReturnType<typeof lead>['leader'] | undefined
  const meter = cloudMetrics(metrics, () => leader?.addresses?.figures())
  leader = lead(api, () => setupOf(moody(memory).provider), stack, { clock, meter }).leader
  await eventually(async () => {
    await clock.advance(200)
    return valueAt(await networkOf(api, 'a'), 'spec', 'cloud') !== undefined
  })
  await api.admin.delete('/api/v1/nodes/a')
  memory.removeMachine('i-a')
  await eventually(async () => (await api.admin.get('/apis/causeway.dev/v1alpha1/nodenetworks/a')).status === 404)
  await eventually(async () => {
    await clock.advance(100)
    return (
      leader?.addresses
        ?.status()
        .nodes.map(({ name }) => name)
        .join() === 'b'
    )
  })
  // A look that shows it, and none that has shown it for long enough.
  await clock.advance(100_000)
  assert.ok(memory.nics.has(leftover))
  await eventually(async () => {
    await clock.advance(20_000)
    return !memory.nics.has(leftover)
  })
  assert.deepEqual(
    [...memory.nics.values()].map(({ machine }) => machine),
    ['i-b'],
  )
  await eventually(async () => {
    await clock.advance(1000)
    return /causeway_operator_cloud_leftovers_deleted_total 1\n/.test(await metrics.expose())
  })
  const text = await metrics.expose()
  for (const line of [
    /^causeway_operator_cloud_addresses\{phase="allocatable"\} 16$/m,
    /^causeway_operator_cloud_subnet_free_addresses\{subnet="subnet-1",zone="zone-a"\} \d+$/m,
    /^causeway_operator_cloud_subnet_free_prefixes\{subnet="subnet-1",zone="zone-a"\} 1[0-4]$/m,
    /^causeway_operator_cloud_call_seconds_count\{api="DeleteNetworkInterface",outcome="ok"\} 1$/m,
    /^causeway_operator_cloud_queue_seconds_count\{api="AssignPrivateIpAddresses"\} [1-9]/m,
    /^causeway_operator_cloud_budget_rate\{api="AssignPrivateIpAddresses"\} 4\.75$/m,
    /^causeway_operator_cloud_degraded\{what="growth"\} 0$/m,
    /^causeway_operator_cloud_unprotected_interfaces 0$/m,
    /^causeway_operator_cloud_short_nodes\{reason="MachineFull"\} 0$/m,
  ])
    assert.match(text, line)
  assert.ok(!text.includes('api="none"'), 'what no call is paid from is no budget')
})
