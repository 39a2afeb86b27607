/** What a daemon on Kubernetes does with the API server besides learning of the cluster: it reports, and follows its settings. */
import { SettingsFollower } from './cluster/kubernetes/follow-settings.ts'
import type { ApiClient } from './cluster/kubernetes/client.ts'
import { nodeFacts } from './cluster/node-facts.ts'
import { NodeReport } from './cluster/kubernetes/node-report.ts'
import type { SettingsLayer } from './config/load.ts'
import type { Ground } from './ground.ts'
import type { Jobs } from './jobs.ts'
import { statusOf, type Upcoming } from './requests.ts'
import { systemClock } from './state/clock.ts'

/** Why a configuration with these layers cannot be used; undefined when it can. */
export type Refusal = (layers: readonly SettingsLayer[]) => Promise<string | undefined>

export interface ClusterSide {
  /** Resolves when the daemon should start anew, with other settings. */
  readonly changed: Promise<'changed'>
}

/** Starts its loops. */
export function speakToCluster(
  ground: Ground,
  client: ApiClient,
  { up, refusal }: { readonly up: Upcoming; readonly refusal: Refusal },
  jobs: Jobs,
): ClusterSide {
  const { config, build, kernel, log, tables, cloud } = ground
  const report = new NodeReport({
    client,
    nodeName: config.nodeName,
    bootId: kernel.bootId,
    version: build.version,
    status: () => statusOf(ground, up),
    facts: () => nodeFacts(config, tables, cloud().cloud),
    tables,
    log: log.child('report'),
    clock: systemClock,
  })
  jobs.run('the report of this node', stop => report.run(stop))
  const settings = new SettingsFollower({
    client,
    nodeName: config.nodeName,
    nodes: tables.nodes,
    current: config.layers,
    refusal,
    log: log.child('settings'),
    clock: systemClock,
    idleMs: config.cluster.kubernetes.idleSeconds * 1000,
  })
  up.settings = settings
  jobs.run('the settings of this node', stop => settings.run(stop))
  return settings
}
