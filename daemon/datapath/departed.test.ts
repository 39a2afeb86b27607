import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromMapped16 } from '../kernel/ip.ts'
import { MemoryMap } from '../kernel/memory/map.ts'
import { Departed } from './departed.ts'

const HOUR = 3_600_000_000_000n

function departedAt(first: bigint) {
  const map = new MemoryMap<Uint8Array, bigint>('departed', 16_384)
  const clock = { now: first }
  const create = (): Departed =>
    new Departed(
      () => map,
      () => clock.now,
    )
  return { clock, create, held: () => [...map.entries()].map(([address]) => fromMapped16(address)) }
}

test('an address waits for one run, and is kept after it', () => {
  const { create, held } = departedAt(1n)
  const departed = create()
  assert.equal(departed.any, false)
  departed.add('10.1.0.1')
  assert.equal(departed.any, true)
  departed.beginRun()()
  assert.deepEqual([departed.any, held()], [false, ['10.1.0.1']])
})

test('who goes during a run waits for the next, also when it went before', () => {
  const { create, clock } = departedAt(1n)
  const departed = create()
  departed.add('10.1.0.1')
  const ended = departed.beginRun()
  clock.now = 2n
  departed.add('10.1.0.1')
  departed.add('10.1.0.2')
  ended()
  assert.equal(departed.any, true)
  departed.beginRun()()
  assert.equal(departed.any, false)
})

test('what the daemon before has left waits for a run', () => {
  const { create } = departedAt(1n)
  create().add('10.1.0.1')
  const departed = create()
  assert.equal(departed.any, true)
  departed.beginRun()()
  assert.equal(departed.any, false)
})

test('after an hour, and beyond 8192, the oldest are forgotten with a run', () => {
  const { create, clock, held } = departedAt(1n)
  const departed = create()
  departed.add('10.1.0.1')
  departed.beginRun()()
  clock.now += HOUR
  departed.beginRun()()
  assert.deepEqual(held(), [])
  for (let i = 0; i < 8193; i++) departed.add(`10.1.${i >> 8}.${i & 255}`)
  departed.beginRun()()
  assert.equal(held().length, 8192)
  assert.ok(!held().includes('10.1.0.0'))
})
