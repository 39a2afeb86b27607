/**
 * Which handler answers which request, and the forms an answer can have. Handlers know nothing of sockets: the server
 * gives them a parsed request and writes what they return.
 */
import { CausewayError } from '../errors.ts'

export type Method = 'GET' | 'POST' | 'DELETE'

export interface ApiRequest {
  readonly method: string
  readonly path: string
  /** Parts of the path that the route names with a colon, decoded. */
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  /** The parsed JSON body; undefined when there was none. Unchecked. */
  readonly body: unknown
  /** Aborted when the caller hangs up or the server stops. */
  readonly signal: AbortSignal
}

/**
 * What a handler returns; `status` is 200 unless given. `lines` are written as one JSON object a line (NDJSON). `hangUp`
 * closes the connection without an answer, which tells the caller that nobody has served it and to ask again.
 */
export type ApiAnswer =
  | { readonly hangUp: true }
  | { readonly status?: number; readonly json: unknown }
  | { readonly status?: number; readonly text: string; readonly type: string }
  | { readonly status?: number; readonly lines: AsyncIterable<unknown> }

export type Handler = (request: ApiRequest) => ApiAnswer | Promise<ApiAnswer>

/** An answer other than success that a handler throws: status and a stable code. */
export class ApiError extends CausewayError {
  readonly status: number
  constructor(status: number, code: string, message: string, options?: ErrorOptions) {
    super(code, message, options)
    this.status = status
  }
}

interface Route {
  readonly method: Method
  readonly parts: readonly string[]
  readonly handler: Handler
}

/** A list of routes such as `GET /v1/tables/:name`; a part that begins with a colon matches anything. */
export class Router {
  readonly #routes: Route[] = []

  /** Adds a route. The same method and path twice is a mistake of the program and throws RangeError. */
  add(method: Method, path: string, handler: Handler): this {
    const parts = split(path)
    const twice = this.#routes.some(r => r.method === method && r.parts.join('/') === parts.join('/'))
    if (twice) throw new RangeError(`route ${method} ${path} is added twice`)
    this.#routes.push({ method, parts, handler })
    return this
  }

  /** Finds the handler; throws ApiError NOT_FOUND, or METHOD_NOT_ALLOWED when only the method is wrong. */
  match(
    method: string,
    path: string,
  ): { readonly handler: Handler; readonly params: Readonly<Record<string, string>> } {
    const parts = split(path)
    const found = this.#routes.flatMap(route => {
      const params = matchParts(route.parts, parts)
      return params ? [{ route, params }] : []
    })
    const best = found.find(({ route }) => route.method === method)
    if (best) return { handler: best.route.handler, params: best.params }
    if (found.length === 0) throw new ApiError(404, 'NOT_FOUND', `there is no ${path}`)
    const allowed = found.map(({ route }) => route.method).join(', ')
    throw new ApiError(405, 'METHOD_NOT_ALLOWED', `${path} does not take ${method}; it takes ${allowed}`)
  }
}

function split(path: string): string[] {
  return path.split('/').slice(1)
}

function matchParts(pattern: readonly string[], parts: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== parts.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, want] of pattern.entries()) {
    const part = parts[index] ?? ''
    if (want.startsWith(':')) params[want.slice(1)] = decode(part)
    else if (want !== part) return undefined
  }
  return params
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new ApiError(400, 'BAD_PATH', `${part} is not valid percent-encoding`)
  }
}
