/** What the operator tells Prometheus. */
import type { SourceProblem } from '../cluster/source.ts'
import type { Metrics } from '../plugin.ts'
import type { PoolUse } from './assign.ts'

export interface OperatorFigures {
  readonly leading: () => boolean
  readonly uses: () => readonly PoolUse[]
  readonly problems: () => readonly SourceProblem[]
  readonly policies: () => number
}

/** Declares them; asked at each exposition. Those that do not lead know nothing of the cluster. */
export function operatorMetrics(metrics: Pick<Metrics, 'gauge'>, figures: OperatorFigures): void {
  metrics.gauge('operator_leading', 'Whether this operator leads: 1 or 0.', [], gauge => {
    gauge.set(figures.leading() ? 1 : 0)
  })
  metrics.gauge(
    'operator_problems',
    'What this operator finds wrong: rights that it lacks, and of the one that leads all else.',
    [],
    gauge => {
      gauge.set(figures.problems().length)
    },
  )
  metrics.gauge('operator_pool_free_ranges', 'Pod ranges that an IPPool can still give.', ['pool'], gauge => {
    for (const { pool, free } of figures.uses()) gauge.set(free, { pool: pool.name })
  })
  metrics.gauge('operator_pool_nodes', 'Nodes that have a pod range of an IPPool.', ['pool'], gauge => {
    for (const { pool, nodes } of figures.uses()) gauge.set(nodes, { pool: pool.name })
  })
  metrics.gauge('operator_network_policies_not_enforced', 'NetworkPolicies, none of which is enforced.', [], gauge => {
    gauge.set(figures.policies())
  })
}
