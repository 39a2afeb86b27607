import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import { FakeMetrics } from '../../test/support/fake-metrics.ts'
import { beforeFull, type ExpiryCount, INTERVAL, keepConntrack, nextInterval, wantedCapacity } from './conntrack.ts'

const intervals: readonly [string, number, { live: number; expired: number }, number][] = [
  ['much to expire halves the interval', 8000, { live: 60, expired: 40 }, 4000],
  ['little to expire lengthens it', 8000, { live: 100, expired: 1 }, 12_000],
  ['a middling share leaves it', 8000, { live: 90, expired: 10 }, 8000],
  ['an empty map lengthens it', 8000, { live: 0, expired: 0 }, 12_000],
  ['it never falls below the shortest', 1000, { live: 0, expired: 9 }, INTERVAL.shortest],
  ['it never exceeds the longest', 59_000, { live: 9, expired: 0 }, INTERVAL.longest],
]
for (const [name, current, count, want] of intervals) test(name, () => assert.equal(nextInterval(current, count), want))

const filling: readonly [string, number, [number, number], number, number][] = [
  ['a map that does not fill leaves the interval', 8000, [500, 400], 1024, 8000],
  ['one that fills slowly leaves it', 8000, [100, 110], 1024, 8000],
  ['one that fills within two intervals is looked at in half of that', 8000, [0, 512], 1024, 2000],
  ['one that is beyond its share is looked at soon', 8000, [700, 900], 1024, INTERVAL.shortest],
]
for (const [name, interval, live, capacity, want] of filling)
  test(name, () => assert.equal(beforeFull(interval, live, capacity), want))

const sizes: readonly [string, number, number, number][] = [
  ['three quarters full is still enough', 1024, 768, 1024],
  ['one more doubles the map', 1024, 769, 2048],
  ['a jump in demand doubles it as often as needed', 1024, 5000, 8192],
  ['it never grows beyond the limit', 65_536, 100_000, 100_000],
  ['a map at its limit stays, however full', 100_000, 99_999, 100_000],
]
for (const [name, capacity, live, want] of sizes)
  test(name, () => assert.equal(wantedCapacity(capacity, live, 100_000), want))

/** A map of conntrack entries that says what was done with it. */
class Entries {
  readonly clock = new FakeClock()
  readonly log = new FakeLog()
  readonly metrics = new FakeMetrics()
  readonly told: string[] = []
  readonly limit = 4096
  live = 0
  expired = 0
  found = 0
  crowds = 0
  failing: string | undefined
  runMs = 0
  #capacity = 1024

  readonly expire = async (): Promise<ExpiryCount> => {
    this.told.push(`${this.clock.now()}: expire`)
    this.#failOnce('expire')
    this.gone = false
    if (this.runMs > 0) await new Promise<void>(resolve => this.clock.after(this.runMs, resolve))
    return { live: this.live, expired: this.expired, crowds: this.crowds }
  }
  gone = false
  readonly departed = (): boolean => this.gone
  readonly rejected = (): number => {
    this.#failOnce('count')
    return this.found
  }
  readonly capacity = (): number => this.#capacity
  readonly grow = async (capacity: number): Promise<void> => {
    this.told.push(`${this.clock.now()}: grow to ${capacity}`)
    this.#failOnce('grow')
    this.#capacity = await Promise.resolve(capacity)
  }
  #failOnce(what: string): void {
    if (this.failing !== what) return
    this.failing = undefined
    throw new Error(`no ${what} today`)
  }
}

/** Keeps entries for so long, acting at moments on the way; answers what was done. */
async function kept(entries: Entries, forMs: number, acts: readonly [number, () => void][] = []): Promise<string[]> {
  const stop = new AbortController()
  const keeping = keepConntrack(entries, stop.signal, entries.clock)
  for (const [at, act] of acts) {
    await entries.clock.advance(at - entries.clock.now())
    act()
  }
  await entries.clock.advance(forMs - entries.clock.now())
  stop.abort()
  await keeping
  assert.equal(entries.clock.next, undefined, 'no timer is left')
  return entries.told
}

test('a map with little to expire is looked at ever more seldom', async () => {
  assert.deepEqual(await kept(new Entries(), 40_000), ['0: expire', '7500: expire', '18750: expire', '35625: expire'])
})

test('a run that fails is logged and made again', async () => {
  const entries = new Entries()
  entries.failing = 'expire'
  assert.deepEqual(await kept(entries, 6000), ['0: expire', '5000: expire'])
  assert.deepEqual(entries.log.lines, [
    'error conntrack could not be looked after; it is tried again error=no expire today',
  ])
})

test('counters that cannot be read end nothing', async () => {
  const entries = new Entries()
  const fail = (): void => void (entries.failing = 'count')
  assert.deepEqual(await kept(entries, 9000, [[2500, fail]]), ['0: expire', '8000: expire'])
})

test('a map that is filling grows, and a growth that failed is tried again', async () => {
  const entries = new Entries()
  entries.live = 1000
  entries.failing = 'grow'
  assert.deepEqual(await kept(entries, 1500), ['0: expire', '0: grow to 2048', '1000: expire', '1000: grow to 2048'])
  assert.equal(entries.metrics.value('conntrack_capacity'), 2048)
  assert.equal(entries.metrics.value('conntrack_entries'), 1000)
})

test('flows that find no room are noticed within a second', async () => {
  const entries = new Entries()
  const burst = (): void => {
    entries.live = 700
    entries.found = 900
  }
  assert.deepEqual(await kept(entries, 3900, [[2500, burst]]), ['0: expire', '3000: expire', '3000: grow to 4096'])
})

test('flows of pods that went end within a second, and runs for them take a twentieth of the time at most', async () => {
  const entries = new Entries()
  entries.runMs = 100
  const leave = (): void => void (entries.gone = true)
  const told = await kept(entries, 7000, [
    [3500, leave],
    [4150, leave],
  ])
  assert.deepEqual(told, ['0: expire', '4100: expire', '6200: expire'])
})

test('ends at once while it rests', async () => {
  const entries = new Entries()
  assert.deepEqual(await kept(entries, 100), ['0: expire'])
  assert.equal(entries.clock.now(), 100)
})
