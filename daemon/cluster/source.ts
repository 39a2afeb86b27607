/** What every cluster source is to the rest of the daemon. */

import type { Metrics } from '../plugin.ts'

/** Something a person must see to; shown by `causeway status`. */
export interface SourceProblem {
  /** Where: `file:line` or an object's name. */
  readonly place: string
  readonly message: string
  /** The same on every node, and no node's own. */
  readonly ofCluster?: true
}

/** Writes the tables `nodes`, `pods`, `services`, `endpointSlices`, `namespaces`, `networkPolicies` and `egressPolicies`. Made by a function that declares it to them. */
export interface ClusterSource {
  readonly name: string
  /** Syncs until the signal aborts, then resolves. A rejection stops the daemon. */
  run(signal: AbortSignal): Promise<void>
  /** Problems as of now, in a stable order. */
  problems(): readonly SourceProblem[]
  /** What the first full sync waits for; undefined once it is complete. */
  waitingFor(): string | undefined
}

/** Declares the metrics that tell how a source is; asked at each exposition. */
export function exposeSource(metrics: Pick<Metrics, 'gauge'>, source: ClusterSource): void {
  metrics.gauge('cluster_source_problems', 'Unusable input of the cluster source.', ['source'], gauge => {
    gauge.set(source.problems().length, { source: source.name })
  })
  metrics.gauge('cluster_source_synced', 'Whether the first full sync is complete: 1 or 0.', ['source'], gauge => {
    gauge.set(source.waitingFor() === undefined ? 1 : 0, { source: source.name })
  })
}
