/**
 * A daemon for tests of the CNI executable: an HTTP server on a unix socket that records what it was asked and answers
 * as the test says.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSocketServer, type Server as SocketServer } from 'node:net'

export interface Asked {
  readonly path: string
  readonly body: Readonly<Record<string, unknown>>
}

export interface Reply {
  readonly status?: number
  readonly body: unknown
}

/** Answers a request, or takes the response into its own hands and returns nothing. */
export type Answer = (asked: Asked, response: ServerResponse) => Reply | undefined

export class FakeDaemon implements AsyncDisposable {
  readonly asked: Asked[] = []
  readonly #server: Server

  private constructor(answer: Answer) {
    this.#server = createServer((request, response) => void this.#serve(answer, request, response))
  }

  static async listen(socket: string, answer: Answer): Promise<FakeDaemon> {
    const daemon = new FakeDaemon(answer)
    await new Promise<void>((resolve, reject) => {
      daemon.#server.once('error', reject)
      daemon.#server.listen(socket, 511, resolve)
    })
    return daemon
  }

  async #serve(answer: Answer, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const asked = { path: request.url ?? '', body: JSON.parse(Buffer.concat(chunks).toString()) }
    this.asked.push(asked)
    const reply = answer(asked, response)
    if (reply === undefined) return
    response.writeHead(reply.status ?? 200, { 'Content-Type': 'application/json' })
    response.end(typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }
}

/** Answers every request with these bytes and closes the connection. */
export async function rawDaemon(socket: string, bytes: string | Buffer): Promise<SocketServer> {
  const server = createSocketServer(connection => {
    connection.on('error', () => {})
    // The whole request arrives in one piece or ends with the body's closing brace in a later one.
    connection.on('data', data => {
      if (data.toString().trimEnd().endsWith('}')) connection.end(bytes)
    })
  })
  await new Promise<void>(resolve => server.listen(socket, resolve))
  return server
}
