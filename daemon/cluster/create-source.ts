/** The cluster source that the configuration names. */
import type { Config } from '../config/load.ts'
import type { BuildInfo } from '../observe/build.ts'
import type { Logger, Metrics } from '../plugin.ts'
import { systemClock } from '../state/clock.ts'
import type { Tables } from '../state/tables.ts'
import { createDirectorySource } from './directory/source.ts'
import type { ApiClient } from './kubernetes/client.ts'
import { connectApi } from './kubernetes/connect.ts'
import { KnownCluster } from './kubernetes/known-cluster.ts'
import { apiMetrics } from './kubernetes/metrics.ts'
import type { OwnUids } from './kubernetes/node-join.ts'
import { createKubernetesSource } from './kubernetes/source.ts'
import type { ClusterSource } from './source.ts'

export interface SourceSetting {
  readonly config: Pick<Config, 'cluster' | 'nodeName' | 'paths'>
  /** Of the running kernel. */
  readonly bootId: string
  readonly build: BuildInfo
  readonly tables: Tables
  readonly log: Logger
  readonly metrics: Metrics
}

export interface Source {
  readonly source: ClusterSource
  /** Where there is an API server. */
  readonly api?: ApiSide
}

export interface ApiSide {
  readonly client: ApiClient
  /** Undefined while this node has no Node. */
  readonly ownUids: () => OwnUids | undefined
}

/** Nothing is read or asked before the source runs; what it holds is left to the stack. Throws ConfigError. */
export async function createSource(
  { config: { cluster, nodeName, paths }, bootId, build, tables, log, metrics }: SourceSetting,
  stack: AsyncDisposableStack,
): Promise<Source> {
  if (cluster.source === 'directory')
    return { source: createDirectorySource({ directory: cluster.directory, nodeName, tables, log }) }
  const counted = apiMetrics(metrics)
  const { client } = stack.use(await connectApi({ settings: cluster.kubernetes, build, log, metrics: counted }))
  const known = new KnownCluster({ folder: paths.state, nodeName, bootId, tables, log, clock: systemClock })
  const source = createKubernetesSource({
    known,
    client,
    nodeName,
    tables,
    log,
    clock: systemClock,
    idleMs: cluster.kubernetes.idleSeconds * 1000,
    metrics: counted,
  })
  return { source, api: { client, ownUids: () => source.ownUids() } }
}
