/** A small client of an API server, for the lab and for tests: HTTP/2, one connection, nothing done twice. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from 'node:http2'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { isObject, type Json, type JsonObject } from './objects/json.ts'

export interface ClientOptions {
  readonly url: string
  /** PEM text. */
  readonly ca: string
  readonly token: string
  /** Path of a socket that leads to the server, where its address cannot be reached. */
  readonly socket?: string
}

export interface RequestOptions {
  readonly body?: object
  readonly type?: string
  readonly accept?: string
  readonly signal?: AbortSignal
}

export interface Response {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** The body as it came. */
  readonly text: string
  /** The body read as JSON; empty when it is none. */
  readonly json: JsonObject
}

/** A line of a watch. */
export interface WatchEvent {
  readonly type: string
  readonly object: JsonObject
}

export class ApiClient implements AsyncDisposable {
  readonly #options: ClientOptions
  #session: ClientHttp2Session | undefined

  constructor(options: ClientOptions) {
    this.#options = options
  }

  /** Rejects when the connection breaks; any status resolves. */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const stream = this.#open(method, path, options)
    const headers = await headersOf(stream)
    let text = ''
    for await (const chunk of stream.setEncoding('utf8')) text += chunk as string
    checkEnd(stream)
    // The code can be that of a good end.
    const { 'content-length': length } = headers
    if (length !== undefined && Buffer.byteLength(text) < Number(length))
      throw new Error('the connection ended in the middle of an answer')
    return { status: Number(headers[':status']), headers, text, json: readJson(text) }
  }

  get(path: string): Promise<Response> {
    return this.request('GET', path)
  }

  create(path: string, body: object): Promise<Response> {
    return this.request('POST', path, { body })
  }

  update(path: string, body: object): Promise<Response> {
    return this.request('PUT', path, { body })
  }

  /** A merge patch unless `type` says otherwise. */
  patch(path: string, body: object, type = 'application/merge-patch+json'): Promise<Response> {
    return this.request('PATCH', path, { body, type })
  }

  delete(path: string, body?: object): Promise<Response> {
    return this.request('DELETE', path, body === undefined ? {} : { body })
  }

  /** The events of a watch, from its path with query; ends with the watch, throws when it is refused or its connection ends before. */
  async *watch(path: string, options: RequestOptions = {}): AsyncGenerator<WatchEvent> {
    const stream = this.#open('GET', path, options)
    try {
      const status = Number((await headersOf(stream))[':status'])
      let rest = ''
      for await (const chunk of stream.setEncoding('utf8')) {
        const lines = (rest + (chunk as string)).split('\n')
        rest = lines.pop() ?? ''
        if (status !== 200) throw new Error(`the watch is refused: ${status} ${chunk as string}`)
        for (const line of lines) yield JSON.parse(line) as WatchEvent
      }
      if (rest !== '') throw new Error(`the watch broke off in a line: ${rest}`)
      checkEnd(stream)
    } finally {
      stream.close()
    }
  }

  /** Ends the connection, and with it every watch. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#session?.destroy()
    this.#session = undefined
    await Promise.resolve()
  }

  #open(method: string, path: string, { body, type, accept, signal }: RequestOptions): ClientHttp2Stream {
    const { token } = this.#options
    const stream = this.#connected().request(
      {
        ':method': method,
        ':path': path,
        ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
        accept: accept ?? 'application/json',
        ...(body === undefined ? {} : { 'content-type': type ?? 'application/json' }),
      },
      // A DELETE is taken to have no body unless this says that one comes.
      { endStream: body === undefined, ...(signal === undefined ? {} : { signal }) },
    )
    if (body !== undefined) stream.end(JSON.stringify(body))
    return stream
  }

  #connected(): ClientHttp2Session {
    if (this.#session !== undefined && !this.#session.closed && !this.#session.destroyed) return this.#session
    const { url, ca, socket } = this.#options
    const through = socket === undefined ? {} : { createConnection: () => throughSocket(socket, url, ca) }
    const session = connect(url, { ca, ...through })
    // Streams tell it to whoever waits for them.
    session.on('error', () => {})
    this.#session = session
    return session
  }
}

/** A stream that its connection took with it ends as if it were whole, but for its code. */
function checkEnd(stream: ClientHttp2Stream): void {
  if (stream.rstCode !== 0) throw new Error(`the connection ended in the middle of an answer (code ${stream.rstCode})`)
}

/** The server's certificate must be good for the URL all the same. */
function throughSocket(path: string, url: string, ca: string): TLSSocket {
  return connectTls({ path, ca, host: new URL(url).hostname, ALPNProtocols: ['h2'] })
}

async function headersOf(stream: ClientHttp2Stream): Promise<IncomingHttpHeaders> {
  return await new Promise((resolve, reject) => {
    stream.once('response', resolve)
    stream.once('error', reject)
    stream.once('close', () => reject(new Error('the connection ended before an answer')))
  })
}

function readJson(text: string): JsonObject {
  try {
    const value = JSON.parse(text) as Json
    return isObject(value) ? value : {}
  } catch {
    return {}
  }
}
