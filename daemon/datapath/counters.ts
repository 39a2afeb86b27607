/** The programs' counters, maps `metrics` and `forwarded`: they count every packet, also those whose events were lost. */
import { codec, perCpu, u32 } from '../kernel/bpf/layout.ts'
import { mapOfFd } from '../kernel/bpf/map.ts'
import { possibleCpus } from '../kernel/bpf/map-info.ts'
import { MetricKind, metricKeyLayout, type MetricValue, metricValueLayout } from './shared.gen.ts'

/** One entry of either map, summed over all CPUs; the counterpart of metric_key and metric_value in bpf/lib/shared.h. */
export interface DatapathCounter {
  readonly kind: number
  readonly hook: number
  readonly reason: number
  readonly packets: number
  readonly bytes: number
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

/** Events that found no room in the ring buffer. */
export function eventsLost(counters: readonly DatapathCounter[]): number {
  return packetsOf(counters, MetricKind.METRIC_EVENTS_LOST)
}

/** Packets whose flow found no room in conntrack. */
export function conntrackRejected(counters: readonly DatapathCounter[]): number {
  return packetsOf(counters, MetricKind.METRIC_CT_FULL)
}

function packetsOf(counters: readonly DatapathCounter[], kind: number): number {
  return counters.filter(c => c.kind === kind).reduce((sum, c) => sum + c.packets, 0)
}

function total(values: readonly MetricValue[]): { readonly packets: number; readonly bytes: number } {
  return {
    packets: values.reduce((sum, v) => sum + Number(v.packets), 0),
    bytes: values.reduce((sum, v) => sum + Number(v.bytes), 0),
  }
}
