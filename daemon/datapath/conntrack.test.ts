import assert from 'node:assert/strict'
import { test } from 'node:test'
import { beforeFull, INTERVAL, nextInterval, wantedCapacity } from './conntrack.ts'

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
