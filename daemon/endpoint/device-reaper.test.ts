import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NetRequest } from '../kernel/kernel.ts'
import { Machine } from '../kernel/memory/machine.ts'
import { DeviceReaper, type ReaperOptions } from './device-reaper.ts'

/** A machine whose grace periods end when told, and the requests that were made. */
function scene(options: ReaperOptions = {}) {
  const ends: (() => void)[] = []
  const machine = new Machine({ gracePeriod: () => new Promise(resolve => ends.push(resolve)) })
  const kernel = machine.process()
  const asked: (readonly NetRequest[])[] = []
  const reaper = new DeviceReaper(
    {
      link: ref => kernel.net.link(ref),
      runBlocking: requests => {
        asked.push(requests)
        return kernel.net.runBlocking(requests)
      },
    },
    options,
  )
  const make = (name: string): number => {
    kernel.net.run([{ op: 'link-add', link: { kind: 'veth', name, peer: { name: `${name}p` } } }])
    return kernel.net.link(name)?.index ?? 0
  }
  const end = async (): Promise<void> => {
    await new Promise(resolve => setImmediate(resolve))
    ends.shift()?.()
    await new Promise(resolve => setImmediate(resolve))
  }
  return { kernel, reaper, asked, make, end, operations: () => asked.map(list => list.map(r => r.op).join(' ')) }
}

test('one device is deleted by itself, those that come meanwhile go together as a group', async () => {
  const { kernel, reaper, make, end, operations } = scene()
  const [a, b, c] = [make('a'), make('b'), make('c')]
  const first = reaper.delete(a)
  await Promise.resolve()
  const rest = [reaper.delete(b), reaper.delete(c)]
  await end()
  await first
  assert.ok(kernel.net.link('b'))
  await end()
  await Promise.all(rest)
  assert.deepEqual(operations(), ['link-delete', 'link-set link-set group-delete'])
  assert.deepEqual(
    kernel.net.links().map(link => link.name),
    ['lo'],
  )
})

test('110 deletions at one time take one grace period', async () => {
  const { kernel, reaper, make, end, asked } = scene()
  const indices = Array.from({ length: 110 }, (_, i) => make(`d${i}`))
  const all = Promise.all(indices.map(index => reaper.delete(index)))
  await end()
  await all
  assert.equal(asked.length, 1)
  assert.equal(kernel.net.links().length, 1)
})

test('a device that is gone already is no failure, also among others', async () => {
  const { kernel, reaper, make, end } = scene()
  const [a, b, c] = [make('a'), make('b'), make('c')]
  kernel.net.run([{ op: 'link-delete', link: b }])
  const all = Promise.all([a, b, c, b].map(index => reaper.delete(index)))
  await end()
  await all
})

test('a refusal reaches those whose device is still there, and the next try succeeds', async () => {
  const { kernel, reaper, make, end } = scene()
  const [a, b] = [make('a'), make('b')]
  kernel.failAt(3, 'ENOMEM')
  const failed = Promise.allSettled([reaper.delete(a), reaper.delete(b)])
  await end()
  assert.deepEqual(
    (await failed).map(result => result.status),
    ['rejected', 'rejected'],
  )
  const again = reaper.delete(a)
  await end()
  await again
  assert.equal(kernel.net.link('a'), undefined)
})

test('a deletion the kernel does not finish keeps no other waiting, and is counted until it ends', async () => {
  const counts: number[] = []
  const { kernel, reaper, make, end } = scene({ patienceMs: 1, stuck: { set: n => void counts.push(n) } })
  const [a, b, c] = [make('a'), make('b'), make('c')]
  await assert.rejects(reaper.delete(a), { name: 'TimeoutError' })
  await assert.rejects(reaper.delete(b), { name: 'TimeoutError' })
  // Two threads wait by now; the others are kept for reading and writing files.
  await assert.rejects(reaper.delete(c), /has not finished 2 earlier deletions/)
  await end()
  await end()
  assert.deepEqual(counts, [1, 2, 1, 0])
  assert.deepEqual(
    ['a', 'b', 'c'].map(name => kernel.net.link(name)?.index),
    [undefined, undefined, c],
  )
})
