/** The operator, built by hand in the order it starts: a client of the API server, an election, and what the elected does. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Refusal } from './cluster-side.ts'
import { ApiError, Router } from './api/router.ts'
import { addMonitoringRoutes } from './api/routes.ts'
import { serveApi } from './api/server.ts'
import type { ApiClient } from './cluster/kubernetes/client.ts'
import { connectApi } from './cluster/kubernetes/connect.ts'
import { apiMetrics } from './cluster/kubernetes/metrics.ts'
import type { SourceProblem } from './cluster/source.ts'
import type { Config } from './config/load.ts'
import { parseListen, tlsFilesOf } from './config/schema.ts'
import { ConfigError } from './errors.ts'
import { Jobs } from './jobs.ts'
import { giveBackWhenQuiet, keepMemorySmall } from './memory.ts'
import { buildInfo } from './observe/build.ts'
import { exposeHealth, Health } from './observe/health.ts'
import { createLogger, type RootLogger } from './observe/log.ts'
import { createMetrics } from './observe/metrics.ts'
import { cloudOf } from './operator-clouds.ts'
import { cloudMetrics } from './operator/cloud/metrics.ts'
import { Election } from './operator/election.ts'
import { Leadership } from './operator/lead.ts'
import { operatorMetrics } from './operator/metrics.ts'
import { Rights } from './operator/rights.ts'
import { operatorStatus } from './operator/status.ts'
import { systemClock } from './state/clock.ts'

/**
 * Runs until the signal aborts or something fails for good. Throws what failed, ConfigError among it. `refusal` says
 * what daemons would say of settings of nodes.
 */
export async function runOperator(config: Config, refusal: Refusal, signal: AbortSignal): Promise<void> {
  keepMemorySmall()
  if (config.cluster.source !== 'kubernetes')
    throw new ConfigError('cluster.source', 'the operator works on an API server; allowed: kubernetes')
  await using stack = new AsyncDisposableStack()
  const build = buildInfo()
  const log = createLogger(config.logLevel)
  const metrics = createMetrics(build)
  const counted = apiMetrics(metrics)
  const identity = `${hostname()}_${randomUUID()}`
  const settings = config.cluster.kubernetes
  const { client } = stack.use(await connectApi({ settings, build, log: log.child('cluster'), metrics: counted }))
  const cloud = cloudOf(config)
  const { election, rights } = candidacy(config, { client, identity, log })
  let leadership: Leadership | undefined
  const problems = (): readonly SourceProblem[] => [...rights.problems, ...(leadership?.problems() ?? [])]
  operatorMetrics(metrics, {
    leading: () => election.leading,
    uses: () => leadership?.uses() ?? [],
    problems,
    policies: () => leadership?.tables.policies.size ?? 0,
  })
  const meter = cloudMetrics(metrics, () => leadership?.addresses?.figures())
  const health = new Health()
  health.ask('leader', () => (election.holder === '' ? 'nobody leads, or the API server does not answer' : undefined))
  exposeHealth(metrics, health)
  const router = addMonitoringRoutes(new Router(), { health, metrics }).add('GET', '/v1/status', () => ({
    json: operatorStatus({ build, identity, election, leadership, problems: problems() }),
  }))
  router.add('GET', '/v1/ipam', () => ({ json: leadership?.addresses?.status() ?? refuseIpam(election) }))
  const listen = parseListen(config.operator.listen)
  if (listen !== undefined)
    stack.use(await serveApi({ ...listen, tls: tlsFilesOf(config.metrics.tls) }, router, log.child('api')))
  log.info({ identity, version: build.version }, 'the operator runs')
  const jobs = stack.use(new Jobs())
  jobs.run('rights', until => rights.run(until))
  jobs.run('memory', until => giveBackWhenQuiet(log.child('memory'), until))
  const lead = async (until: AbortSignal): Promise<void> => {
    const idleMs = settings.idleSeconds * 1000
    const common = { client, log, clock: systemClock, idleMs, metrics: counted }
    leadership = new Leadership({
      ...common,
      identity,
      refusal,
      cloud,
      meter,
      certain: () => election.certain,
      taintEmpty: config.operator.taintWithoutAddresses,
    })
    await leadership.run(until).finally(() => {
      leadership = undefined
    })
  }
  try {
    await election.run(lead, signal)
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error
  }
}

/** The operator among others: whether it leads, and whether it may do what it does then. */
function candidacy(
  { operator: { namespace, lease } }: Config,
  { client, identity, log }: { readonly client: ApiClient; readonly identity: string; readonly log: RootLogger },
): { readonly election: Election; readonly rights: Rights } {
  const clock = systemClock
  const election = new Election({
    client,
    namespace,
    lease: lease.name,
    identity,
    leaseMs: lease.durationSeconds * 1000,
    renewMs: lease.renewSeconds * 1000,
    retryMs: lease.retrySeconds * 1000,
    log: log.child('election'),
    clock,
  })
  const rights = new Rights({ client, lease: { namespace, name: lease.name }, log: log.child('rights'), clock })
  return { election, rights }
}

/** Only who leads knows, where there is something to know. */
function refuseIpam({ leading, holder }: Election): never {
  if (leading) throw new ApiError(404, 'NO_CLOUD', 'pods get no addresses of a cloud: no plugin of one is enabled')
  throw new ApiError(
    404,
    'NOT_LEADING',
    `this operator does not lead; ${holder === '' ? 'none does' : `${holder} does`}`,
  )
}
