/** A server for tests of clients at the wire: it keeps what it was asked, and answers as the test says. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface WireRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface WireAnswer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** `cut`: the connection ends without an answer; `silence`: nothing comes. */
export type Wire = WireAnswer | 'cut' | 'silence'

export interface WireServer extends AsyncDisposable {
  readonly url: string
  readonly port: number
  /** In the order in which they came. */
  readonly requests: readonly WireRequest[]
}

export async function serveWire(
  answer: (request: WireRequest) => Wire | Promise<Wire>,
  tls?: { readonly key: string; readonly cert: string },
): Promise<WireServer> {
  const requests: WireRequest[] = []
  const listener = (incoming: IncomingMessage, response: ServerResponse): void => {
    void read(incoming)
      .then(async request => {
        requests.push(request)
        return await answer(request)
      })
      // What the test found wrong about a request is told to whoever made it: it must not wait for ever.
      .catch((error: unknown): Wire => ({ status: 500, body: String(error) }))
      .then(wire => send(response, wire))
  }
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    requests,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

async function read(incoming: IncomingMessage): Promise<WireRequest> {
  let body = ''
  for await (const part of incoming.setEncoding('utf8')) body += part
  const url = new URL(incoming.url ?? '/', 'http://wire')
  const headers = Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]))
  return { method: incoming.method ?? '', path: url.pathname, query: url.searchParams, headers, body }
}

function send(response: ServerResponse, wire: Wire): void {
  if (wire === 'silence') return
  if (wire === 'cut') {
    response.socket?.destroy()
    return
  }
  response.writeHead(wire.status ?? 200, { ...wire.headers })
  response.end(wire.body ?? '')
}
