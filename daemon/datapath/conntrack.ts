/**
 * Keeps the conntrack map: expires entries inside the kernel by running the program `ct_expire`, as often as there is
 * something to expire or the map fills, and lets the map grow before it is full. A burst that fills it all the same is
 * noticed within a second, and so is a pod that went: the flows of its addresses end then. While no daemon runs nothing expires; the programs go on.
 */
import type { Logger, Metrics } from '../plugin.ts'
import { type Clock, systemClock } from '../state/clock.ts'
import { Rest } from '../state/rest.ts'

/** What one run of `ct_expire` found. */
export interface ExpiryCount {
  readonly live: number
  readonly expired: number
  /** Sets of translated flows that have most ports that they can have, and whose ports each run finds anew. */
  readonly crowds: number
}

export interface ConntrackOptions {
  readonly expire: () => Promise<ExpiryCount>
  readonly capacity: () => number
  /** Whether pods have gone whose flows a run is to end. */
  readonly departed: () => boolean
  /** Flows are counted for those who choose by them, which is not to be long ago. Crowds make it so too. */
  readonly watched?: () => boolean
  /** Packets so far whose flow found no room. */
  readonly rejected: () => number
  /** Capacity up to which the map may grow. */
  readonly limit: number
  /** Replaces the map by a larger one, keeping its entries. */
  readonly grow: (capacity: number) => Promise<void>
  readonly log: Logger
  readonly metrics: Metrics
}

/** Bounds of the time between two runs. Milliseconds. */
export const INTERVAL = { shortest: 1000, first: 5000, longest: 60_000 } as const
const WATCHED_MS = 2000
/** The map grows when more than this share of it is live. */
const FULL_SHARE = 0.75

/** How often is looked whether flows found no room, or pods went. */
const LOOK_MS = 1000
/** Runs for pods that went take at most this share of the time, however many pods come and go. */
const DEPARTED_SHARE = 0.05

/** The next interval: shorter when a run found much, longer when it found little. Pure. */
export function nextInterval(currentMs: number, count: Pick<ExpiryCount, 'live' | 'expired'>): number {
  const share = count.expired / Math.max(1, count.live + count.expired)
  const factor = share > 0.25 ? 0.5 : share < 0.05 ? 1.5 : 1
  return Math.min(INTERVAL.longest, Math.max(INTERVAL.shortest, Math.round(currentMs * factor)))
}

/** The interval bounded by half of the time in which the map, filling as fast as in the last one, would have to grow. Pure. */
export function beforeFull(intervalMs: number, live: readonly [before: number, now: number], capacity: number): number {
  const [before, now] = live
  if (now <= before) return intervalMs
  const share = Math.max(0, capacity * FULL_SHARE - now) / (now - before)
  return Math.min(intervalMs, Math.max(INTERVAL.shortest, Math.round((intervalMs * share) / 2)))
}

/** The capacity the map should have: doubled as often as needed, at most to the limit, never smaller. Pure. */
export function wantedCapacity(capacity: number, live: number, limit: number): number {
  let wanted = capacity
  while (live > wanted * FULL_SHARE && wanted < limit) wanted = Math.min(limit, wanted * 2)
  return wanted
}

/** Runs until the signal aborts. A run that fails is logged and made again; so is a growth that fails, at the next run. */
export async function keepConntrack(
  options: ConntrackOptions,
  signal: AbortSignal,
  clock: Clock = systemClock,
): Promise<void> {
  const run = conntrackRuns(options)
  const rest = new Rest(clock)
  const pause = async (ms: number): Promise<void> => {
    rest.begin()
    if (!signal.aborted) await rest.until(clock.now() + ms)
  }
  signal.addEventListener('abort', rest.wake)
  try {
    while (!signal.aborted) {
      try {
        const began = clock.now()
        const { intervalMs, rejected, crowds } = await run()
        const end = clock.now() + (options.watched?.() || crowds > 0 ? Math.min(intervalMs, WATCHED_MS) : intervalMs)
        const free = clock.now() + (clock.now() - began) / DEPARTED_SHARE
        const calm = (): boolean => options.rejected() <= rejected && (clock.now() < free || !options.departed())
        do await pause(Math.min(LOOK_MS, end - clock.now()))
        while (!signal.aborted && clock.now() < end && calm())
      } catch (error) {
        options.log.error({ error }, 'conntrack could not be looked after; it is tried again')
        await pause(INTERVAL.first)
      }
    }
  } finally {
    signal.removeEventListener('abort', rest.wake)
    rest.end()
  }
}

/** One run of expiry and growth a call; answers when the next is due unless more flows than these found no room. */
function conntrackRuns(
  options: ConntrackOptions,
): () => Promise<{ intervalMs: number; rejected: number; crowds: number }> {
  const live = options.metrics.gauge('conntrack_entries', 'Live conntrack entries at the last expiry run')
  const size = options.metrics.gauge('conntrack_capacity', 'Capacity of the conntrack map, entries')
  const expired = options.metrics.counter('conntrack_expired_total', 'Conntrack entries expired')
  let intervalMs: number = INTERVAL.first
  let before: { readonly live: number; readonly rejected: number } | undefined
  return async () => {
    before ??= { live: 0, rejected: options.rejected() }
    const count = await options.expire()
    const rejected = options.rejected()
    live.set(count.live)
    expired.inc({}, count.expired)
    await growIfNeeded(options, count.live, rejected - before.rejected)
    size.set(options.capacity())
    intervalMs = beforeFull(nextInterval(intervalMs, count), [before.live, count.live], options.capacity())
    before = { live: count.live, rejected }
    return { intervalMs, rejected, crowds: count.crowds }
  }
}

/** Rejected flows count as if they were there; a flow that was rejected packet by packet makes the map larger than need be. */
async function growIfNeeded(options: ConntrackOptions, live: number, rejected: number): Promise<void> {
  const capacity = options.capacity()
  const wanted = wantedCapacity(capacity, live + rejected, options.limit)
  if (wanted === capacity) return
  try {
    await options.grow(wanted)
    options.log.info({ from: capacity, to: wanted, live, rejected }, 'conntrack map grew')
  } catch (error) {
    options.log.error({ error, capacity, wanted, live }, 'conntrack map could not grow')
  }
}
