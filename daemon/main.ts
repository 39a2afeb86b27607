/**
 * The daemon, built by hand in the order it starts. What is started later is stopped earlier; stopping takes nothing
 * down that carries traffic.
 */
import { plugins } from '../plugins/index.ts'
import { abortable } from './abort.ts'
import { type Refusal, speakToCluster } from './cluster-side.ts'
import { NetworkClaim } from './api/network-claim.ts'
import type { Config } from './config/load.ts'
import { familiesOf } from './config/schema.ts'
import { Datapath } from './datapath/datapath.ts'
import { readEgressFlows } from './datapath/egress-flows.ts'
import { OBJECT_DIRECTORY } from './datapath/objects.ts'
import type { Endpoints } from './endpoint/endpoints.ts'
import { exposeCounters } from './flow/counters.ts'
import { createFlows, type Flows } from './flow/flows.ts'
import { type Ground, layGround } from './ground.ts'
import { Jobs } from './jobs.ts'
import { boundSockets } from './kernel/netlink/sock-diag.ts'
import { OWN_NETNS } from './kernel/netns/netns-file.ts'
import { exposeNat } from './nat/figures.ts'
import { Nat } from './nat/nat.ts'
import { giveBackNow, giveBackWhenQuiet, keepMemorySmall } from './memory.ts'
import { announceWhenReady } from './readiness.ts'
import { rehearse } from './rehearsal.ts'
import { takeRequests, type Upcoming } from './requests.ts'
import { HealthChecks } from './service/health-checks.ts'
import { balancingOf } from './service/balancing.ts'
import { ServicePlanner } from './service/planner.ts'
import { Tracer } from './trace/tracer.ts'

export { plugins }

/**
 * Runs until the signal aborts, other settings are to be used or something fails for good, then stops within seconds.
 * Throws what failed.
 */
export async function runDaemon(
  config: Config,
  signal: AbortSignal,
  refusal: Refusal = () => Promise.resolve(undefined),
): Promise<'stopped' | 'changed'> {
  keepMemorySmall()
  // Left in reverse: requests end while everything that serves them, the datapath's loops above all, still runs.
  await using base = new AsyncDisposableStack()
  await using requests = new AsyncDisposableStack()
  try {
    const ground = await layGround(config, plugins, base, signal)
    const network = networkClaimOf(ground)
    const up: Upcoming = { network }
    const endpoints = await takeRequests(ground, up, requests)
    const services = base.use(servicesOf(ground))
    up.services = services
    up.datapath = base.use(await startDatapath(ground, endpoints))
    up.nat = natOf(ground, up.datapath)
    up.flows = base.use(flowsOf(ground, up.datapath, up.nat))
    up.tracer = base.use(tracerOf(ground, up.datapath))
    const jobs = base.use(startLoops(ground, { datapath: up.datapath, nat: up.nat, services }))
    const failed = Promise.race([jobs.failed, ground.plugins.failed])
    await abortable(Promise.race([takeOver(ground, endpoints, signal), failed]), signal)
    giveBackNow()
    jobs.run('readiness', stop => announceWhenReady(readinessOf(ground, network), stop))
    jobs.run('network configurations', stop => network.run(stop))
    jobs.run('memory', stop => giveBackWhenQuiet(ground.log.child('memory'), stop))
    ground.log.info({ version: ground.build.version, node: config.nodeName }, 'the daemon runs')
    const side = ground.api && speakToCluster(ground, ground.api, { up, endpoints, refusal }, jobs)
    return await abortable(Promise.race([failed, ...(side ? [side.changed] : [])]), signal)
  } catch (error) {
    // To be told to stop is no failure, at whatever point of the start it comes.
    if (!signal.aborted || error !== signal.reason) throw error
    return 'stopped'
  }
}

