/**
 * One HTTP/2 connection to the API server for everything a daemon asks and watches: a cluster of thousands of nodes has
 * as many connections and not ten times that. A connection that breaks, or answers no ping, is replaced when it is
 * needed next, by one to the next server of the list where one cannot be reached.
 */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { abortable } from '../../abort.ts'
import { messageOf } from '../../errors.ts'
import type { Logger } from '../../plugin.ts'
import { ApiUnreachable } from './api-error.ts'
import type { Credentials } from './credentials.ts'
import { explainTls } from './explain-tls.ts'

export interface ConnectionOptions {
  readonly credentials: Credentials
  readonly log: Logger
  readonly userAgent: string
  /** A connection that is silent for so long is asked whether it lives; client-go does so after 30 s. */
  readonly pingAfterMs?: number
  /** How long it may take to answer; client-go gives 15 s. */
  readonly pingTimeoutMs?: number
  readonly connectTimeoutMs?: number
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** The body as it arrives; destroying it ends the request. */
  readonly body: ClientHttp2Stream
}

export interface Question {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With the query. */
  readonly path: string
  readonly body?: string
  readonly contentType?: string
  /** Of the answer; JSON unless given. */
  readonly accept?: string
}

/** More than the 64 KiB of RFC 9113, so that a long list need not wait for the way back after each of them. */
const WINDOW_BYTES = 1 << 20
/** An answer begins within so long, or the server counts as gone. */
const ANSWER_MS = 30_000
const CLOSED = 'the connection to the API server was closed'

interface Open {
  readonly session: ClientHttp2Session
  /** Of every path: a server may be one of several behind an address, such as https://192.0.2.1/k8s/clusters/one. */
  readonly prefix: string
}

/** Connects when something is asked. Disposing closes it. */
export class ApiConnection implements Disposable {
  readonly #options: ConnectionOptions
  #session: Promise<Open> | undefined
  /** One that has not found its server yet. */
  #connecting: ClientHttp2Session | undefined
  /** Index of the server in use, or to be tried first. */
  #server = 0
  #closed = false
  readonly #listeners = new Set<() => void>()

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  /** The server in use, or to be tried next. */
  get server(): string {
    return this.#options.credentials.servers[this.#server]?.host ?? ''
  }

