import assert from 'node:assert/strict'
import { test } from 'node:test'
import { maglevTable } from '../service/maglev.ts'
import { MaglevTables } from './maglev-tables.ts'
import { MaglevSize } from './shared.gen.ts'

const { MAGLEV_BLOCK, MAGLEV_SEGMENT_BLOCKS } = MaglevSize
const of = (...names: readonly string[]) => names.map(name => ({ name, weight: 1 }))

function tables() {
  const written: (readonly [number, Uint16Array])[] = []
  const made = new MaglevTables(() => ({ write: (first, places) => void written.push([first, places]) }), 'seed')
  return { made, written }
}

test('a table is written once for all that want the same', () => {
  const { made, written } = tables()
  const a = made.hold(of('a', 'b'), 251)
  const b = made.hold(of('a', 'b'), 251)
  assert.deepEqual([a.first, b.first, a.size, a.signature === b.signature], [0, 0, 251, true])
  assert.deepEqual(written, [[0, maglevTable(of('a', 'b'), 251, 'seed')]])
})

test('other backends, weights, order of slots or size are another table', () => {
  const { made } = tables()
  const kinds = [
    made.signature(of('a', 'b'), 251),
    made.signature(of('b', 'a'), 251),
    made.signature(of('a', 'c'), 251),
    made.signature([...of('a'), { name: 'b', weight: 2 }], 251),
    made.signature(of('a', 'b'), 509),
  ]
  assert.equal(new Set(kinds).size, kinds.length)
})

test('blocks are given again once the last user has let a table go, and not before', () => {
  const { made } = tables()
  const a = made.hold(of('a', 'b'), 1021)
  made.hold(of('a', 'b'), 1021)
  made.release(a)
  assert.equal(made.hold(of('a', 'c'), 1021).first, 2)
  made.release(a)
  assert.equal(made.hold(of('a', 'd'), 251).first, 0)
  // One block is free before the next table: too few for this one.
  assert.equal(made.hold(of('a', 'e'), 1021).first, 4)
})

test('a table lies within one segment', () => {
  const { made } = tables()
  const size = 131_071
  const perSegment = Math.floor(MAGLEV_SEGMENT_BLOCKS / Math.ceil(size / MAGLEV_BLOCK))
  made.hold(of('a', 'b'), 251)
  const firsts = Array.from({ length: perSegment }, (_, i) => made.hold(of('x', `${i}`), size).first)
  assert.equal(firsts.at(-2), MAGLEV_SEGMENT_BLOCKS - 2 * 256 + 1)
  assert.equal(firsts.at(-1), MAGLEV_SEGMENT_BLOCKS)
})

test('what is in use from before is kept, and shared on', () => {
  const { made, written } = tables()
  const signature = made.signature(of('a', 'b'), 251)
  made.read([
    { first: 7, size: 251, signature },
    { first: 0, size: 1021, signature: 1n },
  ])
  assert.equal(made.hold(of('a', 'b'), 251).first, 7)
  assert.equal(made.hold(of('a', 'c'), 251).first, 2)
  assert.equal(written.length, 1)
})

test('a write that fails leaves nothing in use', () => {
  let fails = true
  const write = () => {
    if (fails) throw new Error('no memory')
  }
  const made = new MaglevTables(() => ({ write }), '')
  assert.throws(() => made.hold(of('a', 'b'), 251), { message: 'no memory' })
  fails = false
  assert.equal(made.hold(of('a', 'b'), 251).first, 0)
})
