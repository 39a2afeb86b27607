import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../../test/support/fake-clock.ts'
import type { Net } from '../kernel/kernel.ts'
import { watchRoutes } from './route-watch.ts'

test('route events within half a second are one, later ones another, and none comes after the end', async () => {
  const clock = new FakeClock()
  const stop = new AbortController()
  let event = (): void => {}
  let watched = true
  let calls = 0
  const watch: Net['watch'] = (groups, onEvent) => {
    assert.deepEqual(groups, ['route4', 'route6'])
    event = () => onEvent({ kind: 'route' })
    return { [Symbol.dispose]: () => void (watched = false) }
  }
  const running = watchRoutes({ watch }, () => calls++, stop.signal, clock)
  const after = async (events: number, ms: number): Promise<number> => {
    for (let i = 0; i < events; i++) event()
    await clock.advance(ms)
    return calls
  }
  assert.equal(await after(3, 499), 0)
  assert.equal(await after(2, 1), 1)
  assert.equal(await after(0, 5000), 1)
  assert.equal(await after(1, 500), 2)
  event()
  stop.abort()
  await running
  assert.deepEqual([await after(0, 5000), watched, clock.next], [2, false, undefined])
})
