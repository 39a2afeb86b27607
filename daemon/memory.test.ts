import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../test/support/fake-clock.ts'
import { FakeLog } from '../test/support/fake-log.ts'
import { giveBackWhenQuiet } from './memory.ts'

/** A process of so many megabytes, of which `alive` stay. */
function startWith(megabytes: number) {
  const state = { megabytes, alive: megabytes, cpuMs: 0, given: [] as string[] }
  const clock = new FakeClock()
  const stop = new AbortController()
  const of = {
    resident: () => state.megabytes * 1e6,
    cpuUs: () => state.cpuMs * 1000,
    giveBack: () => {
      state.given.push(`${state.megabytes} → ${state.alive}`)
      state.megabytes = state.alive
    },
  }
  const running = giveBackWhenQuiet(new FakeLog(), stop.signal, { clock, of })
  const pass = async (seconds: number): Promise<void> => {
    for (let i = 0; i < seconds; i += 5) await clock.advance(5000)
  }
  const end = async (): Promise<void> => {
    stop.abort()
    await running
  }
  return { state, pass, end }
}

test('memory is given back when the process is quiet, not while it works', async () => {
  const { state, pass, end } = startWith(200)
  state.alive = 100
  for (let i = 0; i < 4; i++) {
    state.cpuMs += 1000
    await pass(5)
  }
  assert.deepEqual(state.given, [])
  await pass(5)
  assert.deepEqual(state.given, ['200 → 100'])
  await end()
})

test('little is not worth it, and what is alive is not asked for again', async () => {
  const { state, pass, end } = startWith(100)
  await pass(60)
  assert.deepEqual(state.given, ['100 → 100'])
  state.megabytes = 109
  await pass(60)
  assert.equal(state.given.length, 1)
  await end()
})

test('after a start has come to rest it is given back every ten minutes at most', async () => {
  const { state, pass, end } = startWith(100)
  for (const megabytes of [150, 160, 170, 180]) {
    state.megabytes = megabytes
    await pass(10)
  }
  assert.deepEqual(state.given, ['150 → 100', '160 → 100', '170 → 100'])
  await pass(600)
  assert.deepEqual(state.given.at(-1), '180 → 100')
  await end()
})
