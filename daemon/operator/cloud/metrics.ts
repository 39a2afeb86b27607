/** What the operator tells Prometheus of addresses from the cloud: calls as they are made, the rest when it is asked for. */
import type { Failure } from '../../../plugins/cloud-core/model.ts'
import type { Metrics } from '../../plugin.ts'
import type { CloudFigures } from './figures.ts'

/** Takes in what happens. `api` is what the cloud counts calls by. */
export interface CloudMeter {
  called(api: string, failure: Failure | undefined, ms: number): void
  /** A call had its turn after so long. */
  waited(api: string, ms: number): void
  /** An interface that nobody used was deleted. */
  collected(): void
}

/** From an answer at once to none at all (seconds). */
const CALL_BUCKETS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 120]
/** From a turn at once to a rollout of thousands of nodes (seconds). */
const QUEUE_BUCKETS = [0.05, 0.2, 1, 5, 15, 60, 300, 1800]

/** Declares them; `figures` is asked at each exposition and says nothing where this operator does not lead or no cloud gives addresses. */
export function cloudMetrics(
  metrics: Pick<Metrics, 'counter' | 'gauge' | 'histogram'>,
  figures: () => CloudFigures | undefined,
): CloudMeter {
  const calls = metrics.histogram(
    'operator_cloud_call_seconds',
    'Duration of calls to the cloud; outcome is ok or the kind of failure.',
    CALL_BUCKETS,
    ['api', 'outcome'],
  )
  const throttled = metrics.counter('operator_cloud_throttled_total', 'Calls that the cloud refused as too many.', [
    'api',
  ])
  const queue = metrics.histogram(
    'operator_cloud_queue_seconds',
    'Time that a call waited for its turn in the budget of its API.',
    QUEUE_BUCKETS,
    ['api'],
  )
  const collected = metrics.counter(
    'operator_cloud_leftovers_deleted_total',
    'Interfaces that this project made, nobody used any more, and were deleted.',
  )
  declareBudgets(metrics, figures)
  declareAddresses(metrics, figures)
  declareHealth(metrics, figures)
  return {
    called(api, failure, ms) {
      calls.observe(ms / 1000, { api, outcome: failure?.kind ?? 'ok' })
      if (failure?.kind === 'throttled') throttled.inc({ api })
    },
    waited: (api, ms) => queue.observe(ms / 1000, { api }),
    collected: () => collected.inc(),
  }
}

type Gauges = Pick<Metrics, 'gauge'>
type Asked = () => CloudFigures | undefined

function declareBudgets(metrics: Gauges, figures: Asked): void {
  metrics.gauge('operator_cloud_queued_nodes', 'Nodes that wait for a call of an API.', ['api'], gauge => {
    for (const [api, nodes] of figures()?.queued ?? []) gauge.set(nodes, { api })
  })
  metrics.gauge('operator_cloud_budget_calls', 'Calls that may be made at once.', ['api'], gauge => {
    for (const { api, calls } of figures()?.budgets ?? []) gauge.set(calls, { api })
  })
  metrics.gauge(
    'operator_cloud_budget_rate',
    'Calls a second that come to the budget of an API; halved by throttling.',
    ['api'],
    gauge => {
      for (const { api, perSecond } of figures()?.budgets ?? []) gauge.set(perSecond, { api })
    },
  )
}

function declareAddresses(metrics: Gauges, figures: Asked): void {
  metrics.gauge(
    'operator_cloud_addresses',
    'IPv4 addresses on nodes by the phase of their blocks.',
    ['phase'],
    gauge => {
      const now = figures()
      if (now !== undefined) for (const [phase, count] of Object.entries(now.addresses)) gauge.set(count, { phase })
    },
  )
  metrics.gauge(
    'operator_cloud_demand',
    'IPv4 addresses that pods of all nodes have (assigned), wait for (waiting) or gave back lately (cooling).',
    ['state'],
    gauge => {
      for (const [state, count] of Object.entries(figures()?.demand ?? {})) gauge.set(count, { state })
    },
  )
  metrics.gauge(
    'operator_cloud_fragmentation_ratio',
    'Share of the addresses of blocks in use that no pod has.',
    [],
    gauge => {
      const now = figures()
      if (now !== undefined) gauge.set(now.fragmentation)
    },
  )
  metrics.gauge(
    'operator_cloud_subnet_free_addresses',
    'IPv4 addresses that nobody has.',
    ['subnet', 'zone'],
    gauge => {
      for (const { id, zone, free } of figures()?.subnets ?? []) gauge.set(free, { subnet: id, zone })
    },
  )
  metrics.gauge(
    'operator_cloud_subnet_free_prefixes',
    'Whole prefixes of 16 that nothing is known to be in; others may have addresses there.',
    ['subnet', 'zone'],
    gauge => {
      for (const { id, zone, prefixes } of figures()?.subnets ?? []) gauge.set(prefixes, { subnet: id, zone })
    },
  )
}

function declareHealth(metrics: Gauges, figures: Asked): void {
  metrics.gauge(
    'operator_cloud_short_nodes',
    'Nodes that get no more addresses, by the reason of their condition AddressesAvailable.',
    ['reason'],
    gauge => {
      for (const reason of ['MachineFull', 'SubnetsFull', 'CloudFails', 'Denied'] as const) {
        const now = figures()
        if (now !== undefined) gauge.set(now.short.get(reason) ?? 0, { reason })
      }
    },
  )
  const single = (name: string, help: string, of: (now: CloudFigures) => number): void => {
    metrics.gauge(name, help, [], gauge => {
      const now = figures()
      if (now !== undefined) gauge.set(of(now))
    })
  }
  single(
    'operator_cloud_leftovers',
    'Interfaces that this project made and nobody uses, found and not deleted yet.',
    now => now.leftovers,
  )
  single(
    'operator_cloud_unprotected_interfaces',
    'Interfaces in use that the cloud would not delete with their machine; each for a moment when it is new.',
    now => now.unprotected,
  )
  single(
    'operator_cloud_observation_age_seconds',
    'Age of the last look at the node that was looked at least lately.',
    now => now.observationAge,
  )
  metrics.gauge(
    'operator_cloud_degraded',
    'Whether something is not done while the cloud answers with errors, 1 or 0: releases first, growth then.',
    ['what'],
    gauge => {
      const now = figures()
      if (now === undefined) return
      gauge.set(now.mode === 'normal' ? 0 : 1, { what: 'releases' })
      gauge.set(now.mode === 'no growth' ? 1 : 0, { what: 'growth' })
    },
  )
}
