/** Operator and node over one API server and a cloud in memory: pods come all at once, and what they had goes back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Lease } from '../../../daemon/plugin.ts'
import { systemClock } from '../../../daemon/state/clock.ts'
import { type CloudHalf, startCloudHalf } from '../../../test/support/cloud-half.ts'
import { join, lead, memoryAws, moody, setupOf } from '../../../test/support/cloud-operator.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { FakeNotes } from '../../../test/support/fake-notes.ts'
import { startOwnApi } from '../../../test/support/kubernetes-source.ts'
import { cloudPlugin } from './node-plugin.ts'
import { parseCloudOptions } from './options.ts'

const SECTION = { cooldownSeconds: 1, releaseDelaySeconds: 1 }
const plugin = () =>
  cloudPlugin({ name: 'aws-eni', provider: 'aws', parse: raw => parseCloudOptions('aws-eni', raw) }, systemClock)
const blocksOf = ({ tables }: CloudHalf, phase: string): number =>
  [...tables.cloudBlocks.values()].filter(row => row.phase === phase).length

async function world(stack: AsyncDisposableStack) {
  const [api, memory] = [stack.use(await startOwnApi()), memoryAws()]
  await join(api, memory, 'n1')
  const leader = lead(api, () => setupOf(moody(memory).provider), stack)
  const notes = new FakeNotes()
  const begin = (leases: readonly Lease[] = []): Promise<CloudHalf> =>
    startCloudHalf(api, 'n1', { plugin: plugin(), section: SECTION, notes: notes.open(), leases })
  const calls = (name: string): number => memory.tallies.get(name)?.calls ?? 0
  return { api, memory, leader, notes, begin, calls }
}

test('sixty pods at once have addresses after one call to the cloud, and a free block stays for the next', async () => {
  await using stack = new AsyncDisposableStack()
  const { begin, calls } = await world(stack)
  const half = stack.use(await begin())
  await eventually(() => blocksOf(half, 'allocatable') === 1)
  const before = calls('AssignPrivateIpAddresses')
  const leases = await Promise.all(Array.from({ length: 60 }, (_, i) => half.take(`p${i}`)))
  assert.equal(new Set(leases.map(({ address }) => address)).size, 60)
  // Pods that came while the first call was under way may have needed a second one.
  assert.ok(calls('AssignPrivateIpAddresses') - before <= 2, String(calls('AssignPrivateIpAddresses') - before))
  assert.deepEqual(half.log.lines, [])
})

test('what pods gave back goes back to the cloud, and never while one has an address of it; also over restarts', async () => {
  await using stack = new AsyncDisposableStack()
  const { memory, begin, calls, notes } = await world(stack)
  let half = await begin()
  await eventually(() => blocksOf(half, 'allocatable') === 1)
  const leases = await Promise.all(Array.from({ length: 60 }, (_, i) => half.take(`p${i}`)))
  const kept = leases.slice(0, 2)
  for (const lease of leases.slice(2)) await half.release(lease)
  await eventually(() => notes.disk.size > 0, { timeoutMs: 20_000 })
  await half[Symbol.asyncDispose]()
  half = stack.use(await begin(kept))
  await eventually(() => calls('UnassignPrivateIpAddresses') > 0, { timeoutMs: 20_000 })
  const held = [...memory.nics.values()].flatMap(nic => nic.blocks)
  for (const { address } of kept) {
    const block = `${address.replace(/\d+$/, last => String(Number(last) & ~15))}/28`
    assert.ok(held.includes(block), `${address} is still the node's: ${held.join()}`)
  }
  assert.deepEqual(await half.take('p0'), kept[0])
  assert.equal((await half.take('next')).address.startsWith('10.9.0.'), true)
})
