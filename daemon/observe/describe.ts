/** Gathers what `causeway status` shows from the parts of the daemon. */
import type { Status } from '../api/status.ts'
import type { ClusterSource, SourceProblem } from '../cluster/source.ts'
import { untold } from '../cluster/node-facts.ts'
import type { Datapath } from '../datapath/datapath.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { policyProblems } from '../policy/not-enforced.ts'
import type { Parts } from '../plugin.ts'
import type { RunningPlugins } from '../run.ts'
import type { ReconcilerStatus } from '../state/reconcile.ts'
import type { ReadonlyTable } from '../state/table.ts'
import type { Tables } from '../state/tables.ts'
import type { BuildInfo } from './build.ts'
import type { Health } from './health.ts'

export interface Described {
  readonly config: { readonly nodeName: string }
  readonly build: BuildInfo
  readonly kernel: Pick<Kernel, 'release'>
  readonly startedMs: number
  readonly health: Pick<Health, 'report'>
  readonly plugins: Pick<RunningPlugins, 'parts' | 'slots'>
  readonly tables: Tables
  readonly source: ClusterSource
  /** Nodes without a way, and plans that could not be carried out, are its problems; undefined while it is not up yet. */
  readonly datapath: Pick<Datapath, 'facts' | 'problems' | 'status'> | undefined
  /** Frontends that several services claim, and ports that somebody else has; undefined like the other. */
  readonly services: { readonly problems: readonly string[] } | undefined
  /** Settings of this node that cannot be used; undefined while there are none to follow. */
  readonly settings?: { readonly problems: readonly SourceProblem[] } | undefined
  /** Pods that have no port left to leave the cluster with; undefined like the other. */
  readonly nat: { readonly problems: readonly string[] } | undefined
  /** Network configurations of others. */
  readonly network: { readonly problems: readonly SourceProblem[] }
}

export function describe(d: Described): Status {
  const tables = Object.entries(d.tables) as [string, ReadonlyTable<unknown>][]
  const ipams = new Set([...d.plugins.slots.ipam.values()].map(({ part }) => part))
  return {
    node: d.config.nodeName,
    build: d.build,
    kernel: d.kernel.release,
    startedMs: d.startedMs,
    ...d.health.report(),
    datapath: d.datapath?.facts() ?? {},
    pools: [...ipams].flatMap(ipam => ipam.status()),
    sources: [{ name: d.source.name, synced: d.source.waitingFor() === undefined }],
    plugins: [...d.plugins.parts].map(([name, parts]) => ({ name, parts: partNames(parts) })),
    tables: tables.map(([name, t]) => ({ name, rows: t.size, revision: t.revision, pending: t.pending })),
    problems: [
      ...d.source.problems(),
      ...(d.settings?.problems ?? []),
      ...(d.source.name === 'kubernetes' ? untold(d.config.nodeName, d.tables) : []),
      ...policyProblems(d.tables),
      ...d.network.problems,
      ...problemsAt('routing', d.datapath),
      ...problemsAt('services', d.services),
      ...problemsAt('masquerade', d.nat),
      ...[...d.plugins.parts.values()].flatMap(parts => parts.problems?.() ?? []),
      ...reconcilerStatus(d).flatMap(stuck),
    ],
  }
}

function partNames(parts: Parts): string[] {
  return Object.entries(parts)
    .filter(([, part]) => part !== undefined)
    .map(([name]) => name)
}

/** What a part of the daemon has to tell; nothing before it is up. */
function problemsAt(place: string, part: { readonly problems: readonly string[] } | undefined): SourceProblem[] {
  return (part?.problems ?? []).map(message => ({ place, message }))
}

/** Of the datapath's reconcilers and of those plugins that tell. */
function reconcilerStatus({ datapath, plugins }: Pick<Described, 'datapath' | 'plugins'>): ReconcilerStatus[] {
  const others = [...plugins.parts.values()].flatMap(parts => parts.reconcilers ?? [])
  return [...(datapath?.status() ?? []), ...others.flatMap(reconciler => reconciler.status?.() ?? [])]
}

/** What a reconciler tried in vain. */
function stuck({ name, pending, pruneError }: ReconcilerStatus): SourceProblem[] {
  const rows = pending.flatMap(({ key, operation, error }) =>
    error === undefined ? [] : [{ place: `${name} ${key}`, message: `${operation}: ${error}` }],
  )
  return pruneError === undefined ? rows : [...rows, { place: name, message: `prune: ${pruneError}` }]
}
