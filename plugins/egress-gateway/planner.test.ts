import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointRow } from '../../test/support/endpoint-row.ts'
import type { Health } from './health.ts'
import { createTables } from '../../daemon/state/tables.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import { FakeMetrics } from '../../test/support/fake-metrics.ts'
import { Planner } from './planner.ts'
import { held, node, policy } from './testdata.ts'

const GATE = { egress: 'yes' }

/** A planner of a node with so many pods, of which the last daemon knew, and gateways that answer unless they are silent. */
function start(pods: number, ...silentAtFirst: readonly string[]) {
  const tables = createTables()
  const clock = new FakeClock()
  const silent = new Set(silentAtFirst)
  const metrics = new FakeMetrics()
  const log = new FakeLog()
  const planner = new Planner({
    tables,
    nodeName: 'node1',
    metrics,
    log,
    clock,
    probeIntervalMs: 300,
    probeTimeoutMs: 400,
    probes: 3,
    labelsWaitMs: 0,
    ask: (address, timeoutMs) => {
      const { promise, resolve } = Promise.withResolvers<boolean>()
      clock.after(silent.has(address) ? timeoutMs : 1, () => resolve(!silent.has(address)))
      return promise
    },
  })
  tables.nodes.put(node('node1', '172.30.0.1'))
  for (const n of [2, 3]) tables.nodes.put(node(`node${n}`, `172.30.0.${n}`, GATE))
  tables.hostAddresses.put(held('172.30.0.1'))
  tables.egressPolicies.put(policy('corporate'))
  for (let i = 0; i < pods; i++) {
    const [name, address] = [`web-${i}`, `10.64.0.${i}`]
    const pod = { namespace: 'default', name, uid: '' }
    tables.endpoints.put(endpointRow(name, [address], { key: name, id: i }))
    tables.pods.put({ ...pod, nodeName: 'node1', addresses: [address], hostNetwork: false, labels: { app: 'web' } })
  }
  const stop = new AbortController()
  const ended = planner.run(stop.signal)
  return {
    tables,
    clock,
    silent,
    metrics,
    log,
    planner,
    async [Symbol.asyncDispose]() {
      stop.abort()
      await clock.advance(1000)
      await ended
    },
  }
}
type Started = ReturnType<typeof start>
const gateways = ({ planner }: Started): (string | undefined)[] => planner.shown().pods.map(each => each.gateway)
const healthOf = ({ planner }: Started, name: string): Health | 'own' | undefined =>
  planner.shown().gateways.find(each => each.node === name)?.health

test('pods that were there keep what the last daemon gave them until their gateways have been asked', async () => {
  await using at = start(40, '172.30.0.3')
  await at.clock.advance(300)
  assert.equal(at.tables.egressPaths.size, 0)
  assert.equal(at.tables.egressPaths.initialized, false)
  await at.clock.advance(400)
  assert.deepEqual(new Set(gateways(at)), new Set(['node2']))
  assert.equal(at.tables.egressPaths.initialized, true)
  assert.equal(healthOf(at, 'node3'), 'dead')
})

test('a gateway that falls silent loses its pods, which is counted and told once; it gets them back', async () => {
  await using at = start(40)
  await at.clock.advance(1000)
  const before = gateways(at)
  const own = before.filter(name => name === 'node3').length
  assert.ok(own > 0 && own < 40)
  at.silent.add('172.30.0.3')
  await at.clock.advance(1400)
  assert.deepEqual(new Set(gateways(at)), new Set(['node2']))
  await at.clock.advance(5000)
  assert.equal(at.metrics.value('egress_gateway_failovers_total', { gateway: 'node3' }), own)
  assert.equal(at.log.lines.filter(line => line.includes('is not healthy any more')).length, 1)
  const metrics = at.metrics.text()
  assert.match(metrics, /egress_gateway_up\{gateway="node3"\} 0/)
  assert.match(metrics, /egress_gateway_pods\{policy="corporate",gateway="node2"\} 40/)
  at.silent.delete('172.30.0.3')
  await at.clock.advance(2000)
  assert.deepEqual(gateways(at), before)
})

test('without a policy nobody is asked and nothing is written', async () => {
  await using at = start(1)
  at.tables.egressPolicies.delete('corporate')
  await at.clock.advance(1000)
  assert.deepEqual(at.planner.shown().gateways, [])
  assert.equal(at.tables.egressPaths.size, 0)
  assert.equal(at.tables.egressPaths.initialized, true)
})
