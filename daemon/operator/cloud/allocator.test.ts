import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../../../test/support/eventually.ts'
import { FakeLog } from '../../../test/support/fake-log.ts'
import { LIMITS, memoryAws, moody, setupOf } from '../../../test/support/cloud-operator.ts'
import { NOTHING_PUBLISHED } from '../../../plugins/cloud-core/node-state.ts'
import { systemClock } from '../../state/clock.ts'
import { Allocator } from './allocator.ts'

test('one that may not be the only leader any more changes nothing in the cloud, and does when it is certain', async () => {
  const memory = memoryAws()
  const { provider, policyOf } = setupOf(moody(memory).provider)
  memory.addMachine({ id: 'i-a', node: 'a', limits: LIMITS }, 'subnet-1')
  let certain = false
  const publish = () => Promise.resolve()
  const options = {
    provider,
    publish,
    sweepMs: 60_000,
    mayChange: () => certain,
    log: new FakeLog(),
    clock: systemClock,
  }
  const allocator = new Allocator(options)
  const stop = new AbortController()
  const running = allocator.run(stop.signal)
  const policy = policyOf({ name: 'a', labels: {}, providerId: '', maxPods: 110 })
  allocator.put(
    { name: 'a', uid: 'u', machine: 'i-a', policy, subnets: ['subnet-1'], of: machine('a') },
    NOTHING_PUBLISHED,
  )
  try {
    await eventually(() => allocator.fleet.state('a')?.failure?.message === 'not made: the lease may be over')
    assert.equal(memory.tallies.get('AssignPrivateIpAddresses'), undefined)
    certain = true
    await eventually(() => [...(allocator.fleet.state('a')?.blocks.keys() ?? [])].length === 1)
  } finally {
    stop.abort()
    await running
  }
})

function machine(node: string) {
  return { node, id: `i-${node}`, type: 'm', zone: 'zone-a' }
}
