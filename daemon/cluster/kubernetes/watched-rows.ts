/** A collection of the API server kept as rows. */
import { isDeepStrictEqual } from 'node:util'
import type { Logger } from '../../plugin.ts'
import type { Clock } from '../../state/clock.ts'
import { replaceRows } from '../../state/replace.ts'
import type { Table } from '../../state/table.ts'
import type { ObjectField } from '../object-field.ts'
import type { SourceProblem } from '../source.ts'
import type { ApiClient, Extent, Query } from './client.ts'
import { ListWatch } from './list-watch.ts'
import type { ApiMetrics } from './metrics.ts'
import { type ApiResource, OWN_GROUP, OWN_VERSION } from './resources.ts'
import { RowSink, type RowTarget, type UnusableObject } from './row-sink.ts'

/** What all collections that are watched over one client have in common. */
export interface WatchOptions {
  readonly client: ApiClient
  readonly log: Logger
  readonly clock: Clock
  /** A watch that says nothing for so long is opened anew. */
  readonly idleMs: number
  readonly metrics?: Pick<ApiMetrics, 'restarted' | 'received'>
}

export interface Collection<T> {
  readonly resource: ApiResource
  readonly query?: Query
  /** How much `parse` reads of each object; all of it unless given. */
  readonly extent?: Extent
  /** Undefined: the object is of no use here. Throws ObjectError. */
  readonly parse: (object: ObjectField) => T | undefined
  readonly target: RowTarget<T>
  /** Takes those that cannot be read. */
  readonly unusable?: RowTarget<UnusableObject>
  /** Called once everything has been listed. */
  readonly synced?: () => void
}

export interface WatchedRows {
  readonly resource: ApiResource
  readonly watch: ListWatch
  /** Objects that cannot be used. */
  readonly problems: () => readonly SourceProblem[]
}

/** Nothing is asked before the watch runs. */
export function watchRows<T>(
  options: WatchOptions,
  { resource, query, extent = 'whole', parse, target, unusable, synced }: Collection<T>,
): WatchedRows {
  const { client, log, clock, idleMs, metrics } = options
  const sink = new RowSink({ kind: resource.kind, parse, target, ...(unusable !== undefined && { unusable }) })
  const watch = new ListWatch({
    client,
    resource,
    extent,
    sink,
    log,
    clock,
    idleMs,
    restarted: reason => metrics?.restarted(resource.plural, reason),
    received: bytes => metrics?.received(resource.plural, bytes),
    ...(query !== undefined && { query }),
    ...(synced !== undefined && { synced }),
  })
  return { watch, resource, problems: () => sink.problems }
}

/** Rows of a table whose keys are the names of objects. A change of what is not kept of an object is none. */
export function rowsOf<T>(table: Table<T>): RowTarget<T> {
  return {
    get: name => table.get(name),
    put: (name, row) => {
      if (!isDeepStrictEqual(table.get(name), row)) table.put(row)
    },
    delete: name => void table.delete(name),
    replace: rows => void replaceRows(table, rows.values()),
  }
}

/** Collections by what keeps them, most often one thing for all of them: `nodes, pods (the problem)`. */
export function byProblem(
  parts: readonly WatchedRows[],
): readonly { readonly names: string; readonly problem: string }[] {
  const grouped = new Map<string, string[]>()
  for (const { watch, resource } of parts) {
    const problem = `${watch.problem ?? 'its first list'}${absentKinds(resource, watch.problem)}`
    grouped.set(problem, [...(grouped.get(problem) ?? []), watch.name])
  }
  return [...grouped].map(([problem, names]) => ({ names: names.join(', '), problem }))
}

function absentKinds({ group }: ApiResource, problem: string | undefined): string {
  if (group !== OWN_GROUP || problem === undefined || !problem.includes(': 404 ')) return ''
  return `; its CustomResourceDefinition is not installed (causeway crds | kubectl apply --server-side -f -), or does not serve ${OWN_VERSION} any more: causeway crds --check`
}
