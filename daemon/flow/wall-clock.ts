/** The monotonic clock of the datapath → wall clock. */

/** Both clocks at about the same moment. */
export type ReadClocks = () => { readonly wallMs: number; readonly monotonicNs: bigint }

const CLOSE_NS = 100_000n
const TRIES = 4

/**
 * process.hrtime reads CLOCK_MONOTONIC, as bpf_ktime_get_ns does. The process may lose the processor between the two
 * clocks: reads that took long are repeated, and the last is as good as it gets.
 */
export const readClocks: ReadClocks = () => {
  for (let tries = 1; ; tries++) {
    const monotonicNs = process.hrtime.bigint()
    const wallMs = Date.now()
    if (process.hrtime.bigint() - monotonicNs < CLOSE_NS || tries === TRIES) return { wallMs, monotonicNs }
  }
}

/**
 * Unix time in µs of a monotonic moment. The distance between the clocks is measured again at each call and followed
 * only when it moved by more than the 2 ms the measurement is uncertain by, so that records keep their order.
 */
export function wallClock(read: ReadClocks = readClocks): (monotonicNs: bigint) => number {
  let distanceUs: number | undefined
  return monotonicNs => {
    const { wallMs, monotonicNs: now } = read()
    const measured = wallMs * 1000 - Number(now / 1000n)
    if (distanceUs === undefined || Math.abs(measured - distanceUs) > 2000) distanceUs = measured
    return distanceUs + Number(monotonicNs / 1000n)
  }
}
