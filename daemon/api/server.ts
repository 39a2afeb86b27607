/**
 * The API server: HTTP with JSON on the unix socket `api.sock`, for the CNI executable and the command line, and by
 * choice on TCP for metrics and health. Requests enter through `answer`, which finds the handler and writes what it
 * returns; errors become JSON `{"error": {"code", "message"}}`, under the CNI executable's paths CNI errors.
 */
import type { ListenOptions } from 'node:net'
import { createServer, type IncomingMessage, type Server as HttpServer, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as HttpsServer } from 'node:https'
import { messageOf } from '../errors.ts'
import type { Logger } from '../plugin.ts'
import { readJson } from './body.ts'
import { cniErrorAnswer } from './cni.ts'
import { type ApiAnswer, ApiError, type Router } from './router.ts'
import type { SocketClaim } from './socket.ts'
import { checkClient, followTlsFiles, readCredentials, type TlsFiles } from './tls.ts'

export interface ApiServer extends AsyncDisposable {
  /** Path of the unix socket, or `host:port` really listened on. */
  readonly address: string
}

/** Where to listen: the socket of a run directory, which stays the caller's, or a TCP address, by choice with TLS. */
export type Listen =
  | Pick<SocketClaim, 'path' | 'opened'>
  | { readonly host: string; readonly port: number; readonly tls?: TlsFiles | undefined }

type Server = HttpServer | HttpsServer

/**
 * Listens and answers until disposed, which stops listening, aborts the running requests and gives them `graceMs` to be
 * answered. Throws TlsFilesWrong, and what the kernel says of the address.
 */
export async function serveApi(listen: Listen, router: Router, log: Logger, graceMs = 2000): Promise<ApiServer> {
  await using undo = new AsyncDisposableStack()
  const stopping = new AbortController()
  const tls = 'path' in listen ? undefined : listen.tls
  const check = tls?.clientCaFile === undefined ? undefined : checkClient
  const server = open(tls, undo, log, (request, response) => {
    void answer({ router, check }, request, response, stopping.signal).catch((error: unknown) => {
      log.error({ error, path: request.url }, 'writing an answer failed')
      response.destroy()
    })
  })
  undo.defer(() => close(server, stopping, graceMs))
  if ('path' in listen) {
    await start(server, { path: listen.path })
    listen.opened()
  } else await start(server, { host: listen.host, port: listen.port })
  // A connection that could not be taken, as for want of descriptors, is its caller's loss, not the daemon's end.
  server.on('error', error => log.error({ error }, 'the API could not take a connection'))
  const owned = undo.move()
  return { address: addressOf(server), [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

type Listener = (request: IncomingMessage, response: ServerResponse) => void

/** Clients that show no certificate come through: they are refused with words, by path. */
function open(tls: TlsFiles | undefined, undo: AsyncDisposableStack, log: Logger, listener: Listener): Server {
  const options = { keepAliveTimeout: 5000 }
  if (tls === undefined) return createServer(options, listener)
  const credentials = readCredentials(tls)
  const clients = { requestCert: tls.clientCaFile !== undefined, rejectUnauthorized: false }
  const server = createTlsServer({ ...options, ...clients, handshakeTimeout: 10_000, ...credentials }, listener)
  undo.use(followTlsFiles(server, tls, { before: credentials, log }))
  return server
}

async function start(server: Server, where: ListenOptions): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(where, () => resolve())
  await promise
  server.off('error', reject)
}

async function close(server: Server, stopping: AbortController, graceMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (!server.listening) return
  server.close(() => resolve())
  server.closeIdleConnections()
  stopping.abort(new ApiError(503, 'STOPPING', 'the daemon is stopping'))
  const timer = setTimeout(() => server.closeAllConnections(), graceMs)
  await promise
  clearTimeout(timer)
}

function addressOf(server: Server): string {
  const address = server.address()
  if (address === null || typeof address === 'string') return address ?? ''
  return address.family === 'IPv6' ? `[${address.address}]:${address.port}` : `${address.address}:${address.port}`
}

/** Who answers, and who is let in. */
interface Entrance {
  readonly router: Router
  readonly check: typeof checkClient | undefined
}

async function answer(entrance: Entrance, request: IncomingMessage, response: ServerResponse, stopping: AbortSignal) {
  const hangUp = new AbortController()
  response.once('close', () => hangUp.abort(new ApiError(499, 'HANG_UP', 'the caller hung up')))
  const signal = AbortSignal.any([stopping, hangUp.signal])
  const result = await handle(entrance, request, signal).catch(error => errorAnswer(request.url ?? '', error))
  // A connection kept alive would hold the server open.
  if (stopping.aborted) response.shouldKeepAlive = false
  if (!response.destroyed) await write(response, result, signal)
}

async function handle({ router, check }: Entrance, request: IncomingMessage, signal: AbortSignal): Promise<ApiAnswer> {
  const method = request.method ?? 'GET'
  const url = new URL(request.url ?? '/', 'http://api')
  check?.(request, url.pathname)
  const { handler, params } = router.match(method, url.pathname)
  const body = await readJson(request)
  return await handler({ method, path: url.pathname, params, query: url.searchParams, body, signal })
}

/**
 * The JSON form of an error; one that is no ApiError is the daemon's own fault. The CNI executable prints what it is
 * answered, so that under its paths also the server's own errors are CNI errors.
 */
function errorAnswer(path: string, error: unknown): ApiAnswer {
  if (path.startsWith('/v1/cni/')) return cniErrorAnswer(error)
  const given = (error as { code?: unknown } | undefined)?.code
  const code = typeof given === 'string' ? given : 'INTERNAL'
  const message = messageOf(error)
  return { status: error instanceof ApiError ? error.status : 500, json: { error: { code, message } } }
}

async function write(response: ServerResponse, result: ApiAnswer, signal: AbortSignal): Promise<void> {
  if ('hangUp' in result) return void response.destroy()
  response.statusCode = result.status ?? 200
  if ('lines' in result) return await writeLines(response, result.lines, signal)
  const text = 'json' in result ? `${JSON.stringify(result.json)}\n` : result.text
  response.setHeader('content-type', 'json' in result ? 'application/json' : result.type)
  response.setHeader('content-length', Buffer.byteLength(text))
  response.end(text)
}

/**
 * Writes lines as they come, those of one turn of the event loop at once. While the reader is slow no line is taken from
 * the source, whose decision it is what to lose meanwhile.
 */
async function writeLines(response: ServerResponse, lines: AsyncIterable<unknown>, signal: AbortSignal): Promise<void> {
  response.setHeader('content-type', 'application/x-ndjson')
  response.flushHeaders()
  let pending = ''
  const flush = (): boolean => {
    const text = pending
    pending = ''
    return text === '' || response.destroyed || response.write(text)
  }
  for await (const line of lines) {
    if (signal.aborted) break
    if (response.writableNeedDrain) await drained(response)
    if (pending === '') setImmediate(flush)
    pending += `${JSON.stringify(line)}\n`
    if (pending.length >= WRITE_AT && !flush()) await drained(response)
  }
  flush()
  response.end()
}

/** Characters after which lines are written without waiting for the end of the turn. */
const WRITE_AT = 16_384

async function drained(response: ServerResponse): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  response.once('drain', resolve)
  response.once('close', resolve)
  if (!response.destroyed) await promise
  response.off('drain', resolve)
  response.off('close', resolve)
}
