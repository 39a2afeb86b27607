/** What others ask of the daemon: CNI requests and the API. Both are there before the datapath is, and wait for it. */
import { join } from 'node:path'
import { addCniRoutes } from './api/cni.ts'
import { addCommandRoutes } from './api/plugin-commands.ts'
import { Router } from './api/router.ts'
import { addNatRoutes } from './api/nat-routes.ts'
import { addServiceRoutes } from './api/service-routes.ts'
import { addTraceRoute } from './api/trace-route.ts'
import { addMonitoringRoutes, addRoutes } from './api/routes.ts'
import type { Status } from './api/status.ts'
import type { SourceProblem } from './cluster/source.ts'
import { serveApi } from './api/server.ts'
import { familiesOf, parseListen, tlsFilesOf } from './config/schema.ts'
import type { Datapath } from './datapath/datapath.ts'
import { createEndpoints, type Endpoints } from './endpoint/endpoints.ts'
import { faultFrom } from './endpoint/kill-at.ts'
import type { Flows } from './flow/flows.ts'
import type { Ground } from './ground.ts'
import { prefixContains, toMapped16 } from './kernel/ip.ts'
import type { Address, Prefix } from './kernel/kernel.ts'
import type { Nat } from './nat/nat.ts'
import { describe } from './observe/describe.ts'
import type { Problem } from './plugin.ts'
import type { HealthChecks } from './service/health-checks.ts'
import type { ServicePlanner } from './service/planner.ts'
import { ipamsOf, requirePool } from './slots.ts'
import type { Tracer } from './trace/tracer.ts'

/** What comes up after the first requests may have come in. */
export interface Upcoming {
  datapath?: Datapath
  flows?: Flows
  nat?: Nat
  tracer?: Tracer
  services?: {
    readonly problems: readonly string[]
    readonly planner: Pick<ServicePlanner, 'contested'>
    readonly healthChecks: Pick<HealthChecks, 'failed'>
  }
  settings?: { readonly problems: readonly SourceProblem[] }
  /** There from the beginning. */
  readonly network: { readonly problems: readonly Problem[] }
}

/** Takes requests until the stack is disposed, which first stops listening, then lets what is under way end. */
export async function takeRequests(ground: Ground, up: Upcoming, stack: AsyncDisposableStack): Promise<Endpoints> {
  const { config, health, log, metrics, plugins, tables } = ground
  requirePool(plugins.slots, config.network.pool, 'network.pool')
  const endpoints = stack.use(createEndpoints(endpointsOptions(ground, up)))
  const router = addCniRoutes(new Router(), endpoints)
  const status = () => statusOf(ground, up)
  addCommandRoutes(router, ground.plugins.slots.commands)
  addServiceRoutes(router, {
    tables,
    nodeName: config.nodeName,
    seed: config.services.maglev.seed,
    affinity: (row, client) => up.datapath?.affinity(row, client),
    datapath: () => up.datapath?.services,
  })
  addNatRoutes(router, { tables, nat: () => up.nat })
  addTraceRoute(router, () => up.tracer)
  addRoutes(router, { health, metrics, status, tables, flows: () => up.flows })
  const apiLog = log.child('api')
  stack.use(await serveApi(ground.claim, router, apiLog))
  const listen = parseListen(config.metrics.listen)
  if (listen !== undefined) {
    const where = { ...listen, tls: tlsFilesOf(config.metrics.tls) }
    stack.use(await serveApi(where, addMonitoringRoutes(new Router(), { health, metrics }), apiLog))
  }
  return endpoints
}

/** All that can be said of the daemon now. */
export function statusOf(ground: Ground, up: Upcoming): Status {
  return describe({
    ...ground,
    datapath: up.datapath,
    services: up.services,
    nat: up.nat,
    network: up.network,
    settings: up.settings,
  })
}

function endpointsOptions(ground: Ground, up: Upcoming): Parameters<typeof createEndpoints>[0] {
  const { config, health, kernel, log, metrics, plugins, tables } = ground
  const datapath = (): Datapath => {
    if (up.datapath === undefined) throw new Error('the datapath has not started')
    return up.datapath
  }
  return {
    kernel,
    tables,
    ipams: ipamsOf(plugins.slots),
    pool: config.network.pool,
    families: familiesOf(config),
    settled: async (key, revision, signal) => {
      await Promise.all([datapath().endpoints.settled(key, revision, signal), admit(ground, datapath(), key, signal)])
    },
    inDatapath: a => a.leases.every(l => up.datapath?.knows(toMapped16(l.address), a.device.index) ?? false),
    blocks: () => datapath().blocks,
    podMtu: () => {
      const { mtu, informed } = datapath()
      return { device: mtu.podDevice, route: mtu.podRoute, provisional: !informed }
    },
    shapers: [...plugins.parts.values()].flatMap(p => (p.links === undefined ? [] : [p.links])),
    journalPath: join(config.paths.state, 'journal'),
    deleteQueuePath: join(config.paths.run, 'deletes'),
    waiting: () => health.report().waiting,
    log: log.child('endpoint'),
    metrics,
    fault: faultFrom(process.env),
  }
}

/** Has the plugins admit a pod, and waits until what they wrote for it is in the kernel. */
async function admit({ plugins, tables }: Ground, datapath: Datapath, key: string, signal: AbortSignal): Promise<void> {
  const pod = tables.endpoints.get(key)
  if (pod === undefined) return
  const nics = [...tables.cloudDevices].filter(({ blocks }) => blocks.some(block => holds(block, pod.addresses)))
  const { revision: waysRevision } = tables.cloudDevices
  await Promise.all(nics.map(({ id }) => datapath.nicWays.settled(id, waysRevision, signal)))
  const admitting = [...plugins.parts.values()].flatMap(parts => parts.admit?.(pod, signal) ?? [])
  if (admitting.length === 0) return
  await Promise.all(admitting)
  const { revision } = tables.egressPaths
  await Promise.all(pod.addresses.map(address => datapath.egressPaths.settled(address, revision, signal)))
}

function holds(block: Prefix, addresses: readonly Address[]): boolean {
  return addresses.some(address => prefixContains(block, address))
}
