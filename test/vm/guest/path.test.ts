/**
 * What the way between two pods of a node costs, in a guest whose time is counted in instructions: the speed of round
 * trips and of a stream over that of the same between two hosts. Kept for the host, which compares it with its golden.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { warmThreadPool } from '../../../daemon/kernel/netns/thread-pool.ts'
import { median } from '../../bench/bench.ts'
import { type Family, type Way, WiredPods } from '../../bench/support/wired-pods.ts'
import { keepFigures } from './results.ts'

const LIMIT_MS = 250_000
/** Of the guest's time, for each sample. A stream that stumbles spoils a sample, not the median of them. */
const SECONDS = 0.5
const SAMPLES = { rr: 5, stream: 9 } as const
const FAMILIES = [4, 6] as const

const figures: Record<string, number> = {}
after(() => keepFigures('path', figures))

suite('pod to pod over host to host', { timeout: LIMIT_MS }, () => {
  let pods: WiredPods
  before(async () => {
    await warmThreadPool()
    pods = await WiredPods.create('guestpath', AbortSignal.timeout(LIMIT_MS))
  })
  after(() => pods?.[Symbol.asyncDispose]())

  const roundTrips = async (way: Way, family: Family): Promise<number> => {
    return 1 / (await pods.latency('rr', way, family, SECONDS)).p50Us
  }
  // By what a byte costs both ends: how fast a stream is also depends on how it happens to be cut into packets.
  const stream = async (way: Way, family: Family): Promise<number> => {
    return 1 / (await pods.throughput(way, family, SECONDS)).cpuNsPerByte
  }
  for (const family of FAMILIES) {
    test(`round trips, IPv${family}`, async () => {
      keep(`IPv${family}, round trips`, await ratio(way => roundTrips(way, family), SAMPLES.rr))
    })
    test(`a stream, IPv${family}`, async () => {
      keep(`IPv${family}, stream`, await ratio(way => stream(way, family), SAMPLES.stream))
    })
  }
})

/** Of the medians of samples taken in turn. */
async function ratio(sample: (way: Way) => Promise<number>, count: number): Promise<number> {
  const taken: Record<'pod' | 'bare', number[]> = { pod: [], bare: [] }
  for (let i = 0; i < count; i++) for (const way of ['pod', 'bare'] as const) taken[way].push(await sample(way))
  return median(taken.pod) / median(taken.bare)
}

/** Half of the speed would be a bridge with netfilter, one and a half a mistake of measuring. */
function keep(name: string, ratio: number): void {
  assert.ok(ratio > 0.5 && ratio < 1.5, `${name}: ${ratio}`)
  figures[name] = ratio
}
