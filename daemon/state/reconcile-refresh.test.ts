/** Refreshing and pruning: what somebody else changed or left in the target. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { settle } from '../../test/support/fake-clock.ts'
import { BatchTarget, MemoryTarget, never, type Row, started } from './testdata/memory-target.ts'

test('nothing is pruned before every writer is done, however long that takes', async () => {
  const { table, target, clock, reconciler, run } = started()
  target.rows.set('left over', 1)
  const done = [table.initializer('one'), table.initializer('two')]
  void run()
  table.put({ key: 'a', value: 1 })
  await clock.advance(24 * 3600_000)
  assert.equal(target.rows.has('left over'), true)
  assert.deepEqual(reconciler.status().waitingFor, ['one', 'two'])
  done[0]?.()
  await clock.advance(24 * 3600_000)
  assert.equal(target.rows.has('left over'), true)
  done[1]?.()
  await settle()
  assert.equal(target.toString(), 'a=1')
  assert.equal(reconciler.status().pruned, true)
})

test('a refresh every 30 minutes mends what somebody else changed and counts it', async () => {
  const { table, target, clock, metrics, run } = started(new BatchTarget())
  void run()
  for (const key of ['a', 'b', 'c']) table.put({ key, value: 1 })
  await clock.advance(29 * 60_000)
  const wrong = (operation: string): number =>
    metrics.value('reconciler_found_wrong_total', { reconciler: 'memory', operation })
  assert.deepEqual([wrong('update'), wrong('prune')], [0, 0])
  target.rows.set('a', 7)
  target.rows.delete('b')
  target.rows.set('stranger', 1)
  await clock.advance(60_000)
  assert.equal(target.toString(), 'a=1 b=1 c=1')
  assert.deepEqual([wrong('update'), wrong('prune')], [2, 1])
  await clock.advance(30 * 60_000)
  assert.deepEqual([wrong('update'), wrong('prune')], [2, 1])
})

test('a refresh asked for during a refresh comes after it, so that events do not keep it from its end', async () => {
  const { table, target, reconciler, run } = started()
  for (let i = 0; i < 600; i++) table.put({ key: `k${i}`, value: 1 })
  void run()
  await reconciler.settled('k599', 600, never)
  while (!reconciler.status().pruned) await settle()
  target.said()
  reconciler.refresh()
  while (target.calls.length < 300) await new Promise(setImmediate)
  reconciler.refresh()
  while (target.calls.length < 1202) await new Promise(setImmediate)
  await settle()
  const calls = target.said().split(', ')
  assert.deepEqual([calls.indexOf('prune'), calls.lastIndexOf('prune'), calls.length], [600, 1201, 1202])
})

test('what the last process left is no mistake of anybody, also when a refresh comes before the first prune', async () => {
  const { table, target, clock, metrics, run } = started()
  target.rows.set('left over', 1)
  const done = table.initializer('slow source')
  void run()
  await clock.advance(31 * 60_000)
  done()
  await settle()
  assert.equal(target.toString(), '')
  assert.equal(metrics.value('reconciler_found_wrong_total', { reconciler: 'memory', operation: 'prune' }), 0)
})

test('a target that can tell what it lacks is asked once a refresh, and only that is carried', async () => {
  class TellingTarget extends MemoryTarget {
    differing(rows: Iterable<Row>): Row[] {
      this.calls.push('look')
      if (this.broken.has('look')) throw new Error('look is broken')
      return [...rows].filter(row => this.rows.get(row.key) !== row.value)
    }
  }
  const { table, target, metrics, reconciler, run } = started(new TellingTarget())
  void run()
  for (const key of ['a', 'b', 'c']) table.put({ key, value: 1 })
  await settle()
  target.said()
  target.rows.set('b', 7)
  reconciler.refresh()
  await settle()
  assert.equal(target.said(), 'look, put b=1 was 1, prune')
  assert.equal(metrics.value('reconciler_found_wrong_total', { reconciler: 'memory', operation: 'update' }), 1)
  target.broken.add('look')
  reconciler.refresh()
  await settle()
  assert.equal(target.said(), 'look, put a=1 was 1, put b=1 was 1, put c=1 was 1, prune')
})

test('a refresh of many rows lets a new row pass', async () => {
  const { table, target, reconciler, run } = started()
  void run()
  for (let i = 0; i < 2000; i++) table.put({ key: `k${i}`, value: 1 })
  for (let i = 0; i < 5; i++) await settle()
  target.said()
  reconciler.refresh()
  await Promise.resolve()
  await reconciler.settled('new', table.put({ key: 'new', value: 1 }), never)
  assert.ok(target.calls.length < 600, `${target.calls.length} calls before the new row`)
})

test('a prune that fails is tried again', async () => {
  const { target, clock, reconciler, run } = started()
  target.rows.set('left over', 1)
  target.broken.add('prune')
  void run()
  await settle()
  assert.equal(reconciler.status().pruneError, 'prune is broken')
  target.broken.clear()
  await clock.advance(100)
  assert.equal(target.toString(), '')
  assert.equal(reconciler.status().pruneError, undefined)
})
