/** The monotonic clock of the datapath → wall clock. */

/** Both clocks at about the same moment. */
export type ReadClocks = () => { readonly wallMs: number; readonly monotonicNs: bigint }

/** process.hrtime reads CLOCK_MONOTONIC, as bpf_ktime_get_ns does. */
export const readClocks: ReadClocks = () => ({ wallMs: Date.now(), monotonicNs: process.hrtime.bigint() })

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
