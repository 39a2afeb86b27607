/** The route about ports that pods leave the cluster with. */
import { nearest } from '../config/nearest.ts'
import { podName } from '../flow/names.ts'
import { addressIn } from '../kernel/ip.ts'
import type { Address } from '../kernel/kernel.ts'
import type { NatQuery, NatReport } from '../nat/report.ts'
import { MOST_ROWS } from '../nat/top.ts'
import { textOfAddress } from '../nat/way.ts'
import type { Tables } from '../state/tables.ts'
import { ApiError, type Router } from './router.ts'

export interface NatParts {
  readonly tables: Pick<Tables, 'endpoints'>
  /** Undefined while the datapath is not up yet. */
  readonly nat: () => { readonly report: (query: NatQuery) => Promise<NatReport> } | undefined
}

/**
 * `GET /v1/nat?top=N&mappings=N&pod=NAMESPACE/NAME`, where a pod's name alone is one of any namespace, and its address does
 * too; 10 rows and no mappings unless given.
 */
export function addNatRoutes(router: Router, { tables, nat }: NatParts): Router {
  return router.add('GET', '/v1/nat', async ({ query }) => {
    const pod = query.get('pod')
    const wanted: NatQuery = {
      top: numberIn(query, 'top', 10),
      mappings: numberIn(query, 'mappings', 0),
      ...(pod !== null && { pods: new Set(addressesOf(pod, tables).map(textOfAddress)) }),
    }
    const now = nat()
    if (now === undefined) throw new ApiError(503, 'NOT_READY', 'the datapath is not up yet: nothing is translated')
    return { json: await now.report(wanted) }
  })
}

function numberIn(query: URLSearchParams, name: string, byDefault: number): number {
  const text = query.get(name) ?? `${byDefault}`
  if (/^\d{1,9}$/.test(text) && Number(text) <= MOST_ROWS) return Number(text)
  throw new ApiError(400, 'BAD_QUERY', `${name}=${text} is not allowed; allowed: a whole number from 0 to ${MOST_ROWS}`)
}

/** Of the pods that are meant. Throws ApiError NO_POD. */
function addressesOf(pod: string, { endpoints }: Pick<Tables, 'endpoints'>): readonly Address[] {
  const rows = [...endpoints.values()].map(row => ({ name: podName(row.pod, row.key), addresses: row.addresses }))
  const meant = rows.filter(({ name }) => name === pod || (!pod.includes('/') && name.endsWith(`/${pod}`)))
  if (meant.length > 0) return meant.flatMap(({ addresses }) => addresses)
  const address = addressIn(pod)
  if (address !== undefined) return [address]
  const near = nearest(pod, namesLike(pod, rows))
  const hint = near === undefined ? '`causeway endpoints` lists those that are' : `did you mean ${near}?`
  throw new ApiError(404, 'NO_POD', `there is no pod ${pod} on this node; ${hint}`)
}

function namesLike(pod: string, rows: readonly { readonly name: string }[]): readonly string[] {
  return rows.map(({ name }) => (pod.includes('/') ? name : name.slice(name.indexOf('/') + 1)))
}
