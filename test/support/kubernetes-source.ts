/** The kubernetes source as the daemon runs it, against an API server of a test's own. */
import { setTimeout as delay } from 'node:timers/promises'
import { definitionOf, KINDS } from '../../daemon/cluster/kinds/definitions.ts'
import { ApiClient } from '../../daemon/cluster/kubernetes/client.ts'
import { ApiConnection } from '../../daemon/cluster/kubernetes/connection.ts'
import { KnownCluster } from '../../daemon/cluster/kubernetes/known-cluster.ts'
import { createKubernetesSource } from '../../daemon/cluster/kubernetes/source.ts'
import { systemClock } from '../../daemon/state/clock.ts'
import { createTables, type Tables } from '../../daemon/state/tables.ts'
import type { ApiServerOptions } from '../../deploy/lab/api-server/server.ts'
import { type TestApi, startTestApi } from './api-server.ts'
import { FakeLog } from './fake-log.ts'

export interface SourceWorld extends RunningSource {
  readonly api: TestApi
  readonly tables: Tables
}

export interface SourceWorldOptions extends ApiServerOptions {
  readonly tables?: Tables
  readonly nodeName?: string
  /** Of whom the source is; the administrator unless given. */
  readonly token?: (api: TestApi) => string
  readonly idleMs?: number
  /** Servers that are tried before the real one. */
  readonly before?: readonly string[]
  /** Where what is known is kept; nowhere unless given. */
  readonly folder?: string
  readonly bootId?: string
  /** Another world's server in place of one of its own. */
  readonly api?: TestApi
  /** Without the definitions of the own kinds. */
  readonly bare?: boolean
}

/** A client of the daemon's for a server. */
export function clientOf(api: TestApi, { token, before = [] }: Pick<SourceWorldOptions, 'token' | 'before'> = {}) {
  const bearer = token?.(api) ?? api.server.adminToken
  const log = new FakeLog()
  const connection = new ApiConnection({
    credentials: {
      servers: [...before, api.server.url].map(url => new URL(url)),
      tls: () => Promise.resolve({ ca: api.server.ca }),
      headers: () => Promise.resolve({ authorization: `Bearer ${bearer}` }),
    },
    log,
    userAgent: 'test',
    pingAfterMs: 300,
    pingTimeoutMs: 300,
    connectTimeoutMs: 500,
  })
  return { client: new ApiClient(connection), connection, log }
}

/** An API server that knows the own kinds. */
export async function startOwnApi(options: ApiServerOptions & { readonly bare?: boolean } = {}): Promise<TestApi> {
  const api = insistent(await startTestApi(options))
  if (options.bare !== true)
    for (const kind of KINDS)
      await api.admin.create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', definitionOf(kind))
  return api
}

/** The administrator asks again where a test has cut its connection together with all others. */
function insistent(api: TestApi): TestApi {
  const { admin } = api
  const request = admin.request.bind(admin)
  admin.request = async (...args) => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await request(...args)
      } catch (error) {
        if (attempt === 5) throw error
        await delay(20 * attempt)
      }
    }
  }
  return api
}

/** Server and source; the source runs until it is disposed of. */
export async function startSource(options: SourceWorldOptions = {}): Promise<SourceWorld> {
  await using stack = new AsyncDisposableStack()
  const api = options.api ?? stack.use(await startOwnApi(options))
  const tables = options.tables ?? createTables()
  const running = stack.use(runSource(api, tables, options.nodeName ?? 'n1', options))
  const owned = stack.move()
  return { ...running, api, tables, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

export interface RunningSource extends AsyncDisposable {
  readonly client: ApiClient
  readonly source: ReturnType<typeof createKubernetesSource>
  readonly log: FakeLog
  readonly restarts: string[]
}

/** The source of a node, until it is disposed of. */
export function runSource(
  api: TestApi,
  tables: Tables,
  nodeName: string,
  options: Pick<SourceWorldOptions, 'token' | 'before' | 'idleMs' | 'folder' | 'bootId'> = {},
): RunningSource {
  const { client, connection, log } = clientOf(api, options)
  const restarts: string[] = []
  const kept = {
    folder: options.folder ?? '',
    nodeName,
    bootId: options.bootId ?? 'this',
    tables,
    log,
    clock: systemClock,
  }
  const source = createKubernetesSource({
    client,
    ...(options.folder !== undefined && { known: new KnownCluster(kept) }),
    nodeName,
    tables,
    log,
    clock: systemClock,
    idleMs: options.idleMs ?? 30_000,
    metrics: { received: () => undefined, restarted: (resource, reason) => restarts.push(`${resource} ${reason}`) },
  })
  const stop = new AbortController()
  const running = source.run(stop.signal)
  const dispose = async (): Promise<void> => {
    stop.abort()
    await running
    connection[Symbol.dispose]()
  }
  return { client, source, log, restarts, [Symbol.asyncDispose]: dispose }
}