function startDatapath(ground: Ground, endpoints: Endpoints): Promise<Datapath> {
  const { config, kernel, tables, log, metrics, plugins: running } = ground
  return Datapath.start({
    settings: config,
    kernel,
    tables,
    cloud: ground.cloud,
    log: log.child('datapath'),
    metrics,
    objects: OBJECT_DIRECTORY,
    constants: Object.fromEntries([...running.slots.constants].map(([name, { part }]) => [name, part])),
    overlay: [...running.parts.values()].some(parts => parts.datapath?.overlay === true),
    encryptionOverhead: running.slots.encryption?.part.overheadBytes ?? 0,
    onPodMtu: () =>
      void endpoints.remtu().catch((error: unknown) => log.error({ error }, 'pods could not follow the MTU')),
    onRoutes: () => void endpoints.repair(),
  })
}

interface Services extends AsyncDisposable {
  readonly planner: ServicePlanner
  readonly healthChecks: HealthChecks
  /** What cannot be served as the cluster asks. */
  readonly problems: readonly string[]
}

function servicesOf({ tables, config: { nodeName, services }, log }: Ground): Services {
  const stack = new AsyncDisposableStack()
  const planner = stack.use(new ServicePlanner({ tables, nodeName, balancing: balancingOf(services) }))
  const healthChecks = stack.use(new HealthChecks({ tables, nodeName, log: log.child('services') }))
  return {
    planner,
    healthChecks,
    get problems() {
      return [...planner.problems, ...healthChecks.problems]
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

function natOf({ tables, metrics, log, plugins: running }: Ground, datapath: Datapath): Nat {
  const isOn = (constant: string): boolean => Number(running.slots.constants.get(constant)?.part ?? 0) !== 0
  const nat = new Nat({
    masquerade: isOn('masquerade_flags') || isOn('egress_gateway'),
    flows: visit => datapath.use(set => readEgressFlows(set, visit)),
    sockets: () => boundSockets(OWN_NETNS),
    tables,
    log: log.child('nat'),
  })
  exposeNat(metrics, () => nat.summary())
  return nat
}

function flowsOf({ tables, config, kernel, metrics }: Ground, datapath: Datapath, nat: Nat): Flows {
  exposeCounters(metrics, () => datapath.counters())
  return createFlows({
    records: handler =>
      datapath.events(record => {
        nat.see(record)
        handler(record)
      }),
    tables,
    nodeName: config.nodeName,
    linkName: index => kernel.net.link(index)?.name,
  })
}

function tracerOf({ tables, config, kernel }: Ground, datapath: Datapath): Tracer {
  return new Tracer({
    tables,
    nodeName: config.nodeName,
    net: kernel.net,
    objects: OBJECT_DIRECTORY,
    sockets: config.services.socket,
    use: work => datapath.use(work),
  })
}

/** Every writer of the tables has declared itself by now: from here on leftovers may be pruned. */
function startLoops(
  { plugins: running, source, conditions }: Ground,
  { datapath, nat, services }: { readonly datapath: Datapath; readonly nat: Nat; readonly services: Services },
): Jobs {
  const jobs = new Jobs()
  running.start()
  jobs.run('services', stop => services.planner.run(stop))
  jobs.run('health checks of services', stop => services.healthChecks.run(stop))
  jobs.run('the use of ports', stop => nat.run(stop))
  jobs.run('the datapath', stop => datapath.run(stop))
  jobs.run(`cluster source ${source.name}`, stop => source.run(stop))
  conditions.datapath.pass()
  return jobs
}

/** The pods that outlived the last daemon become this one's. */
async function takeOver(ground: Ground, endpoints: Endpoints, signal: AbortSignal): Promise<void> {
  const { config, conditions, kernel, log, claim } = ground
  await endpoints.restore()
  conditions.pods.pass()
  const rehearsal = { kernel, families: familiesOf(config), socketPath: claim.path, log: log.child('rehearsal') }
  await rehearse(rehearsal, signal)
}

function networkClaimOf({ config: { paths, cni }, log }: Ground): NetworkClaim {
  const { confName: own, exclusive } = cni
  return new NetworkClaim({ directory: paths.cniConf, own, exclusive, log: log.child('cni') })
}

function readinessOf({ config, tables, conditions, log }: Ground, claim: NetworkClaim) {
  return { config, nodes: tables.nodes, ownNode: conditions.node, claim, log: log.child('cni') }
}
