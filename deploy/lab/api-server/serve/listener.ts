/**
 * The port: TCP connections first pass this server's own hands, so that they can be refused, left hanging or cut, and
 * then speak TLS with HTTP/2 or HTTP/1.1, as the client likes.
 */
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'
import { setTimeout as after } from 'node:timers/promises'
import type { Certificates } from './tls.ts'

export type Incoming = IncomingMessage | Http2ServerRequest
export type Outgoing = ServerResponse | Http2ServerResponse

/** kube-apiserver's own limit (k8s.io/apiserver pkg/server/secure_serving.go). */
const MAX_STREAMS = 100
/** What waits to be read by one client; Node's 10 MB would have its further requests refused during a long list. */
const MAX_SESSION_MB = 1000

export class Listener implements AsyncDisposable {
  readonly #sockets = new Set<Socket>()
  /** Speaks TLS and HTTP over the sockets it is handed; it never listens itself. */
  readonly #secure: ReturnType<typeof createSecureServer>
  readonly #host: string
  #front: Server
  #port = 0
  #accepted = 0
  #halfOpen = false

  constructor(host: string, certificates: Certificates, handle: (request: Incoming, response: Outgoing) => void) {
    this.#host = host
    this.#secure = createSecureServer({
      allowHTTP1: true,
      key: certificates.key,
      cert: certificates.certificate,
      settings: { maxConcurrentStreams: MAX_STREAMS },
      maxSessionMemory: MAX_SESSION_MB,
    })
    this.#secure.on('request', handle)
    // A client that goes in the middle of anything is nobody's failure.
    this.#secure.on('sessionError', () => {})
    this.#secure.on('tlsClientError', () => {})
    this.#front = this.#makeFront()
  }

  get port(): number {
    return this.#port
  }

  get open(): number {
    return this.#sockets.size
  }

  /** Connections since the start. */
  get accepted(): number {
    return this.#accepted
  }

  /** 0 lets the system choose; the port stays the same through `down` and `up`. */
  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#front.once('error', reject)
      this.#front.listen({ host: this.#host, port }, () => {
        this.#front.off('error', reject)
        resolve()
      })
    })
    const address = this.#front.address()
    if (address !== null && typeof address === 'object') this.#port = address.port
  }

  /** Ends every connection and refuses new ones, until `up`. */
  async down(): Promise<void> {
    if (!this.#front.listening) return
    const closed = new Promise<void>(resolve => this.#front.close(() => resolve()))
    this.cut()
    await closed
  }

  async up(): Promise<void> {
    if (this.#front.listening) return
    this.#front = this.#makeFront()
    for (let tries = 0; ; tries++) {
      try {
        return await this.listen(this.#port)
      } catch (error) {
        if (tries === 20) throw error
        await after(50)
      }
    }
  }

  /** While it holds, connections are accepted and nothing ever comes back on them. */
  set halfOpen(holds: boolean) {
    this.#halfOpen = holds
  }

  /** Ends every connection at once, without a word. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down()
    this.#secure.removeAllListeners('request')
  }

  #makeFront(): Server {
    return createServer(socket => {
      this.#accepted++
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('error', () => {})
      if (!this.#halfOpen) this.#secure.emit('connection', socket)
    })
  }
}
