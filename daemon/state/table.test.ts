import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Random } from '../../test/support/random.ts'
import { dump } from './dump.ts'
import { replaceRows } from './replace.ts'
import { Table } from './table.ts'

interface Row {
  readonly key: string
  readonly value: number
}
const table = (): Table<Row> => new Table<Row>('rows', row => row.key)
const keys = (rows: readonly Row[]): string => rows.map(row => `${row.key}${row.value}`).join(' ')

test('a follower sees each key once, oldest change first, and then nothing', () => {
  const t = table()
  t.put({ key: 'a', value: 1 })
  t.put({ key: 'b', value: 1 })
  using follower = t.follow('test')
  t.put({ key: 'a', value: 2 })
  t.put({ key: 'c', value: 1 })
  const first = follower.take()
  assert.equal(keys(first.updated), 'b1 a2 c1')
  assert.equal(first.revision, 4)
  assert.deepEqual(follower.take(), { revision: 4, updated: [], deleted: [] })
})

test('a deleted row reaches those who may have seen it, and a row that came back is no deletion', () => {
  const t = table()
  using follower = t.follow('test')
  t.put({ key: 'a', value: 1 })
  t.put({ key: 'b', value: 1 })
  follower.take()
  t.delete('a')
  t.delete('b')
  t.put({ key: 'b', value: 2 })
  const changes = follower.take()
  assert.equal(keys(changes.deleted), 'a1')
  assert.equal(keys(changes.updated), 'b2')
})

test('tombstones go once every follower has passed them, and at once when nobody follows', () => {
  const t = table()
  const slow = t.follow('slow')
  using fast = t.follow('fast')
  t.put({ key: 'a', value: 1 })
  slow.take()
  fast.take()
  t.delete('a')
  fast.take()
  assert.equal(t.tombstones, 1)
  assert.deepEqual(t.followers, [
    { name: 'slow', revision: 1 },
    { name: 'fast', revision: 2 },
  ])
  slow[Symbol.dispose]()
  assert.equal(t.tombstones, 0)
  const alone = table()
  alone.put({ key: 'a', value: 1 })
  alone.delete('a')
  assert.equal(alone.tombstones, 0)
})

test('a new follower sees no deletions, only what is there', () => {
  const t = table()
  using old = t.follow('old')
  t.put({ key: 'a', value: 1 })
  t.put({ key: 'b', value: 1 })
  old.take()
  t.delete('a')
  using late = t.follow('late')
  const changes = late.take()
  assert.deepEqual([keys(changes.updated), keys(changes.deleted)], ['b1', ''])
  assert.equal(keys(old.take().deleted), 'a1')
})

test('deleting the absent changes nothing and wakes nobody', async () => {
  const t = table()
  t.put({ key: 'a', value: 1 })
  let woken = false
  void t.changed().then(() => (woken = true))
  assert.equal(t.delete('b'), 1)
  await Promise.resolve()
  assert.equal(woken, false)
})

test('readers run after the synchronous block that changed the table', async () => {
  const t = table()
  using follower = t.follow('test')
  const seen = t.changed().then(() => keys(follower.take().updated))
  t.put({ key: 'a', value: 1 })
  t.put({ key: 'b', value: 1 })
  t.delete('a')
  assert.equal(await seen, 'b1')
})

test('a table is initialized once every writer has said so, even two of one name', async () => {
  const t = table()
  const first = t.initializer('source')
  const second = t.initializer('source')
  first()
  first()
  assert.deepEqual([t.initialized, t.pending], [false, ['source']])
  const changed = t.changed()
  second()
  await changed
  assert.deepEqual([t.initialized, t.pending], [true, []])
})

test('random histories look to a follower as replaying its changes does', () => {
  const random = new Random()
  for (let round = 0; round < 200; round++) {
    const t = table()
    using follower = t.follow('test')
    const replayed = new Map<string, Row>()
    for (let i = 0; i < 300; i++) {
      const key = `k${random.below(20)}`
      if (random.below(10) < 6) t.put({ key, value: i })
      else t.delete(key)
      if (random.below(10) > 0) continue
      const { updated, deleted } = follower.take()
      for (const row of deleted) replayed.delete(row.key)
      for (const row of updated) replayed.set(row.key, row)
      assert.deepEqual(replayed, new Map([...t.values()].map(row => [row.key, row])), random.replay)
    }
  }
})

test('a change costs what changed, not what the table holds', () => {
  const t = table()
  using follower = t.follow('test')
  for (let i = 0; i < 100_000; i++) t.put({ key: `k${i}`, value: i })
  follower.take()
  const started = performance.now()
  for (let i = 0; i < 10_000; i++) {
    t.put({ key: `k${i % 10}`, value: i })
    assert.equal(follower.take().updated.length, 1)
  }
  // Looking through all rows each time would take minutes.
  assert.ok(performance.now() - started < 2000)
})

test('old rows are not kept, however long the history is', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  setFlagsFromString('--no-expose-gc')
  const table = new Table<{ readonly key: string }>('rows', row => row.key)
  using _follower = table.follow('reader')
  const old = ['a', 'b'].map(key => {
    const row = { key }
    table.put(row)
    return new WeakRef(row)
  })
  table.put({ key: 'a' })
  table.delete('b')
  table.put({ key: 'b' })
  // A WeakRef holds what it refers to until the turn that made it is over.
  await setImmediate()
  collect()
  assert.deepEqual(
    old.map(row => row.deref()),
    [undefined, undefined],
  )
})

test('equal tables dump to equal text whatever the order of writing', () => {
  const one = new Table<object>('rows', row => JSON.stringify(row).length.toString())
  const two = new Table<object>('rows', row => JSON.stringify(row).length.toString())
  one.put({ b: 1, a: { d: [2, { z: 1, y: 2 }], c: 'x' } })
  one.put({ a: 1 })
  two.put({ a: 1 })
  two.put({ a: { c: 'x', d: [2, { y: 2, z: 1 }] }, b: 1 })
  assert.equal(dump(one), dump(two))
  assert.equal(dump(one), '[\n  {"a":{"c":"x","d":[2,{"y":2,"z":1}]},"b":1},\n  {"a":1}\n]\n')
  assert.equal(dump(table()), '[]\n')
})

test('replacing rows touches only what differs and only what is mine', () => {
  const t = table()
  t.put({ key: 'mine-old', value: 1 })
  t.put({ key: 'mine-same', value: 1 })
  t.put({ key: 'other', value: 1 })
  using follower = t.follow('test')
  follower.take()
  const rows = [
    { key: 'mine-same', value: 1 },
    { key: 'mine-new', value: 2 },
  ]
  replaceRows(t, rows, row => row.key.startsWith('mine'))
  const { updated, deleted } = follower.take()
  assert.deepEqual([keys(updated), keys(deleted)], ['mine-new2', 'mine-old1'])
  assert.equal(
    replaceRows(t, rows, row => row.key.startsWith('mine')),
    t.revision,
  )
  assert.deepEqual(follower.take().updated, [])
})
