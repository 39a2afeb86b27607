import assert from 'node:assert/strict'
import { test } from 'node:test'
import { settle } from '../../test/support/fake-clock.ts'
import { Random } from '../../test/support/random.ts'
import { NotSettled } from './settle.ts'
import { BatchTarget, MemoryTarget, never, started } from './testdata/memory-target.ts'

test('rows of one synchronous block are carried together, deletions first', async () => {
  const { table, target, run } = started(new BatchTarget())
  void run()
  table.put({ key: 'a', value: 1 })
  table.put({ key: 'b', value: 1 })
  await settle()
  assert.equal(target.said(), 'batch of 2, prune')
  table.put({ key: 'c', value: 1 })
  table.put({ key: 'c', value: 2 })
  table.delete('a')
  table.delete('b')
  await settle()
  assert.equal(target.said(), 'delete a b, put c=2')
  assert.equal(target.toString(), 'c=2')
})

test('a row reaches a free target without timers, within the microtasks after the block', async () => {
  const { table, target, clock, reconciler, run } = started()
  void run()
  await settle()
  const timers = clock.next
  const revision = table.put({ key: 'a', value: 1 })
  let turned = false
  setImmediate(() => (turned = true))
  await reconciler.settled('a', revision, never)
  assert.equal(turned, false)
  assert.equal(target.said(), 'prune, put a=1')
  assert.equal(clock.next, timers)
})

test('a failing row is tried again from 100 ms to 60 s and does not hold up the others', async () => {
  const { table, target, clock, log, reconciler, run } = started()
  void run()
  target.broken.add('a')
  table.put({ key: 'a', value: 1 })
  table.put({ key: 'b', value: 1 })
  await settle()
  assert.equal(target.toString(), 'b=1')
  const waits: number[] = []
  for (let i = 0; i < 12; i++) {
    const wait = reconciler.status().pending[0]?.retryInMs ?? 0
    waits.push(wait)
    await clock.advance(wait)
  }
  assert.deepEqual(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000])
  assert.deepEqual(
    log.lines.filter(line => line.startsWith('warn')),
    ['warn update failed and will be tried again reconciler=memory key=a rows=1 error=a is broken'],
  )
  target.broken.clear()
  await clock.advance(60_000)
  assert.equal(target.toString(), 'a=1 b=1')
  assert.deepEqual(reconciler.status().pending, [])
})

test('jitter shortens a wait by at most a quarter', async () => {
  const { table, target, reconciler, run } = started(new MemoryTarget(), 0.999_999)
  void run()
  target.broken.add('a')
  table.put({ key: 'a', value: 1 })
  await settle()
  assert.equal(reconciler.status().pending[0]?.retryInMs, 76)
})

test('a new row of a failing key is tried at once, and what the failed attempt left is pruned', async () => {
  const { table, target, run } = started()
  void run()
  target.broken.add('a')
  table.put({ key: 'a', value: 1 })
  await settle()
  target.rows.set('part of a', 1)
  target.broken.clear()
  target.said()
  table.put({ key: 'a', value: 2 })
  await settle()
  assert.equal(target.said(), 'put a=2, prune')
  assert.equal(target.toString(), 'a=2')
})

test('an update is told what was carried before, and a deletion names what was carried', async () => {
  const { table, target, run } = started()
  void run()
  table.put({ key: 'a', value: 1 })
  await settle()
  table.put({ key: 'a', value: 2 })
  await settle()
  target.said()
  table.put({ key: 'a', value: 3 })
  table.delete('a')
  await settle()
  assert.equal(target.said(), 'delete a=2')
})

test('a failing batch is carried in halves, so that only the bad row waits and costs few calls', async () => {
  const { table, target, reconciler, run } = started(new BatchTarget())
  void run()
  target.broken.add('k77')
  for (let i = 0; i < 256; i++) table.put({ key: `k${i}`, value: 1 })
  while (reconciler.status().pending.length !== 1) await settle()
  assert.equal(target.rows.size, 255)
  assert.deepEqual(
    reconciler.status().pending.map(({ key, error }) => `${key}: ${error}`),
    ['k77: k77 is broken'],
  )
  assert.ok(target.calls.length < 20, `${target.calls.length} calls`)
})

