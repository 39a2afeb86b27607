/** Reads from time to time which ranges services get their addresses from, where the API server says so. */
import { ApiError } from '../cluster/kubernetes/api-error.ts'
import type { ApiClient } from '../cluster/kubernetes/client.ts'
import { RESOURCES } from '../cluster/kubernetes/resources.ts'
import { ObjectField } from '../cluster/object-field.ts'
import { messageOf } from '../errors.ts'
import type { Logger } from '../plugin.ts'
import { eachChange } from '../state/each-change.ts'
import { replaceRows } from '../state/replace.ts'
import { parseServiceRange } from './parse.ts'
import type { OperatorTables, ServiceRangeRow } from './rows.ts'

export interface ServiceRangesOptions {
  readonly client: Pick<ApiClient, 'list'>
  readonly tables: Pick<OperatorTables, 'serviceRanges'>
  readonly log: Logger
  /** Called once the table has them, or the API server refuses to tell. */
  readonly known: () => void
}

/** They change about as often as clusters are made. */
const AGAIN_MS = 10 * 60_000
const RETRY_MS = 30_000
/** As long as they have never been read: nodes wait for it. */
const FIRST_RETRY_MS = 2000

/** Until the signal aborts. */
export async function followServiceRanges(
  { client, tables, log, known }: ServiceRangesOptions,
  signal: AbortSignal,
): Promise<void> {
  let retryMs = FIRST_RETRY_MS
  let problem: string | undefined
  const settle = (): void => {
    retryMs = RETRY_MS
    known()
  }
  const read = async (): Promise<number> => {
    try {
      replaceRows(tables.serviceRanges, await serviceRanges(client, signal))
      problem = undefined
      settle()
      return AGAIN_MS
    } catch (error) {
      signal.throwIfAborted()
      if (messageOf(error) !== problem) log.warn({ error }, 'the ranges of services could not be read')
      problem = messageOf(error)
      if (error instanceof ApiError && error.forbidden) settle()
      return retryMs
    }
  }
  await eachChange([], read, signal)
}

/** Kubernetes before 1.33 has no such objects, and keeps its range to itself. */
async function serviceRanges(
  client: Pick<ApiClient, 'list'>,
  signal: AbortSignal,
): Promise<readonly ServiceRangeRow[]> {
  const rows: ServiceRangeRow[] = []
  try {
    for await (const { items } of client.list(RESOURCES.serviceCidrs, {}, { signal }))
      for (const item of items) rows.push(parseServiceRange(new ObjectField(item, () => 'ServiceCIDR')))
  } catch (error) {
    if (!(error instanceof ApiError && error.missing)) throw error
  }
  return rows
}
