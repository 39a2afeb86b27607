/** The route that traces a packet. */
import { IP_PROTOCOLS, type TraceProtocol } from '../trace/frame.ts'
import { type TraceQuestion, TraceRefused } from '../trace/question.ts'
import type { Tracer } from '../trace/tracer.ts'
import { ApiError, type Router } from './router.ts'

/**
 * `GET /v1/trace?from=POD|ADDRESS&to=ADDRESS:PORT|SERVICE` with `protocol`, `source-port`, `flags`, `size`, `device` and
 * `in=1` besides; the answer is a Trace (`daemon/trace/tracer.ts`). `tracer` is undefined before the datapath has started.
 */
export function addTraceRoute(router: Router, tracer: () => Pick<Tracer, 'trace'> | undefined): Router {
  return router.add('GET', '/v1/trace', async ({ query }) => {
    const asked = tracer()
    if (asked === undefined) throw new ApiError(503, 'NOT_READY', 'the datapath is not up yet: nothing can be traced')
    try {
      return { json: await asked.trace(questionOf(query)) }
    } catch (error) {
      if (error instanceof TraceRefused) throw new ApiError(error.status, error.code, error.message, { cause: error })
      throw error
    }
  })
}

function questionOf(query: URLSearchParams): TraceQuestion {
  const text = (name: string): string => query.get(name) ?? refuse(name, query.get(name), 'a value is needed')
  const optional = <K extends string, T>(key: K, name: string, read: (value: string) => T) => {
    const value = query.get(name)
    return (value === null ? {} : { [key]: read(value) }) as { readonly [P in K]?: T }
  }
  return {
    from: text('from'),
    to: text('to'),
    ...optional('protocol', 'protocol', protocolOf),
    ...optional('sourcePort', 'source-port', numberOf('source-port')),
    ...optional('flags', 'flags', value => value.toUpperCase()),
    ...optional('size', 'size', numberOf('size')),
    ...optional('device', 'device', value => value),
    ...(query.get('in') === '1' ? { arrives: true } : {}),
  }
}

function protocolOf(value: string): TraceProtocol {
  const names = Object.keys(IP_PROTOCOLS) as TraceProtocol[]
  return names.find(name => name === value.toLowerCase()) ?? refuse('protocol', value, names.join(', '))
}

function numberOf(name: string): (value: string) => number {
  return value => (/^\d+$/.test(value) ? Number(value) : refuse(name, value, 'a whole number'))
}

function refuse(name: string, value: string | null, allowed: string): never {
  throw new ApiError(400, 'BAD_QUERY', `${name}=${value ?? ''} is not allowed; allowed: ${allowed}`)
}
