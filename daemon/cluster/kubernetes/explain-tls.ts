/** Why a connection was refused by one of its ends, in words that name the way out. */
import { connect } from 'node:tls'

/** OpenSSL's verdicts on certificates (X509_STORE_CTX_get_error(3)) that a clock has to do with. */
const CLOCK = ['CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED']
const PEEK_MS = 3000

/** The error, or one that says more. Takes a look at the server's certificate where its dates are the matter. */
export async function explainTls(error: unknown, server: URL): Promise<unknown> {
  const { code = '' } = Object(error) as { readonly code?: string }
  if (CLOCK.includes(code)) return new Error(await datesOf(server, code), { cause: error })
  if (code === 'ERR_HTTP2_ERROR' || code === 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL')
    return new Error('it does not speak HTTP/2; name the API server itself in cluster.kubernetes.servers', {
      cause: error,
    })
  if (/^(UNABLE_TO|SELF_SIGNED|DEPTH_ZERO)/.test(code))
    return new Error(`its certificate is not from the authority that we were given (${code})`, { cause: error })
  return error
}

async function datesOf(server: URL, code: string): Promise<string> {
  const verdict = code === 'CERT_HAS_EXPIRED' ? 'has ended' : 'is not valid yet'
  const dates = await validity(server).catch(() => undefined)
  const span = dates === undefined ? '' : ` (valid from ${dates.from} to ${dates.to})`
  return `its certificate${span} ${verdict} by this node's clock, ${new Date().toISOString()}; set the clock or renew the certificate`
}

/** Nothing is sent on this connection, so that it need not be trusted. */
async function validity(server: URL): Promise<{ readonly from: string; readonly to: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = connect({
    host: server.hostname.replace(/^\[|\]$/g, ''),
    port: Number(server.port || 443),
    rejectUnauthorized: false,
  })
  socket.setTimeout(PEEK_MS, () => reject(new Error('no answer')))
  socket.once('error', reject)
  socket.once('secureConnect', () => resolve())
  try {
    await promise
    const { valid_from: from, valid_to: to } = socket.getPeerCertificate()
    return { from: isoDate(from), to: isoDate(to) }
  } finally {
    socket.destroy()
  }
}

/** Throws RangeError when it is none. */
function isoDate(text: string): string {
  return new Date(text).toISOString()
}
