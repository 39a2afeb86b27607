/**
 * `healthCheckNodePort`: an HTTP server for each service with an external traffic policy of Local, which tells a load
 * balancer whether this node has endpoints of it. Status, body and header are those of kube-proxy
 * (pkg/proxy/healthcheck/service_health.go).
 */
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { Logger } from '../plugin.ts'
import { type Clock, systemClock } from '../state/clock.ts'
import { eachChange } from '../state/each-change.ts'
import { Nudge } from '../state/nudge.ts'
import type { EndpointSliceRow, ServiceRow } from '../state/service-rows.ts'
import { pause } from '../state/pause.ts'
import type { Follower } from '../state/table.ts'
import type { Tables } from '../state/tables.ts'

const RETRY_MS = 5000
const GATHER_MS = 100

export interface HealthChecksOptions {
  readonly tables: Pick<Tables, 'services' | 'endpointSlices'>
  readonly nodeName: string
  readonly log: Logger
  readonly clock?: Clock
}

/** What is told of one service. */
export interface ServiceHealth {
  readonly port: number
  readonly namespace: string
  readonly name: string
  /** Endpoints of this node that are ready. */
  readonly localEndpoints: number
}

export interface FailedHealthCheck {
  readonly port: number
  readonly namespace: string
  readonly name: string
  /** Why it could not be listened at. */
  readonly failure: string
}

/** Services that are asked about, in the order of their names; of two at one port the first. Pure. */
export function serviceHealth(
  services: Iterable<ServiceRow>,
  slices: Iterable<EndpointSliceRow>,
  nodeName: string,
): ServiceHealth[] {
  const asked = [...services].filter(isAsked).sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
  // A cluster has many slices, and few services that somebody asks about.
  if (asked.length === 0) return []
  const names = new Set(asked.map(service => service.name))
  const local = new Map(asked.map(service => [keyOf(service), new Set<string>()]))
  for (const { namespace, service, endpoints } of slices) {
    const found = names.has(service) ? local.get(`${namespace}/${service}`) : undefined
    if (found === undefined) continue
    for (const { address, ready, nodeName: at } of endpoints) if (ready && at === nodeName) found.add(address)
  }
  const byPort = new Map<number, ServiceHealth>()
  for (const { namespace, name, healthCheckNodePort: port } of asked)
    if (!byPort.has(port))
      byPort.set(port, { port, namespace, name, localEndpoints: local.get(`${namespace}/${name}`)?.size ?? 0 })
  return [...byPort.values()]
}

function isAsked({ type, healthCheckNodePort, externalTrafficPolicy }: ServiceRow): boolean {
  return type === 'LoadBalancer' && healthCheckNodePort !== 0 && externalTrafficPolicy === 'Local'
}

function keyOf({ namespace, name }: ServiceRow): string {
  return `${namespace}/${name}`
}

export class HealthChecks implements AsyncDisposable {
  readonly #options: HealthChecksOptions
  readonly #clock: Clock
  readonly #again = new Nudge()
  readonly #servers = new Map<number, Server>()
  readonly #services: Follower<ServiceRow>
  /** Services that somebody asks about, by their keys. */
  readonly #asked = new Map<string, ServiceRow>()
  #health = new Map<number, ServiceHealth>()
  #cancel = (): void => {}
  /** Services whose port could not be listened at. */
  failed: readonly FailedHealthCheck[] = []

  constructor(options: HealthChecksOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#services = options.tables.services.follow('health checks')
  }

  /** The same in words. */
  get problems(): readonly string[] {
    return this.failed.map(
      ({ namespace, name, port, failure }) => `health check of ${namespace}/${name} at port ${port}: ${failure}`,
    )
  }

  /** Answers until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { services, endpointSlices } = this.#options.tables
    const act = async (): Promise<void> => {
      await this.update()
      // A look at all slices is not for each of a hundred changes a second.
      await pause(this.#clock, GATHER_MS, signal)
    }
    await eachChange([services, endpointSlices, this.#again], act, signal)
  }

  /** Brings servers and answers to what the tables say. */
  async update(): Promise<void> {
    const { tables, nodeName } = this.#options
    const { updated, deleted } = this.#services.take()
    for (const row of deleted) this.#asked.delete(keyOf(row))
    for (const row of updated) {
      if (isAsked(row)) this.#asked.set(keyOf(row), row)
      else this.#asked.delete(keyOf(row))
    }
    const health = serviceHealth(this.#asked.values(), tables.endpointSlices.values(), nodeName)
    this.#health = new Map(health.map(of => [of.port, of]))
    for (const [port, server] of this.#servers) if (!this.#health.has(port)) await this.#close(port, server)
    const failed: FailedHealthCheck[] = []
    for (const { port, namespace, name } of health) {
      const failure = this.#servers.has(port) ? undefined : await this.#listen(port)
      if (failure !== undefined) failed.push({ port, namespace, name, failure })
    }
    this.#report(failed)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancel()
    this.#services[Symbol.dispose]()
    for (const [port, server] of this.#servers) await this.#close(port, server)
  }

  /** Why it could not; undefined when it listens. */
  async #listen(port: number): Promise<string | undefined> {
    const server = createServer(this.#answer(port))
    try {
      server.listen(port)
      await once(server, 'listening')
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      return code ?? message
    }
    server.on('error', error => this.#options.log.warn({ error, port }, 'a health check server failed'))
    this.#servers.set(port, server)
    return undefined
  }

  #answer(port: number): RequestListener {
    return (_request, response) => {
      const { namespace, name, localEndpoints } = this.#health.get(port) ?? { localEndpoints: 0 }
      response.writeHead(localEndpoints > 0 ? 200 : 503, {
        'content-type': 'application/json',
        'x-content-type-options': 'nosniff',
        'x-load-balancing-endpoint-weight': `${localEndpoints}`,
      })
      response.end(`${JSON.stringify({ service: { namespace, name }, localEndpoints, serviceProxyHealthy: true })}\n`)
    }
  }

  async #close(port: number, server: Server): Promise<void> {
    this.#servers.delete(port)
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }

  #report(failed: readonly FailedHealthCheck[]): void {
    const before = this.problems
    this.failed = failed
    for (const problem of this.problems)
      if (!before.includes(problem)) this.#options.log.warn({ problem }, 'load balancers cannot ask for a service here')
    this.#cancel()
    this.#cancel = failed.length === 0 ? () => {} : this.#clock.after(RETRY_MS, () => this.#again.nudge())
  }
}
