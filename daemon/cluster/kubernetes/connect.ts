/** A client of the API server as the configuration describes it, counted in metrics. */
import type { BuildInfo } from '../../observe/build.ts'
import type { Logger } from '../../plugin.ts'
import { ApiClient } from './client.ts'
import { ApiConnection } from './connection.ts'
import { type ApiSettings, credentialsOf } from './credentials.ts'
import type { ApiMetrics } from './metrics.ts'

export interface ConnectOptions {
  readonly settings: ApiSettings
  readonly build: BuildInfo
  readonly log: Logger
  readonly metrics: Pick<ApiMetrics, 'requested'>
}

export interface ApiAccess extends Disposable {
  readonly client: ApiClient
}

/** Reads the credentials; connects when something is asked. Throws ConfigError. */
export async function connectApi({ settings, build, log, metrics }: ConnectOptions): Promise<ApiAccess> {
  const credentials = await credentialsOf(settings, process.env)
  const connection = new ApiConnection({ credentials, log, userAgent: `causeway/${build.version}` })
  const client = new ApiClient(connection, ({ method }, status) => metrics.requested(method, status))
  return { client, [Symbol.dispose]: () => connection[Symbol.dispose]() }
}
