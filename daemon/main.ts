/**
 * The daemon, built by hand in the order it starts. What is started later is stopped earlier; stopping takes nothing
 * down that carries traffic.
 */
import { join } from 'node:path'
import { plugins as ownPlugins } from '../plugins/index.ts'
import { chainedVersions } from './api/chained-versions.ts'
import { addCniRoutes } from './api/cni.ts'
import { CNI_VERSIONS, renderConflist, writeConflist } from './api/conflist.ts'
import { addMonitoringRoutes, addRoutes } from './api/routes.ts'
import type { Status } from './api/status.ts'
import { Router } from './api/router.ts'
import { serveApi } from './api/server.ts'
import { createDirectorySource } from './cluster/directory/source.ts'
import { exposeSource } from './cluster/source.ts'
import type { Config } from './config/load.ts'
import { parseListen } from './config/schema.ts'
import { Datapath } from './datapath/datapath.ts'
import { OBJECTS } from './datapath/objects.ts'
import { createEndpoints, type Endpoints } from './endpoint/endpoints.ts'
import { faultFrom } from './endpoint/kill-at.ts'
import { exposeCounters } from './flow/counters.ts'
import { createFlows, type Flows } from './flow/flows.ts'
import { toMapped16 } from './kernel/ip.ts'
import type { Family } from './kernel/kernel.ts'
import { LinuxKernel } from './kernel/linux.ts'
import { warmThreadPool } from './kernel/netns/thread-pool.ts'
import { loadOutsidePlugins } from './outside-plugin.ts'
import { describe } from './observe/describe.ts'
import { buildInfo } from './observe/build.ts'
import { Health } from './observe/health.ts'
import { createLogger } from './observe/log.ts'
import { createMetrics } from './observe/metrics.ts'
import type { Logger } from './plugin.ts'
import { rehearse } from './rehearsal.ts'
import { enabledPlugins, setUpPlugins } from './run.ts'
import { ipamsOf } from './slots.ts'
import { createTables } from './state/tables.ts'

export { plugins } from '../plugins/index.ts'

const STOPPING = new Error('the daemon is stopping')

