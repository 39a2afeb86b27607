/**
 * Counters of the datapath's maps `metrics` and `forwarded` as Prometheus metrics. They count every packet, also those
 * whose events were lost.
 */
import { conntrackRejected, type DatapathCounter, eventsLost } from '../datapath/counters.ts'
import { MetricKind } from '../datapath/shared.gen.ts'
import type { Metrics } from '../plugin.ts'
import { dropReason } from './drop-reasons.ts'
import { hookName } from './record.ts'

/** Declares the metrics; `read` is called at each exposition, once for each of them. */
export function exposeCounters(metrics: Metrics, read: () => readonly DatapathCounter[]): void {
  const of = (kind: number): DatapathCounter[] => read().filter(counter => counter.kind === kind)
  metrics.counter('forwarded_packets_total', 'Packets forwarded, by program.', ['hook'], total => {
    for (const c of of(MetricKind.METRIC_FORWARDED)) total.inc({ hook: hookName(c.hook) }, c.packets)
  })
  metrics.counter('forwarded_bytes_total', 'Bytes forwarded, by program.', ['hook'], total => {
    for (const c of of(MetricKind.METRIC_FORWARDED)) total.inc({ hook: hookName(c.hook) }, c.bytes)
  })
  metrics.counter('dropped_packets_total', 'Packets dropped, by program and reason.', ['hook', 'reason'], total => {
    for (const c of of(MetricKind.METRIC_DROPPED))
      total.inc({ hook: hookName(c.hook), reason: dropReason(c.reason).name }, c.packets)
  })
  metrics.counter(
    'flow_events_lost_total',
    'Events that were not told: no room in the ring buffer, or more drops on a CPU than are told at a time.',
    [],
    total => {
      total.inc({}, eventsLost(read()))
    },
  )
  metrics.counter(
    'conntrack_full_total',
    'Packets whose flow found no room in conntrack; a flow that is not tracked counts with each.',
    [],
    total => {
      total.inc({}, conntrackRejected(read()))
    },
  )
}
