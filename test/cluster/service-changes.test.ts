/**
 * Backends that come and go under load: whoever has a connection keeps it while the pod it leads to is there, and nobody
 * who opens one fails. The test's own programs run in no node's cgroup: their packets are translated one by one.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { writeManifest } from '../../deploy/lab/configuration.ts'
import { serviceObjects } from '../../deploy/lab/service-manifest.ts'
import { Cluster, ECHO_PORT } from '../support/cluster.ts'
import type { Crowd } from '../support/cluster-station.ts'
import { eventually } from '../support/eventually.ts'

const VIP = '10.97.0.1'
const PORT = 80
const NODE_PORT = 30_100
const BACKENDS = ['node1-b', 'node2-a', 'node2-b'] as const
/** Connections from inside, and as many from outside. */
const HELD = 500
/** Connections that are being opened at any time, from either side. */
const DIALLED = 2
const CHANGES = 300
const CHANGE_MS = 20
/** Between what a pod's end changes: it terminates, then it is gone. */
const DRAIN_MS = 250

type Part = 'ready' | 'terminating' | 'gone'

suite('while backends come and go', () => {
  let cluster: Cluster
  before(async () => {
    cluster = await Cluster.start('clchg', { nodes: 2, pods: 2 })
    write(['ready', 'ready', 'ready'])
    for (const [from, address, port] of ways()) {
      const station = cluster.station(from)
      await eventually(async () => (await station.check('tcp', address, port, 10, '--timeout', 300)).ok)
    }
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  const ways = () =>
    [
      ['node1-a', VIP, PORT],
      ['outside', cluster.station('node1').address(4), NODE_PORT],
    ] as const

  /** What has become of each backend. */
  function write(parts: readonly Part[]): void {
    const endpoints = BACKENDS.flatMap((name, i) => {
      const part = parts[i]
      if (part === undefined || part === 'gone') return []
      const { addresses, node } = cluster.station(name)
      return [{ addresses: [...addresses], node, terminating: part === 'terminating' }]
    })
    const items = serviceObjects({
      name: 'changing',
      clusterIPs: [VIP],
      ports: [{ protocol: 'TCP', port: PORT, targetPort: ECHO_PORT, nodePort: NODE_PORT }],
      endpoints,
      spec: { type: 'NodePort' },
    })
    writeManifest(cluster.lab.layout, 'test-changing', { apiVersion: 'v1', kind: 'List', items })
  }

  const all = async (kind: 'hold' | 'dial', count: number): Promise<Crowd[]> =>
    await Promise.all(ways().map(([from, address, port]) => cluster.station(from).crowd(kind, count, address, port)))

  /** How many backends node1 gives new flows to, by its own account. */
  async function served(): Promise<number[]> {
    const rows = await cluster.node('node1').table('frontends')
    return rows.filter(row => row.service === 'default/changing').map(row => row.backends.length)
  }

  test(`${CHANGES} changes, ${1000 / CHANGE_MS} a second, end none of ${2 * HELD} connections and fail no new one`, async () => {
    const held = await all('hold', HELD)
    const dialled = await all('dial', DIALLED)
    for (let i = 1; i <= CHANGES; i++) {
      const flaps = (every: number): Part => (Math.floor(i / every) % 2 === 0 ? 'ready' : 'gone')
      write([flaps(1), flaps(3), 'ready'])
      await delay(CHANGE_MS)
    }
    write(['ready', 'ready', 'ready'])
    await eventually(async () => (await served()).every(count => count === BACKENDS.length))
    for (const crowd of held) {
      const { opened, answered, failures } = await crowd.stop()
      assert.deepEqual([opened, failures], [HELD, []])
      assert.ok(answered > HELD, `${answered}`)
    }
    for (const crowd of dialled) {
      const { answered, failures } = await crowd.stop()
      assert.deepEqual(failures, [])
      assert.ok(answered > CHANGES, `${answered}`)
    }
  })

  test('pods that end, one after the other and all at once, fail no request', async () => {
    const dialled = await all('dial', DIALLED)
    const held = await all('hold', 20)
    const steps: readonly (readonly Part[])[] = [
      ['terminating', 'ready', 'ready'],
      ['gone', 'ready', 'ready'],
      ['ready', 'terminating', 'ready'],
      ['ready', 'gone', 'terminating'],
      // Nobody is ready: those that still serve do.
      ['terminating', 'terminating', 'terminating'],
      ['gone', 'gone', 'terminating'],
      ['ready', 'ready', 'ready'],
    ]
    for (const parts of steps) {
      write(parts)
      await delay(DRAIN_MS)
    }
    for (const crowd of [...dialled, ...held]) {
      const { answered, failures } = await crowd.stop()
      assert.deepEqual(failures, [])
      assert.ok(answered > 20, `${answered}`)
    }
  })
})
