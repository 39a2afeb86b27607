/**
 * TLS of the TCP listener: certificate and key from files, taken over when they change, as kubelet and cert-manager renew
 * them. With an authority for clients, only who shows a certificate of it is answered, but for what kubelet asks.
 */
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContextOptions, type TLSSocket } from 'node:tls'
import { CausewayError } from '../errors.ts'
import type { Logger } from '../plugin.ts'
import { ApiError } from './router.ts'

/** Paths of PEM files. */
export interface TlsFiles {
  readonly certFile: string
  readonly keyFile: string
  /** Authorities of clients' certificates; undefined: clients need none. */
  readonly clientCaFile: string | undefined
}

/** Certificate and key cannot be used; the message names the files. */
export class TlsFilesWrong extends CausewayError {
  constructor({ certFile, keyFile, clientCaFile }: TlsFiles, cause: unknown) {
    const files = [certFile, keyFile, ...(clientCaFile === undefined ? [] : [clientCaFile])].join(', ')
    super('TLS_FILES', `${files} cannot be used for TLS: ${(cause as Error).message}`, { cause })
  }
}

/** Files as they are now. */
export interface Credentials extends SecureContextOptions {
  readonly cert: string
  readonly key: string
  readonly ca?: string
}

/** Reads the files; throws TlsFilesWrong when one is missing, no PEM, or the key is that of another certificate. */
export function readCredentials(files: TlsFiles): Credentials {
  try {
    const credentials = {
      cert: readFileSync(files.certFile, 'utf8'),
      key: readFileSync(files.keyFile, 'utf8'),
      ...(files.clientCaFile === undefined ? {} : { ca: readFileSync(files.clientCaFile, 'utf8') }),
    }
    createSecureContext(credentials)
    // Node takes an authority without a certificate for one that has signed nothing.
    if (credentials.ca !== undefined) void new X509Certificate(credentials.ca)
    return credentials
  } catch (error) {
    throw new TlsFilesWrong(files, error)
  }
}

/** A server whose next connections get other credentials. */
interface TlsServer {
  setSecureContext(options: SecureContextOptions): void
}

/** Renewed certificates are good for hours before the old ones end. */
const LOOK_EVERY_MS = 10_000

/**
 * Looks at the files now and then until disposed, and gives the server what changed. Files that cannot be used are logged
 * once, and what was there before goes on.
 */
export function followTlsFiles(
  server: TlsServer,
  files: TlsFiles,
  {
    before,
    log,
    everyMs = LOOK_EVERY_MS,
  }: { readonly before: Credentials; readonly log: Logger; readonly everyMs?: number },
): Disposable {
  let current = JSON.stringify(before)
  let complaint: string | undefined
  const look = (): void => {
    try {
      const credentials = readCredentials(files)
      complaint = undefined
      if (JSON.stringify(credentials) === current) return
      server.setSecureContext(credentials)
      current = JSON.stringify(credentials)
      log.info({ certFile: files.certFile }, 'a renewed certificate is in use')
    } catch (error) {
      const { message } = error as Error
      if (message !== complaint) log.warn({ error }, 'a renewed certificate is wrong; the one before goes on')
      complaint = message
    }
  }
  const timer = setInterval(look, everyMs).unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** What kubelet asks, which has no certificate to show. */
const WITHOUT_CERTIFICATE = ['/v1/alive', '/v1/health']

/** Throws ApiError 403 where a client's certificate is missing or not of the authority. */
export function checkClient(request: IncomingMessage, path: string): void {
  const socket = request.socket as Partial<TLSSocket>
  if (WITHOUT_CERTIFICATE.includes(path)) return
  // Node before 24.21 calls whoever resumes a session of TLS 1.3 authorized, also without a certificate.
  if (socket.authorized === true && socket.getPeerX509Certificate?.() !== undefined) return
  const why = socket.authorizationError === undefined ? '' : ` (${String(socket.authorizationError)})`
  throw new ApiError(403, 'NO_CLIENT_CERTIFICATE', `a certificate of this server's client authority is needed${why}`)
}
