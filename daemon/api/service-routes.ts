/** Routes about services. */
import { explain, type ExplainParts } from '../service/explain.ts'
import { InvalidAddress } from '../kernel/ip.ts'
import type { FrontendRow } from '../state/service-rows.ts'
import { ApiError, type Router } from './router.ts'

const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const

/** A frontend as the datapath has it. */
export interface ServedFrontend extends FrontendRow {
  /** New flows since it is served. */
  readonly hits: number
  /** Why it is not served as it should be, which is tried again. */
  readonly failure?: string
}

export interface ServiceParts extends ExplainParts {
  /** Undefined before the datapath has started. */
  readonly datapath: () =>
    | { readonly hits: () => ReadonlyMap<FrontendRow, number>; readonly failures: () => ReadonlyMap<string, string> }
    | undefined
}

function servedFrontends({ tables, datapath }: ServiceParts): ServedFrontend[] {
  const hits = datapath()?.hits()
  const failures = datapath()?.failures()
  return [...tables.frontends.values()].map(row => {
    const failure = failures?.get(row.key)
    return { ...row, hits: hits?.get(row) ?? 0, ...(failure === undefined ? {} : { failure }) }
  })
}

/** `GET /v1/services`, and `GET /v1/explain/service?client=ADDRESS&address=VIP&port=N` with `client-port` and `protocol` besides. */
export function addServiceRoutes(router: Router, parts: ServiceParts): Router {
  router.add('GET', '/v1/services', () => ({ json: servedFrontends(parts) }))
  return router.add('GET', '/v1/explain/service', ({ query }) => {
    const text = (name: string): string => query.get(name) ?? refuse(name, query.get(name), 'a value is needed')
    const number = (name: string): number => {
      const value = Number(text(name))
      return Number.isInteger(value) && value > 0 && value < 65_536
        ? value
        : refuse(name, query.get(name), 'a port from 1 to 65535')
    }
    const wanted = (query.get('protocol') ?? 'TCP').toUpperCase()
    const protocol = PROTOCOLS.find(p => p === wanted) ?? refuse('protocol', wanted, PROTOCOLS.join(', '))
    const clientPort = query.has('client-port') ? { clientPort: number('client-port') } : {}
    try {
      const question = { client: text('client'), address: text('address'), port: number('port'), protocol }
      return { json: explain(parts, { ...question, ...clientPort }) }
    } catch (error) {
      if (error instanceof InvalidAddress) throw new ApiError(400, 'BAD_QUERY', error.message)
      throw error
    }
  })
}

function refuse(name: string, value: string | null, allowed: string): never {
  throw new ApiError(400, 'BAD_QUERY', `${name}=${value ?? ''} is not allowed; allowed: ${allowed}`)
}
