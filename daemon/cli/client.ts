/** HTTP to the daemon over its unix socket, or to the operator over TCP. */
import { type IncomingMessage, request } from 'node:http'
import { request as requestTls, type RequestOptions } from 'node:https'
import { createInterface } from 'node:readline'
import { CausewayError } from '../errors.ts'

/** The kernel accepts connections for a daemon that hangs; its answers begin at once otherwise. */
const ANSWER_MS = 10_000

/** Whom to ask. */
export interface ApiPlace {
  /** Such as `daemon`. */
  readonly who: string
  /** As people read it. */
  readonly address: string
  readonly connection: RequestOptions
  /** By TLS. */
  readonly tls: boolean
  /** What to do when nobody listens there. */
  readonly wayOut: string
}

/** The daemon at a unix socket. */
export function daemonAt(socket: string): ApiPlace {
  const wayOut = 'start it with `causeway daemon`, or name its socket with --socket'
  return { who: 'daemon', address: socket, connection: { socketPath: socket }, tls: false, wayOut }
}

/** Nobody answers at the place: exit status 3. */
export class DaemonUnreachable extends CausewayError {
  constructor(place: ApiPlace, options: ErrorOptions & { readonly cause: NodeJS.ErrnoException }) {
    super('DAEMON_UNREACHABLE', `no ${place.who} answers at ${place.address}: ${hint(place, options.cause)}`, options)
  }
}

/** The daemon refused the request. */
export class ApiRefused extends CausewayError {
  readonly status: number
  constructor(status: number, code: string, message: string) {
    super(code, message)
    this.status = status
  }
}

export interface ApiAnswer {
  readonly status: number
  readonly text: string
}

export class ApiClient {
  readonly #place: ApiPlace
  readonly #signal: AbortSignal
  readonly #answerMs: number

  /** `answerMs`: until an answer has begun; 10 s unless given. */
  constructor(place: ApiPlace, signal: AbortSignal, answerMs = ANSWER_MS) {
    this.#place = place
    this.#signal = signal
    this.#answerMs = answerMs
  }

  /** The answer's text; throws ApiRefused for a status that is not `expected`, DaemonUnreachable. */
  async get(path: string, expected: readonly number[] = [200]): Promise<ApiAnswer> {
    const response = await this.#request(path)
    let text = ''
    for await (const chunk of response.setEncoding('utf8')) text += String(chunk)
    const status = response.statusCode ?? 0
    if (!expected.includes(status)) throw refusal(status, text)
    return { status, text }
  }

  /** The parsed body. The daemon is of the same project; its answers are taken to have the form of their type. */
  async json<T>(path: string, expected?: readonly number[]): Promise<T> {
    return JSON.parse((await this.get(path, expected)).text) as T
  }

  /** The objects of an NDJSON answer as they come; with a body it is a POST. */
  async *lines<T>(path: string, body?: object): AsyncGenerator<T> {
    const response = await this.#request(path, body)
    if (response.statusCode !== 200) {
      let text = ''
      for await (const chunk of response) text += String(chunk)
      throw refusal(response.statusCode ?? 0, text)
    }
    try {
      for await (const line of createInterface({ input: response })) yield JSON.parse(line) as T
    } catch (error) {
      if (!this.#signal.aborted) throw error
    }
  }

  async #request(path: string, body?: object): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const method = body === undefined ? 'GET' : 'POST'
    const { connection, tls } = this.#place
    const outgoing = (tls ? requestTls : request)({ ...connection, path, method, signal: this.#signal }, resolve)
    outgoing.once('error', reject)
    outgoing.end(body && JSON.stringify(body))
    const late = setTimeout(() => outgoing.destroy(new AnswerLate(this.#answerMs)), this.#answerMs)
    try {
      return await promise
    } catch (error) {
      const cause = error as NodeJS.ErrnoException
      if (this.#signal.aborted || cause.code === undefined) throw error
      throw new DaemonUnreachable(this.#place, { cause })
    } finally {
      clearTimeout(late)
    }
  }
}

class AnswerLate extends CausewayError {
  constructor(ms: number) {
    super('ANSWER_LATE', `it accepts requests and has answered none for ${ms / 1000} s`)
  }
}

function refusal(status: number, text: string): ApiRefused {
  try {
    const { error } = JSON.parse(text) as { error: { code: string; message: string } }
    return new ApiRefused(status, error.code, error.message)
  } catch {
    return new ApiRefused(status, 'UNKNOWN', `the daemon answered ${status}: ${text.slice(0, 200)}`)
  }
}

function hint({ wayOut }: ApiPlace, cause: NodeJS.ErrnoException): string {
  if (cause.code === 'EACCES') return 'permission denied; run the command as root'
  if (cause instanceof AnswerLate) return `${cause.message}; look at its log, or restart it`
  if (cause.code === 'ENOENT') return `there is no such socket; ${wayOut}`
  if (cause.code === 'ECONNREFUSED') return `nobody listens there; ${wayOut}`
  return `${cause.message}; ${wayOut}`
}
