/** HTTP to the daemon over its unix socket. */
import { type IncomingMessage, request } from 'node:http'
import { createInterface } from 'node:readline'

/** No daemon answers at the socket: exit status 3. */
export class DaemonUnreachable extends Error {
  override readonly name = 'DaemonUnreachable'
  readonly socket: string
  constructor(socket: string, options: ErrorOptions & { readonly cause: NodeJS.ErrnoException }) {
    super(`no daemon answers at ${socket}: ${hint(options.cause)}`, options)
    this.socket = socket
  }
}

/** The daemon refused the request. */
export class ApiRefused extends Error {
  override readonly name = 'ApiRefused'
  readonly status: number
  readonly code: string
  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

export interface ApiAnswer {
  readonly status: number
  readonly text: string
}

export class ApiClient {
  readonly socket: string
  readonly #signal: AbortSignal

  constructor(socket: string, signal: AbortSignal) {
    this.socket = socket
    this.#signal = signal
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

  /** The objects of an NDJSON answer as they come. */
  async *lines<T>(path: string): AsyncGenerator<T> {
    const response = await this.#request(path)
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

  async #request(path: string): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const outgoing = request({ socketPath: this.socket, path, signal: this.#signal }, resolve)
    outgoing.once('error', reject)
    outgoing.end()
    try {
      return await promise
    } catch (error) {
      const cause = error as NodeJS.ErrnoException
      if (this.#signal.aborted || cause.code === undefined) throw error
      throw new DaemonUnreachable(this.socket, { cause })
    }
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

function hint(cause: NodeJS.ErrnoException): string {
  if (cause.code === 'EACCES') return 'permission denied; run the command as root'
  const start = 'start it with `causeway daemon`, or name its socket with --socket'
  if (cause.code === 'ENOENT') return `there is no such socket; ${start}`
  if (cause.code === 'ECONNREFUSED') return `nobody listens there; ${start}`
  return `${cause.message}; ${start}`
}
