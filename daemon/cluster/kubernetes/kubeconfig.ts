/** A kubeconfig file: the cluster and user of its current context, with all that client-node knows of logging in. */
import type { RequestOptions } from 'node:https'
import { ConfigError, messageOf } from '../../errors.ts'
import type { ApiTls, Credentials } from './credentials.ts'

/** Throws ConfigError when the file cannot be used. */
export async function kubeconfigCredentials(path: string, servers: readonly URL[]): Promise<Credentials> {
  const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js')
  const config = new KubeConfig()
  try {
    config.loadFromFile(path)
  } catch (cause) {
    throw new ConfigError('cluster.kubernetes.kubeconfig', `cannot use ${path}: ${messageOf(cause)}`, { cause })
  }
  const cluster = config.getCurrentCluster()
  if (cluster === null)
    throw new ConfigError('cluster.kubernetes.kubeconfig', `${path} names no cluster: it has no current-context`)
  const options = async (): Promise<RequestOptions> => {
    const made: RequestOptions = { headers: {} }
    await config.applyToHTTPSOptions(made)
    return made
  }
  return {
    servers: servers.length > 0 ? servers : [serverOf(cluster.server, path)],
    tls: async () => {
      const { ca, cert, key, pfx, passphrase } = await options()
      return withoutAbsent({
        ca,
        cert,
        key,
        pfx,
        passphrase,
        rejectUnauthorized: cluster.skipTLSVerify !== true,
        servername: cluster.tlsServerName,
      })
    },
    headers: async () => {
      const { headers, auth } = await options()
      const basic = auth ? { authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {}
      const named = Object.entries(Object(headers) as Readonly<Record<string, unknown>>)
      return { ...basic, ...Object.fromEntries(named.map(([name, value]) => [name.toLowerCase(), String(value)])) }
    },
  }
}

/** What is said there goes to nobody in the clear: a token would go with it. */
function serverOf(text: string, path: string): URL {
  if (URL.canParse(text) && new URL(text).protocol === 'https:') return new URL(text)
  throw new ConfigError(
    'cluster.kubernetes.kubeconfig',
    `${path} has the server ${JSON.stringify(text)}; allowed: a URL such as https://192.0.2.1:6443`,
  )
}

/** TLS takes a member that is there and undefined for a wrong one. */
function withoutAbsent(options: Readonly<Record<string, unknown>>): ApiTls {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined && value !== null))
}