test('other work has its turn between the parts of a failing batch', async () => {
  const { table, target, run, reconciler } = started(new BatchTarget())
  void run()
  for (let i = 0; i < 64; i++) {
    table.put({ key: `k${i}`, value: 1 })
    target.broken.add(`k${i}`)
  }
  let most = 0
  while (reconciler.status().pending.filter(row => row.attempts === 1).length < 64) {
    await new Promise(setImmediate)
    most = Math.max(most, target.calls.splice(0).length)
  }
  assert.ok(most <= 2, `${most} calls in one stretch`)
})

test('waiting ends when the row is carried, not before', async () => {
  const { table, target, reconciler, run } = started()
  void run()
  await settle()
  const release = target.hold()
  let settled = false
  const waiting = reconciler.settled('a', table.put({ key: 'a', value: 1 }), never).then(() => (settled = true))
  await settle()
  assert.equal(settled, false)
  release()
  await waiting
})

test('waiting for the deletion of what is not there ends once the table was looked at', async () => {
  const { table, reconciler, run } = started()
  table.put({ key: 'a', value: 1 })
  const waiting = reconciler.settled('b', table.delete('b'), never)
  void run()
  await waiting
})

test('who waits in vain is told what failed', async () => {
  const { table, target, reconciler, run } = started()
  const cases: readonly (readonly [string, string])[] = [
    ['a', "row 'a' of table rows has not reached memory in 1 attempt: a is broken"],
    ['b', "row 'b' of table rows has not reached memory: its turn has not come"],
  ]
  void run()
  await settle()
  target.broken.add('a')
  const revision = table.put({ key: 'a', value: 1 })
  await settle()
  for (const [key, message] of cases) {
    const deadline = new AbortController()
    const waiting = reconciler.settled(key, key === 'b' ? revision + 1 : revision, deadline.signal)
    deadline.abort()
    await assert.rejects(waiting, (err: unknown) => err instanceof NotSettled && err.message === message)
  }
})

test('stopping tells everyone who waits, and drops the place in the table', async () => {
  const { table, reconciler, run, clock } = started()
  const own = new AbortController()
  const running = run(own.signal)
  await settle()
  assert.deepEqual(
    table.followers.map(follower => follower.name),
    ['memory'],
  )
  const waiting = reconciler.settled('a', table.revision + 1, never)
  own.abort()
  await running
  await assert.rejects(waiting, /does not run/)
  await assert.rejects(reconciler.settled('a', table.revision + 1, never), /does not run/, 'who comes later, too')
  assert.deepEqual([table.followers, clock.next], [[], undefined])
})

test('under random changes and failures the target ends as the table is, before any refresh', async () => {
  const random = new Random()
  const { table, target, clock, reconciler, run } = started(random.pick([new BatchTarget(), new MemoryTarget()]))
  void run()
  for (let i = 0; i < 3000; i++) {
    const key = `k${random.below(30)}`
    const what = random.below(100)
    if (what < 40) table.put({ key, value: i })
    else if (what < 60) table.delete(key)
    else if (what < 70) target.broken.add(key)
    else if (what < 80) target.broken.delete(key)
    else if (what < 82) target.rows.set(`stranger${i}`, 1)
    else if (what < 90) await clock.advance(random.below(1000))
    else await Promise.resolve()
  }
  target.broken.clear()
  await clock.advance(120_000)
  const wanted = new Map([...table.values()].map(row => [row.key, row.value]))
  const carried = [...target.rows].filter(([key]) => !key.startsWith('stranger'))
  assert.deepEqual(new Map(carried), wanted, random.replay)
  assert.deepEqual(reconciler.status().pending, [], random.replay)
  reconciler.refresh()
  for (let i = 0; i < 5; i++) await settle()
  assert.deepEqual(target.rows, wanted, random.replay)
})
