/**
 * Keeps the conntrack map: expires entries inside the kernel by running the program `ct_expire`, as often as there is
 * something to expire, and lets the map grow before it is full. While no daemon runs nothing expires; the programs go on.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger, Metrics } from '../plugin.ts'

/** What one run of `ct_expire` found. */
export interface ExpiryCount {
  readonly live: number
  readonly expired: number
}

export interface ConntrackOptions {
  readonly expire: () => Promise<ExpiryCount>
  readonly capacity: () => number
  /** Capacity up to which the map may grow. */
  readonly limit: number
  /** Replaces the map by a larger one, keeping its entries. */
  readonly grow: (capacity: number) => Promise<void>
  readonly log: Logger
  readonly metrics: Metrics
}

/** Bounds of the time between two runs. Milliseconds. */
export const INTERVAL = { shortest: 1000, first: 5000, longest: 60_000 } as const
/** The map grows when more than this share of it is live. */
const FULL_SHARE = 0.75

/** The next interval: shorter when a run found much, longer when it found little. Pure. */
export function nextInterval(currentMs: number, count: ExpiryCount): number {
  const share = count.expired / Math.max(1, count.live + count.expired)
  const factor = share > 0.25 ? 0.5 : share < 0.05 ? 1.5 : 1
  return Math.min(INTERVAL.longest, Math.max(INTERVAL.shortest, Math.round(currentMs * factor)))
}

/** The capacity the map should have: doubled as often as needed, at most to the limit, never smaller. Pure. */
export function wantedCapacity(capacity: number, live: number, limit: number): number {
  let wanted = capacity
  while (live > wanted * FULL_SHARE && wanted < limit) wanted = Math.min(limit, wanted * 2)
  return wanted
}

/** Runs until the signal aborts. A failed growth is logged and tried again at the next run. */
export async function keepConntrack(options: ConntrackOptions, signal: AbortSignal): Promise<void> {
  const live = options.metrics.gauge('conntrack_entries', 'Live conntrack entries at the last expiry run')
  const size = options.metrics.gauge('conntrack_capacity', 'Capacity of the conntrack map, entries')
  const expired = options.metrics.counter('conntrack_expired_total', 'Conntrack entries expired')
  let intervalMs: number = INTERVAL.first
  while (!signal.aborted) {
    const count = await options.expire()
    live.set(count.live)
    size.set(options.capacity())
    expired.inc({}, count.expired)
    await growIfNeeded(options, count.live)
    intervalMs = nextInterval(intervalMs, count)
    await sleep(intervalMs, undefined, { signal }).catch(() => undefined)
  }
}

async function growIfNeeded(options: ConntrackOptions, live: number): Promise<void> {
  const capacity = options.capacity()
  const wanted = wantedCapacity(capacity, live, options.limit)
  if (wanted === capacity) return
  try {
    await options.grow(wanted)
    options.log.info({ from: capacity, to: wanted, live }, 'conntrack map grew')
  } catch (error) {
    options.log.error({ error, capacity, wanted, live }, 'conntrack map could not grow')
  }
}
