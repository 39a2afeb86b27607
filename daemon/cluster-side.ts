/** What a daemon on Kubernetes does with the API server besides learning of the cluster: it reports, and follows its settings. */
import { SettingsFollower } from './cluster/kubernetes/follow-settings.ts'
import { nodeFacts } from './cluster/node-facts.ts'
import type { ApiSide } from './cluster/create-source.ts'
import { Warnings } from './cluster/kubernetes/warnings.ts'
import { type Troubles, warnCluster } from './cluster-warnings.ts'
import { CloudReport } from './cluster/kubernetes/cloud-report.ts'
import { NodeReport } from './cluster/kubernetes/node-report.ts'
import type { SettingsLayer } from './config/load.ts'
import type { Endpoints } from './endpoint/endpoints.ts'
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

export interface SpeakOptions {
  readonly up: Upcoming
  readonly endpoints: Pick<Endpoints, 'starved'>
  readonly refusal: Refusal
}

/** Starts its loops. */
export function speakToCluster(
  ground: Ground,
  { client, ownUids }: ApiSide,
  { up, endpoints, refusal }: SpeakOptions,
  jobs: Jobs,
): ClusterSide {
  const { config, build, kernel, log, tables, cloud } = ground
  const report = new NodeReport({
    client,
    nodeName: config.nodeName,
    ownUids,
    bootId: kernel.bootId,
    version: build.version,
    status: () => statusOf(ground, up),
    facts: () => nodeFacts(config, tables, cloud().cloud),
    tables,
    log: log.child('report'),
    clock: systemClock,
  })
  jobs.run('the report of this node', stop => report.run(stop))
  const { nodeName } = config
  const needs = { client, nodeName, ownUids, tables, log: log.child('report'), clock: systemClock }
  const cloudReport = new CloudReport(needs)
  jobs.run('what this node needs of the cloud', stop => cloudReport.run(stop))
  const warnings = new Warnings({ client, nodeName, log: log.child('events'), clock: systemClock })
  const troubles = (): Troubles => ({
    nodeName,
    tables,
    exhausted: up.nat?.exhausted ?? [],
    contested: up.services?.planner.contested ?? [],
    healthChecks: up.services?.healthChecks.failed ?? [],
    starved: endpoints.starved(),
  })
  jobs.run('Events', stop => warnings.run(stop))
  jobs.run('warnings of objects', stop => warnCluster({ troubles, warnings, clock: systemClock }, stop))
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
