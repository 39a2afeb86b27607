/**
 * Services packet by packet, on real nodes: from pods and from outside, to pods and to what the nodes serve themselves. The
 * test's own programs run in no node's cgroup, so no socket program sees them.
 */
import assert from 'node:assert/strict'
import { renameSync } from 'node:fs'
import { after, before, suite, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { writeManifest } from '../../deploy/lab/configuration.ts'
import { serviceObjects } from '../../deploy/lab/service-manifest.ts'
import { Cluster, ECHO_PORT, FAMILIES } from '../support/cluster.ts'
import type { ClusterStation } from '../support/cluster-station.ts'
import { eventually } from '../support/eventually.ts'

const PORT = 80
/** Cluster addresses of a service: its number in them. */
const clusterIP = (n: number, family: 4 | 6): string => (family === 4 ? `10.97.0.${n}` : `fd00:97::${n}`)
/** What a load balancer would send to the nodes; the outside host has a route to node1. */
const BALANCED = '203.0.113.10'
const NODE_PORTS = { host: 30_100, local: 30_101, pods: 30_102 }
const PROTOCOLS = ['tcp', 'udp'] as const
/** Less than the second after which a connect sends its SYN again: it is refused at the first. */
const REFUSED_MS = 700

suite('a service', () => {
  let cluster: Cluster
  let pod: ClusterStation
  let outside: ClusterStation
  before(async () => {
    cluster = await Cluster.start('clsvc', { nodes: 2, pods: 1 })
    pod = cluster.station('node1-a')
    outside = cluster.station('outside')
    writeService('nobody', 1, 30_103, {}, [])
    writeService('host', 2, NODE_PORTS.host, {}, ['node1'])
    writeService('local', 3, NODE_PORTS.local, { externalTrafficPolicy: 'Local' }, ['node2-a'])
    writeService('pods', 4, NODE_PORTS.pods, { loadBalancerSourceRanges: [`${outside.address(4)}/32`] }, ['node2-a'])
    await cluster.runIn('outside', ['ip', 'route', 'add', `${BALANCED}/32`, 'via', node(1, 4)])
    // The last one written: what the daemons plan is in the maps some milliseconds later.
    for (const family of FAMILIES) await eventually(async () => (await reach(pod, clusterIP(4, family), PORT)).ok)
    await eventually(async () => (await reach(outside, node(2, 4), NODE_PORTS.pods)).ok)
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  const node = (n: 1 | 2, family: 4 | 6): string => cluster.station(`node${n}`).address(family)
  const reach = (from: ClusterStation, address: string, port: number, protocol = 'tcp', timeoutMs = 1000) =>
    from.check(protocol, address, port, 1000, '--timeout', timeoutMs)

  /** Of type LoadBalancer, served by stations at the echo's port. */
  function writeService(name: string, n: number, nodePort: number, spec: object, stations: readonly string[]): void {
    const items = serviceObjects({
      name: `test-${name}`,
      clusterIPs: FAMILIES.map(family => clusterIP(n, family)),
      ports: (['TCP', 'UDP'] as const).map(protocol => ({ protocol, port: PORT, targetPort: ECHO_PORT, nodePort })),
      endpoints: stations.map(station => cluster.station(station)),
      spec: { type: 'LoadBalancer', ...spec },
      status: { loadBalancer: { ingress: name === 'pods' ? [{ ip: BALANCED, ipMode: 'VIP' }] : [] } },
    })
    writeManifest(cluster.lab.layout, `test-service-${name}`, { apiVersion: 'v1', kind: 'List', items })
  }

  for (const family of FAMILIES)
    for (const protocol of PROTOCOLS) {
      test(`that nobody serves refuses a pod over IPv${family} by ${protocol}`, async () => {
        const { ok, error = '' } = await reach(pod, clusterIP(1, family), PORT, protocol, REFUSED_MS)
        assert.equal(ok, false)
        assert.match(error, /refused/i)
      })
      test(`that nobody serves refuses a client outside over IPv${family} by ${protocol}`, async () => {
        const { ok, error = '' } = await reach(outside, node(1, family), 30_103, protocol, REFUSED_MS)
        assert.equal(ok, false)
        assert.match(error, /refused/i)
      })
      test(`of what a node serves itself is reached over IPv${family} by ${protocol} from pods of both nodes and outside`, async () => {
        const from = { pod, 'pod elsewhere': cluster.station('node2-a') }
        for (const [what, station] of Object.entries(from))
          assert.equal((await reach(station, clusterIP(2, family), PORT, protocol)).ok, true, what)
        assert.equal((await reach(outside, node(1, family), NODE_PORTS.host, protocol)).ok, true, 'outside')
        assert.equal((await reach(outside, node(2, family), NODE_PORTS.host, protocol)).ok, true, 'by the other node')
      })
      test(`with a policy of Local is served over IPv${family} by ${protocol} where it has endpoints only`, async () => {
        assert.equal((await reach(outside, node(2, family), NODE_PORTS.local, protocol)).ok, true)
        const { ok, error = '' } = await reach(outside, node(1, family), NODE_PORTS.local, protocol, 300)
        assert.equal(ok, false)
        assert.match(error, /timed out/i)
        assert.equal((await reach(pod, node(1, family), NODE_PORTS.local, protocol)).ok, true, 'from inside')
      })
    }

  for (const family of FAMILIES)
    test(`answers an echo request over IPv${family}`, async () => {
      assert.equal((await pod.check('icmp', clusterIP(4, family), 1000)).ok, true)
    })

  test('at a load balancer’s address is for clients of its source ranges', async () => {
    assert.equal((await reach(outside, BALANCED, PORT)).ok, true)
    using log = await cluster.node('node1').flows('&verdict=dropped')
    writeService('pods', 4, NODE_PORTS.pods, { loadBalancerSourceRanges: ['192.0.2.0/24'] }, ['node2-a'])
    await eventually(async () => !(await reach(outside, BALANCED, PORT, 'tcp', 300)).ok)
    await eventually(() => log.records.length > 0)
    assert.ok(log.records.some(r => r.reason?.name === 'source_range' && r.source.address === outside.address(4)))
    assert.equal((await reach(outside, node(1, 4), NODE_PORTS.pods)).ok, true, 'node ports know no ranges')
  })

  test('that nobody serves is silent where that is configured', async () => {
    const silent = cluster.node('node2')
    await silent.endDaemon('SIGTERM')
    await silent.startDaemon({ set: ['services.withoutBackend=drop'] })
    const from = cluster.station('node2-a')
    for (const protocol of PROTOCOLS) {
      const { ok, error = '' } = await reach(from, clusterIP(1, 4), PORT, protocol, 300)
      assert.equal(ok, false)
      assert.match(error, /timed out/i)
    }
  })

  test('keeps its connections while the daemon is killed and started again', async () => {
    const streams = [
      await pod.stream(clusterIP(4, 4), PORT),
      await pod.stream(clusterIP(4, 6), PORT),
      await outside.stream(node(1, 4), NODE_PORTS.pods),
    ]
    const first = cluster.node('node1')
    await first.endDaemon('SIGKILL')
    for (const family of FAMILIES) assert.equal((await reach(pod, clusterIP(4, family), PORT)).ok, true, 'without one')
    await first.startDaemon()
    assert.equal((await reach(pod, clusterIP(4, 4), PORT)).ok, true)
    for (const stream of streams) {
      const { ok, error, longestGapMs } = await stream.stop()
      assert.deepEqual([ok, error], [true, undefined])
      // What two cores need that build and check other things meanwhile; a connection that broke is told above.
      assert.ok(longestGapMs < 3000, `${longestGapMs}`)
    }
  })

  test('is there for a daemon that starts while the cluster cannot be asked, as one that is reached by a service', async () => {
    const first = cluster.node('node1')
    const { cluster: objects } = cluster.lab.layout
    await first.endDaemon('SIGKILL')
    renameSync(objects, `${objects}.away`)
    let ready = false
    const started = first.startDaemon().then(() => (ready = true))
    try {
      await eventually(() => first.daemon() !== undefined)
      await eventually(async () => (await first.get('/v1/status').catch(() => undefined)) !== undefined)
      // A second of it: a daemon that took the cluster for empty would have emptied the maps by then.
      for (let i = 0; i < 20; i++) {
        assert.equal((await reach(pod, clusterIP(4, 4), PORT)).ok, true)
        await delay(50)
      }
      assert.equal(ready, false)
    } finally {
      renameSync(`${objects}.away`, objects)
    }
    await started
    assert.equal((await reach(pod, clusterIP(4, 4), PORT)).ok, true)
  })
})
