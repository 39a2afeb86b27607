/** What the programs tell: event records from the ring buffer, and the counters that never lose any. */
import { codec, perCpu, u32 } from '../kernel/bpf/layout.ts'
import { mapOfFd } from '../kernel/bpf/map.ts'
import { possibleCpus } from '../kernel/bpf/map-info.ts'
import { RingBuffer } from '../kernel/bpf/ring-buffer.ts'
import type { DatapathCounter } from '../flow/counters.ts'
import { MetricKind, metricKeyLayout, type MetricValue, metricValueLayout } from './shared.gen.ts'

/**
 * Flow events wake the daemon only once so many bytes wait (a wake-up costs the sender 6 µs); what lies there meanwhile
 * is looked at by the clock. Drops wake it at once.
 */
export const EVENT_BATCH_BYTES = 32_768
const LOOK_EVERY_MS = 100

/** Calls the handler for each record, whose bytes are valid during the call only, until disposed. `eventsFd` stays the caller's. */
export function readEvents(eventsFd: number, handler: (record: Uint8Array) => void): Disposable {
  return new RingBuffer(eventsFd, {
    idleMs: LOOK_EVERY_MS,
    onRecord: (view, offset, length) => handler(new Uint8Array(view.buffer, view.byteOffset + offset, length)),
  })
}

/** All counters now; descriptors stay the caller's. */
export function readCounters(fds: { readonly metrics: number; readonly forwarded: number }): DatapathCounter[] {
  const cpus = possibleCpus()
  using metrics = mapOfFd(fds.metrics, codec(metricKeyLayout, perCpu(metricValueLayout, cpus)))
  using forwarded = mapOfFd(fds.forwarded, codec(u32, perCpu(metricValueLayout, cpus)))
  const rare = [...metrics.entries()].map(([key, values]) => ({ ...key, ...total(values) }))
  const common = [...forwarded.entries()].map(([hook, values]) => {
    return { kind: MetricKind.METRIC_FORWARDED, hook, reason: 0, ...total(values) }
  })
  return [...rare, ...common.filter(c => c.packets > 0)]
}

function total(values: readonly MetricValue[]): { readonly packets: number; readonly bytes: number } {
  return {
    packets: values.reduce((sum, v) => sum + Number(v.packets), 0),
    bytes: values.reduce((sum, v) => sum + Number(v.bytes), 0),
  }
}
