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
}

/** They change about as often as clusters are made. */
const AGAIN_MS = 10 * 60_000
const RETRY_MS = 30_000

/** Until the signal aborts. */
export async function followServiceRanges(
  { client, tables, log }: ServiceRangesOptions,
  signal: AbortSignal,
): Promise<void> {
  const read = async (): Promise<number> => {
    try {
      replaceRows(tables.serviceRanges, await serviceRanges(client, signal))
      return AGAIN_MS
    } catch (error) {
      signal.throwIfAborted()
      log.warn({ error: messageOf(error) }, 'the ranges of services could not be read')
      return RETRY_MS
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
