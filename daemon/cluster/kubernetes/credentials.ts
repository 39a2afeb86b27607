/**
 * Who we are to the API server and how we know that it is the right one: the service account of a pod, or a kubeconfig
 * file. The latter's many ways to authenticate are `@kubernetes/client-node`'s business; it is loaded only where a file
 * is configured, for it takes 27 MB.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SecureContextOptions } from 'node:tls'
import { ConfigError } from '../../errors.ts'

export interface Credentials {
  /** In the order in which they are tried. */
  readonly servers: readonly URL[]
  /** Read anew for each connection: authorities and client certificates are replaced while we run. */
  tls(): Promise<ApiTls>
  /** Of every request; `afresh` when the last ones were refused. */
  headers(afresh: boolean): Promise<Readonly<Record<string, string>>>
}

export type ApiTls = SecureContextOptions & {
  readonly rejectUnauthorized?: boolean
  /** The name in the server's certificate, where it is not that of the URL. */
  readonly servername?: string
}

/** The keys of the configuration. */
export interface ApiSettings {
  readonly servers: readonly string[]
  readonly kubeconfig: string
  readonly serviceAccount: string
}

type Environment = Readonly<Record<string, string | undefined>>

/** Tokens of service accounts are replaced in their file long before they end; client-go looks as often. */
const TOKEN_KEPT_MS = 60_000

/** Throws ConfigError when nothing says where the API server is. */
export async function credentialsOf(settings: ApiSettings, env: Environment): Promise<Credentials> {
  const servers = settings.servers.map(server => new URL(server))
  if (settings.kubeconfig === '') return serviceAccount(servers, settings.serviceAccount, env)
  const { kubeconfigCredentials } = await import('./kubeconfig.ts')
  return kubeconfigCredentials(settings.kubeconfig, servers)
}

function serviceAccount(servers: readonly URL[], directory: string, env: Environment): Credentials {
  const token = new TokenFile(join(directory, 'token'))
  return {
    servers: servers.length > 0 ? servers : [inClusterServer(env)],
    tls: async () => ({ ca: await readFile(join(directory, 'ca.crt')) }),
    headers: async afresh => ({ authorization: `Bearer ${await token.read(afresh)}` }),
  }
}

/** The address of the service `kubernetes`, which some other service proxy must serve at first. */
function inClusterServer(env: Environment): URL {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env
  if (host === undefined || host === '')
    throw new ConfigError(
      'cluster.kubernetes.servers',
      'nothing says where the API server is: this is no pod (KUBERNETES_SERVICE_HOST is not set); ' +
        'allowed: a list of URLs such as https://192.0.2.1:6443, or a file in cluster.kubernetes.kubeconfig',
    )
  return new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`)
}

class TokenFile {
  readonly #path: string
  #kept: { readonly text: string; readonly atMs: number } | undefined

  constructor(path: string) {
    this.#path = path
  }

  async read(afresh: boolean): Promise<string> {
    const now = performance.now()
    if (this.#kept !== undefined && !afresh && now - this.#kept.atMs < TOKEN_KEPT_MS) return this.#kept.text
    const text = (await readFile(this.#path, 'utf8')).trim()
    this.#kept = { text, atMs: now }
    return text
  }
}