/** Runs until the signal aborts or something fails for good, then stops within seconds. Throws what failed. */
export async function runDaemon(config: Config, signal: AbortSignal): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const build = buildInfo()
  const log = createLogger(config.logLevel)
  const metrics = createMetrics(build)
  const health = new Health()
  const tables = createTables()
  const startedMs = Date.now()
  const stop = new AbortController()
  const failed = Promise.withResolvers<never>()
  failed.promise.catch(() => undefined)
  const run = (name: string, job: Promise<void>): void => {
    // Jobs end by the signal, so whoever waits for one gives it first.
    stack.defer(() => (stop.abort(STOPPING), job.catch(() => undefined)))
    job.catch((cause: unknown) =>
      failed.reject(new Error(`${name} stopped: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })),
    )
  }

  // Before anything enters another namespace: threads born meanwhile would stay there.
  await warmThreadPool()
  const kernel = stack.use(new LinuxKernel())
  const source = createDirectorySource({ directory: config.cluster.directory, tables, log: log.child('cluster') })
  exposeSource(metrics, source)
  const plugins = stack.use(
    await setUpPlugins({
      plugins: [
        ...enabledPlugins(ownPlugins, config.sections),
        ...(await loadOutsidePlugins(config.plugins, config.file)),
      ],
      hostFor: name => ({ log: log.child(name), metrics, kernel, tables, nodeName: config.nodeName }),
    }),
  )
  const ready = {
    datapath: health.condition('datapath'),
    pods: health.condition('pods of before'),
    node: health.condition('own Node object'),
  }

  // Requests are taken from now on and wait for what they need within their own deadline.
  let datapath: Datapath | undefined
  const endpoints: Endpoints = createEndpoints({
    kernel,
    tables,
    ipams: ipamsOf(plugins.slots),
    families: familiesOf(config),
    settled: (key, revision, wait) => started(datapath).endpoints.settled(key, revision, wait),
    inDatapath: a => a.leases.every(l => datapath?.knows(toMapped16(l.address), a.device.index) ?? false),
    blocks: () => started(datapath).blocks,
    podMtu: () => {
      const { mtu, informed } = started(datapath)
      return { device: mtu.podDevice, route: mtu.podRoute, provisional: !informed }
    },
    shapers: [...plugins.parts.values()].flatMap(p => (p.links === undefined ? [] : [p.links])),
    journalPath: join(config.paths.state, 'journal'),
    deleteQueuePath: join(config.paths.run, 'deletes'),
    waiting: () => health.report().waiting,
    log: log.child('endpoint'),
    metrics,
    fault: faultFrom(process.env),
  })
  stack.use(endpoints)
  const router = new Router()
  addCniRoutes(router, endpoints)
  let flows: Flows | undefined
  const status = (): Status => describe({ config, build, kernel, startedMs, health, plugins, tables, source, datapath })
  addRoutes(router, { health, metrics, status, tables, flows: () => flows })
  stack.use(await serveApi({ runDirectory: config.paths.run }, router, log.child('api')))
  const listen = parseListen(config.metrics.listen)
  if (listen !== undefined) {
    stack.use(await serveApi(listen, addMonitoringRoutes(new Router(), { health, metrics }), log.child('api')))
  }

  datapath = stack.use(
    await Datapath.start({
      settings: config,
      kernel,
      tables,
      log: log.child('datapath'),
      metrics,
      objects: OBJECTS,
      constants: Object.assign({}, ...[...plugins.parts.values()].map(p => p.datapath?.config ?? {})) as Record<
        string,
        number
      >,
      encryptionOverhead: plugins.slots.encryption?.part.overheadBytes ?? 0,
      onPodMtu: () =>
        void endpoints.remtu().catch((error: unknown) => log.error({ error }, 'pods could not follow the MTU')),
      onRoutes: () => void endpoints.repair(),
    }),
  )
  const up = datapath
  flows = stack.use(createFlows({ records: handler => up.events(handler), tables, nodeName: config.nodeName }))
  exposeCounters(metrics, () => up.counters())
  plugins.start()
  run('the datapath', datapath.run(stop.signal))
  run(`cluster source ${source.name}`, source.run(stop.signal))
  ready.datapath.pass()
  await Promise.race([endpoints.restore(), failed.promise, plugins.failed])
  ready.pods.pass()
  const socketPath = join(config.paths.run, 'api.sock')
  await rehearse({ kernel, families: familiesOf(config), socketPath, log: log.child('rehearsal') })
  run('readiness', whenReady(config, tables.nodes, ready.node, log.child('cni'), stop.signal))
  log.info({ version: build.version, node: config.nodeName }, 'the daemon runs')
  await Promise.race([failed.promise, plugins.failed, aborted(signal)])
}

/** Waits for this node's own object, then tells the runtime that pods can be started. */
async function whenReady(
  config: Config,
  nodes: ReturnType<typeof createTables>['nodes'],
  condition: ReturnType<Health['condition']>,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  while (nodes.get(config.nodeName) === undefined && !signal.aborted) {
    condition.fail(`the cluster source has no Node named ${config.nodeName}`)
    await Promise.race([nodes.changed(), aborted(signal)])
  }
  if (signal.aborted) return
  condition.pass()
  if (config.cni.writeConf) await announceNetwork(config, log)
}

/** The network configuration is the runtime's sign that pods can be started. */
async function announceNetwork({ network, paths, cni }: Config, log: Logger): Promise<void> {
  const types = cni.chained.map(plugin => plugin.type)
  const text = renderConflist({
    network: network.name,
    socket: join(paths.run, 'api.sock'),
    deleteQueue: join(paths.run, 'deletes'),
    addTimeoutMs: cni.addTimeoutMs,
    chained: cni.chained as readonly Readonly<Record<string, unknown>>[],
    versions: await chainedVersions({ binDirectory: paths.cniBin, types, own: CNI_VERSIONS, log }),
  })
  await writeConflist(paths.cniConf, cni.confName, text)
}

function started(datapath: Datapath | undefined): Datapath {
  if (datapath === undefined) throw new Error('the datapath has not started')
  return datapath
}

function familiesOf(config: Config): readonly Family[] {
  return config.families.map(f => (f === 'ipv4' ? 4 : 6))
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
