/** Clients of Azure Resource Manager, a pair for each subscription: the only place where the SDKs are loaded. */
import type { TokenCredential } from '@azure/identity'
import type { Connection } from './provider-apis.ts'

export interface ClientsOptions {
  /** Instead of Azure's own; empty for that. It must speak TLS: tokens are given to nobody else. */
  readonly endpoint: string
  /** Certificate of an authority that is trusted for it, in PEM; empty for the public ones alone. */
  readonly authority: string
  /** Instead of what the environment has. */
  readonly credential: TokenCredential | undefined
}

export class Clients {
  readonly #options: ClientsOptions
  readonly #connections = new Map<string, Promise<Connection>>()
  #credential: Promise<TokenCredential> | undefined

  constructor(options: ClientsOptions) {
    this.#options = options
  }

  connection(subscription: string): Promise<Connection> {
    const found = this.#connections.get(subscription) ?? this.#connect(subscription)
    this.#connections.set(subscription, found)
    return found
  }

  async #connect(subscription: string): Promise<Connection> {
    const { endpoint, authority } = this.#options
    this.#credential ??=
      this.#options.credential === undefined ? chosenCredential() : Promise.resolve(this.#options.credential)
    const [credential, { ComputeManagementClient, NetworkManagementClient }] = await Promise.all([
      this.#credential,
      import('./sdk.ts'),
    ])
    const own = endpoint === '' ? {} : { endpoint, credentials: { scopes: [`${endpoint}/.default`] } }
    const settings = {
      ...own,
      ...(authority === '' ? {} : { tlsOptions: { ca: authority } }),
      // One attempt: what is to be tried again is decided by whoever knows what has happened since.
      retryOptions: { maxRetries: 0 },
      userAgentOptions: { userAgentPrefix: 'causeway' },
    }
    return {
      network: new NetworkManagementClient(credential, subscription, settings),
      compute: new ComputeManagementClient(credential, subscription, settings),
    }
  }
}

/**
 * By what the environment has: a federated token (workload identity), a client's secret or certificate, else the identity
 * of the machine. Programs that a person may have signed in with are not looked for: a pod has none.
 */
async function chosenCredential(): Promise<TokenCredential> {
  const { EnvironmentCredential, ManagedIdentityCredential, WorkloadIdentityCredential } = await import('./sdk.ts')
  const {
    AZURE_CLIENT_CERTIFICATE_PATH: certificate,
    AZURE_CLIENT_ID: clientId,
    AZURE_CLIENT_SECRET: secret,
    AZURE_FEDERATED_TOKEN_FILE: tokenFile,
  } = process.env
  if (tokenFile) return new WorkloadIdentityCredential()
  if (secret || certificate) return new EnvironmentCredential()
  return clientId ? new ManagedIdentityCredential({ clientId }) : new ManagedIdentityCredential()
}
