/** How long a node rests after failures in a row. Pure. */

/** Rests double from the first to the last. */
const FIRST_REST_MS = 1000
const LONGEST_REST_MS = 300_000

export function restMs(failures: number): number {
  return Math.min(LONGEST_REST_MS, FIRST_REST_MS * 2 ** Math.min(20, Math.max(0, failures - 1)))
}