  /** Calls back whenever there is a connection again; what is returned ends that. */
  onConnected(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Resolves when the answer begins. Throws ApiUnreachable, or the signal's reason. */
  async ask(question: Question, signal: AbortSignal): Promise<Answer> {
    const answer = await this.#send(question, false, signal)
    if (answer.status !== 401) return answer
    // A token that ended a moment ago has a successor.
    answer.body.close(constants.NGHTTP2_CANCEL)
    return this.#send(question, true, signal)
  }

  async #send(question: Question, afresh: boolean, signal: AbortSignal): Promise<Answer> {
    const { session, prefix } = await abortable(this.#connected(), signal)
    const headers = await abortable(this.#headersOf(question, prefix, afresh), signal)
    // From here to the listener for it nothing else runs.
    signal.throwIfAborted()
    return begun(requested(session, headers, question.body), signal)
  }

  async #headersOf(question: Question, prefix: string, afresh: boolean): Promise<OutgoingHttpHeaders> {
    return {
      ...(await this.#options.credentials.headers(afresh)),
      ':method': question.method,
      ':path': `${prefix}${question.path}`,
      accept: question.accept ?? 'application/json',
      'user-agent': this.#options.userAgent,
      ...(question.body !== undefined && { 'content-type': question.contentType ?? 'application/json' }),
    }
  }

  #connected(): Promise<Open> {
    if (this.#closed) throw new ApiUnreachable(CLOSED)
    if (this.#session !== undefined) return this.#session
    const connecting = this.#connect()
    this.#session = connecting
    const forget = (): void => {
      if (this.#session === connecting) this.#session = undefined
    }
    connecting.then(({ session }) => {
      session.once('close', forget)
      // A server that goes away ends what has begun and takes nothing new.
      session.once('goaway', forget)
    }, forget)
    return connecting
  }

  /** Each server once, the last good one first. */
  async #connect(): Promise<Open> {
    const { servers } = this.#options.credentials
    const problems: string[] = []
    for (let tried = 0; tried < servers.length; tried++) {
      const server = servers[this.#server] as URL
      try {
        const session = await this.#connectTo(server)
        this.#options.log.info({ server: server.host }, 'connected to the API server')
        for (const listener of this.#listeners) listener()
        return { session, prefix: server.pathname.replace(/\/+$/, '') }
      } catch (error) {
        problems.push(`${server.host}: ${messageOf(error)}`)
        this.#server = (this.#server + 1) % servers.length
      }
    }
    throw new ApiUnreachable(`no API server can be reached: ${problems.join('; ')}`)
  }

  async #connectTo(server: URL): Promise<ClientHttp2Session> {
    const tls = await this.#options.credentials.tls()
    if (this.#closed) throw new ApiUnreachable(CLOSED)
    const session = connect(server, { ...tls, settings: { initialWindowSize: WINDOW_BYTES, enablePush: false } })
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(() => reject(new Error('no answer')), this.#options.connectTimeoutMs ?? 5000)
    session.once('connect', () => resolve())
    session.once('close', () => reject(new ApiUnreachable(CLOSED)))
    this.#connecting = session
    // Without a listener an error that comes later would end the process; whoever asks learns it from its stream.
    session.on('error', reject)
    try {
      await promise
    } catch (error) {
      session.destroy()
      throw await explainTls(error, server)
    } finally {
      clearTimeout(timer)
      this.#connecting = undefined
    }
    session.setLocalWindowSize(4 * WINDOW_BYTES)
    this.#watchOver(session)
    return session
  }

  /** A peer that vanished without a word is told only by asking. */
  #watchOver(session: ClientHttp2Session): void {
    const { pingAfterMs = 30_000, pingTimeoutMs = 15_000, log } = this.#options
    let late: NodeJS.Timeout | undefined
    const timer = setInterval(() => {
      if (session.destroyed || late !== undefined) return
      late = setTimeout(() => {
        log.warn({ server: this.server }, 'the API server answers no ping; the connection is given up')
        session.destroy(new ApiUnreachable('the API server answered no ping'))
      }, pingTimeoutMs).unref()
      session.ping(() => {
        clearTimeout(late)
        late = undefined
      })
    }, pingAfterMs).unref()
    session.once('close', () => {
      clearInterval(timer)
      clearTimeout(late)
    })
  }

  [Symbol.dispose](): void {
    this.#closed = true
    this.#connecting?.destroy()
    const session = this.#session
    this.#session = undefined
    session?.then(
      open => open.session.destroy(),
      () => undefined,
    )
  }
}

/** A session may have ended since it was looked up. */
function requested(session: ClientHttp2Session, headers: OutgoingHttpHeaders, text: string | undefined) {
  try {
    const body = session.request(headers, { endStream: text === undefined })
    if (text !== undefined) body.end(text)
    return body
  } catch (cause) {
    throw new ApiUnreachable(`nothing can be asked: ${messageOf(cause)}`, { cause })
  }
}

/** Waits for the head of an answer. */
async function begun(body: ClientHttp2Stream, signal: AbortSignal): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingHttpHeaders>()
  body.once('response', resolve)
  body.once('error', reject)
  body.once('close', () => reject(new ApiUnreachable('the connection broke before the answer')))
  const abort = (): void => {
    body.close(constants.NGHTTP2_CANCEL)
  }
  // The request ends with its signal, also while its body is read.
  signal.addEventListener('abort', abort, { once: true })
  body.once('close', () => signal.removeEventListener('abort', abort))
  const timer = setTimeout(() => {
    reject(new ApiUnreachable(`no answer within ${ANSWER_MS / 1000} s`))
    abort()
  }, ANSWER_MS)
  try {
    const headers = await promise
    return { status: Number(headers[':status']), headers, body }
  } catch (cause) {
    signal.throwIfAborted()
    if (cause instanceof ApiUnreachable) throw cause
    throw new ApiUnreachable(`the connection to the API server broke: ${messageOf(cause)}`, { cause })
  } finally {
    clearTimeout(timer)
  }
}
