import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMetrics } from '../observe/metrics.ts'
import { exposeCounters } from './counters.ts'

test("the datapath's counters appear with the names of programs and reasons", async () => {
  const metrics = createMetrics({ version: '1', node: '24' })
  exposeCounters(metrics, () => [
    { kind: 1, hook: 1, reason: 0, packets: 10, bytes: 1000 },
    { kind: 2, hook: 3, reason: 5, packets: 2, bytes: 120 },
    { kind: 3, hook: 0, reason: 0, packets: 3, bytes: 0 },
    { kind: 3, hook: 1, reason: 0, packets: 1, bytes: 0 },
    { kind: 4, hook: 1, reason: 0, packets: 6, bytes: 0 },
  ])
  const lines = (await metrics.expose()).split('\n')
  const ours = lines.filter(line => /^causeway_(forwarded|dropped|flow|conntrack)/.test(line))
  assert.deepEqual(ours, [
    'causeway_forwarded_packets_total{hook="pod_out"} 10',
    'causeway_forwarded_bytes_total{hook="pod_out"} 1000',
    'causeway_dropped_packets_total{hook="uplink_in",reason="spoofed_mac"} 2',
    'causeway_flow_events_lost_total 4',
    'causeway_conntrack_full_total 6',
  ])
})
