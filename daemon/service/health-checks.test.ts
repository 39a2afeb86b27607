import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import { PLAIN_ENDPOINT, PLAIN_SERVICE } from '../../test/support/service-row.ts'
import type { EndpointSliceRow, ServiceRow } from '../state/service-rows.ts'
import { createTables, type Tables } from '../state/tables.ts'
import { HealthChecks, serviceHealth } from './health-checks.ts'

function service(name: string, healthCheckNodePort: number): ServiceRow {
  return {
    ...PLAIN_SERVICE,
    name,
    type: 'LoadBalancer',
    clusterIPs: ['10.96.0.1'],
    externalTrafficPolicy: 'Local',
    healthCheckNodePort,
  }
}

/** Endpoints as `ADDRESS NODE`, with ` gone` when it is not ready. */
function slice(name: string, of: string, ...endpoints: readonly string[]): EndpointSliceRow {
  return {
    namespace: 'default',
    name,
    service: of,
    ports: [],
    weight: 1,
    endpoints: endpoints.map(text => {
      const [address = '', nodeName = '', gone] = text.split(' ')
      const ready = gone === undefined
      return { ...PLAIN_ENDPOINT, address, ready, serving: ready, nodeName }
    }),
  }
}

test('endpoints of the node that are ready are counted once each, over all slices', () => {
  const slices = [
    slice('a', 'web', '10.1.0.1 here', '10.1.0.2 there', '10.1.0.3 here gone'),
    slice('b', 'web', '10.1.0.1 here', '10.1.0.4 here'),
    slice('c', 'other', '10.1.0.5 here'),
  ]
  assert.deepEqual(serviceHealth([service('web', 30_000)], slices, 'here'), [
    { port: 30_000, namespace: 'default', name: 'web', localEndpoints: 2 },
  ])
})

test('only load balancers with a policy of Local are asked about, and of two at one port the first by name', () => {
  const services: ServiceRow[] = [
    service('b', 30_000),
    service('a', 30_000),
    service('none', 0),
    { ...service('cluster', 30_001), externalTrafficPolicy: 'Cluster' },
    { ...service('port', 30_002), type: 'NodePort' },
  ]
  assert.deepEqual(
    serviceHealth(services, [], 'here').map(({ name }) => name),
    ['a'],
  )
})

interface Checked extends AsyncDisposable {
  readonly tables: Tables
  readonly checks: HealthChecks
  readonly log: FakeLog
  readonly clock: FakeClock
}

function checked(): Checked {
  const tables = createTables()
  const log = new FakeLog()
  const clock = new FakeClock()
  const checks = new HealthChecks({ tables, nodeName: 'here', log, clock })
  return { tables, checks, log, clock, [Symbol.asyncDispose]: () => checks[Symbol.asyncDispose]() }
}

/** A port that nobody is at. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

const ask = async (port: number): Promise<unknown[]> => {
  const answer = await fetch(`http://127.0.0.1:${port}/healthz`)
  return [answer.status, answer.headers.get('x-load-balancing-endpoint-weight'), await answer.json()]
}

test('a load balancer is told how many endpoints the node has, as they come and go, until the service goes', async () => {
  await using at = checked()
  const port = await freePort()
  at.tables.services.put(service('web', port))
  await at.checks.update()
  const body = (localEndpoints: number) => ({
    service: { namespace: 'default', name: 'web' },
    localEndpoints,
    serviceProxyHealthy: true,
  })
  assert.deepEqual(await ask(port), [503, '0', body(0)])
  at.tables.endpointSlices.put(slice('s', 'web', '10.1.0.1 here', '10.1.0.2 here'))
  await at.checks.update()
  assert.deepEqual(await ask(port), [200, '2', body(2)])
  at.tables.services.delete('default/web')
  await at.checks.update()
  await assert.rejects(ask(port), { message: 'fetch failed' })
})

test('a port that somebody else has is told once, and tried again until it is free', async () => {
  await using at = checked()
  const port = await freePort()
  const other = createServer().listen(port)
  await once(other, 'listening')
  at.tables.services.put(service('web', port))
  const stop = new AbortController()
  const running = at.checks.run(stop.signal)
  await at.clock.advance(1)
  for (let i = 0; i < 50 && at.checks.problems.length === 0; i++) await new Promise(setImmediate)
  assert.deepEqual(at.checks.problems, [`health check of default/web at port ${port}: EADDRINUSE`])
  assert.equal(at.log.lines.length, 1)
  other.close()
  await once(other, 'close')
  await at.clock.advance(5000)
  for (let i = 0; i < 50 && at.checks.problems.length > 0; i++) await new Promise(setImmediate)
  assert.deepEqual(at.checks.problems, [])
  assert.equal((await ask(port))[0], 503)
  stop.abort()
  await running
})
