/** How fast pods come to a node, in whole numbers: arrivals of the last half minute in parts of five seconds. Pure. */

const PART_MS = 5000
const PARTS = 6

export interface Arrivals {
  /** Number of the newest part since time 0. */
  readonly part: number
  /** Arrivals by part, newest first. */
  readonly counts: readonly number[]
}

export const NO_ARRIVALS: Arrivals = { part: 0, counts: [] }

export function withArrivals(arrivals: Arrivals, count: number, nowMs: number): Arrivals {
  const [newest = 0, ...older] = shifted(arrivals, nowMs)
  return { part: partOf(nowMs), counts: [newest + count, ...older] }
}

/** Whether anybody has come lately. */
export function arrives(arrivals: Arrivals, nowMs: number): boolean {
  return partOf(nowMs) - arrivals.part < PARTS && arrivals.counts.some(count => count > 0)
}

/** Arrivals to expect in so many milliseconds if they go on as they have since they began; rounded up. */
export function expectedArrivals(arrivals: Arrivals, nowMs: number, inMs: number): number {
  const counts = shifted(arrivals, nowMs)
  const total = counts.reduce((sum, count) => sum + count, 0)
  // Of the newest part only so much has passed. What came at once is no rate: as far as is known it is all of a while.
  const first = counts.findLastIndex(count => count > 0)
  const parts = counts.findIndex(count => count > 0) === first ? PARTS : first
  return Math.ceil((total * inMs) / Math.max(PART_MS, parts * PART_MS + (nowMs % PART_MS)))
}

function shifted({ part, counts }: Arrivals, nowMs: number): number[] {
  const passed = Math.min(PARTS, Math.max(0, partOf(nowMs) - part))
  return [...Array<number>(passed).fill(0), ...counts].slice(0, PARTS)
}

function partOf(nowMs: number): number {
  return Math.floor(nowMs / PART_MS)
}
