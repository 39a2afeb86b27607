/** The daemon's routes, apart from those of the CNI executable (`cni.ts`). ARCHITECTURE.md lists them. */
import type { Flows } from '../flow/flows.ts'
import type { Health } from '../observe/health.ts'
import type { MetricsRegistry } from '../observe/metrics.ts'
import { dump } from '../state/dump.ts'
import type { ReadonlyTable } from '../state/table.ts'
import type { Tables } from '../state/tables.ts'
import { parseFilter } from './flow-filter.ts'
import { type ApiAnswer, ApiError, type ApiRequest, type Router } from './router.ts'
import type { Status, TableStatus } from './status.ts'

export interface MonitoringParts {
  readonly health: Pick<Health, 'report'>
  readonly metrics: Pick<MetricsRegistry, 'expose' | 'contentType'>
}

export interface ApiParts extends MonitoringParts {
  readonly status: () => Status | Promise<Status>
  readonly tables: Tables
  /** Undefined while the datapath is not up yet. */
  readonly flows: () => Pick<Flows, 'read'> | undefined
}

/** Everything but CNI. */
export function addRoutes(router: Router, parts: ApiParts): Router {
  const tables = new Map<string, ReadonlyTable<unknown>>(Object.entries(parts.tables))
  return addMonitoringRoutes(router, parts)
    .add('GET', '/v1/status', async () => ({ json: await parts.status() }))
    .add('GET', '/v1/tables', () => ({ json: [...tables.values()].map(tableStatus) }))
    .add('GET', '/v1/tables/:name', ({ params }) => {
      const table = tables.get(params.name ?? '')
      if (table) return { text: dump(table), type: 'application/json' }
      throw new ApiError(
        404,
        'NO_TABLE',
        `there is no table ${params.name}; there are ${[...tables.keys()].join(', ')}`,
      )
    })
    .add('GET', '/v1/flows', request => flowLines(request, parts.flows()))
}

/** What the TCP listener offers besides the unix socket. */
export function addMonitoringRoutes(router: Router, parts: MonitoringParts): Router {
  return router
    .add('GET', '/v1/alive', () => ({ json: { alive: true } }))
    .add('GET', '/v1/health', () => {
      const report = parts.health.report()
      return { status: report.ready ? 200 : 503, json: report }
    })
    .add('GET', '/metrics', async () => ({ text: await parts.metrics.expose(), type: parts.metrics.contentType }))
}

/** A table's size and how far it is, for the API and for `Status`. */
export function tableStatus(table: ReadonlyTable<unknown>): TableStatus {
  return { name: table.name, rows: table.size, revision: table.revision, pending: table.pending }
}

function flowLines({ query, signal }: ApiRequest, flows: Pick<Flows, 'read'> | undefined): ApiAnswer {
  const filter = parseFilter(query)
  const follow = query.get('follow') === '1'
  const last = Number(query.get('last') ?? (follow ? 0 : 100))
  if (!Number.isSafeInteger(last) || last < 0) {
    throw new ApiError(400, 'BAD_QUERY', `last=${query.get('last')} is not allowed; allowed: a whole number from 0`)
  }
  if (!flows) throw new ApiError(503, 'NOT_READY', 'the datapath is not up yet: there are no flows')
  return { lines: flows.read({ last, follow, filter, signal }) }
}
