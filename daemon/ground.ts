/** What every part of the daemon stands on: the right to be this node's daemon, the kernel, the tables, the plugins. */
import { requireCapabilities } from './capabilities.ts'
import { claimSocket, type SocketClaim } from './api/socket.ts'
import { type CloudFinding, findCloud, machineCloud } from './cloud.ts'
import { type ApiSide, createSource } from './cluster/create-source.ts'
import { type ClusterSource, exposeSource } from './cluster/source.ts'
import type { Config } from './config/load.ts'
import { familiesOf } from './config/schema.ts'
import { RESTORING } from './endpoint/endpoints.ts'
import { LinuxKernel } from './kernel/linux.ts'
import { warmThreadPool } from './kernel/netns/thread-pool.ts'
import { loadPlugins } from './load-plugins.ts'
import { type BuildInfo, buildInfo } from './observe/build.ts'
import { type Condition, exposeHealth, Health } from './observe/health.ts'
import { createLogger, type RootLogger } from './observe/log.ts'
import { createMetrics, type MetricsRegistry } from './observe/metrics.ts'
import type { Plugin } from './plugin.ts'
import { exposePolicies } from './policy/not-enforced.ts'
import { type RunningPlugins, setUpPlugins } from './run.ts'
import { createTables, type Tables } from './state/tables.ts'

export interface Ground {
  readonly config: Config
  readonly build: BuildInfo
  /** Unix time. */
  readonly startedMs: number
  /** The run directory is this daemon's. */
  readonly claim: SocketClaim
  readonly log: RootLogger
  readonly metrics: MetricsRegistry
  readonly health: Health
  /** What must hold before the node is ready. */
  readonly conditions: { readonly datapath: Condition; readonly pods: Condition; readonly node: Condition }
  readonly tables: Tables
  readonly kernel: LinuxKernel
  /** Of this machine, as far as it is known by now. */
  readonly cloud: () => CloudFinding
  readonly source: ClusterSource
  /** Absent where the source is a directory. */
  readonly api?: ApiSide
  readonly plugins: RunningPlugins
}

/** Everything acquired is left to the stack, also when this throws: what a plugin, the kernel or ApiInUse says. */
export async function layGround(
  config: Config,
  ownPlugins: readonly Plugin[],
  stack: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<Ground> {
  const startedMs = Date.now()
  requireCapabilities()
  const build = buildInfo()
  const log = createLogger(config.logLevel)
  const metrics = createMetrics(build)
  const health = new Health()
  const conditions = {
    datapath: health.condition('datapath'),
    pods: health.condition(RESTORING),
    node: health.condition('own Node object'),
  }
  const tables = createTables()
  // Given back last: nobody else may be this node's daemon while anything of this one still works.
  const claim = stack.use(claimSocket(config.paths.run))
  // Before anything enters another namespace: threads born meanwhile would stay there.
  await warmThreadPool()
  const kernel = stack.use(new LinuxKernel({ sysctls: config.paths.sysctl }))
  const { source, api } = await createSource(
    { config, bootId: kernel.bootId, build, tables, log: log.child('cluster'), metrics },
    stack,
  )
  exposeSource(metrics, source)
  exposePolicies(metrics, tables)
  exposeHealth(metrics, health)
  health.ask('cluster source', () => source.waitingFor())
  const enabled = await loadPlugins(config, ownPlugins, { signal })
  const offered = { metrics, kernel, tables, nodeName: config.nodeName, families: familiesOf(config) }
  const hostFor = (name: string) => ({ ...offered, log: log.child(name) })
  const plugins = stack.use(await setUpPlugins({ plugins: enabled, hostFor, signal }))
  const machine = machineCloud()
  const cloud = () => findCloud(config.cloud, tables.nodes.get(config.nodeName), machine)
  const common = { config, build, startedMs, claim, log, metrics, health, conditions, tables, kernel, source, plugins }
  const parts = { ...common, cloud }
  return api === undefined ? parts : { ...parts, api }
}
