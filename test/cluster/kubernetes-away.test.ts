/**
 * The API server of a cluster is away for more than half a minute: at first it accepts connections and never answers, then
 * it is gone. Pods start and end, services are served and daemons start anew by what is known; what changed meanwhile is
 * caught up with.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Status } from '../../daemon/api/status.ts'
import { newNodeManifest, removeManifest, writeManifest } from '../../deploy/lab/configuration.ts'
import { labLayout, nodeLayout } from '../../deploy/lab/layout.ts'
import { serviceObjects } from '../../deploy/lab/service-manifest.ts'
import { Cluster, ECHO_PORT, FAMILIES } from '../support/cluster.ts'
import type { ClusterNode } from '../support/cluster-node.ts'
import type { ClusterStation } from '../support/cluster-station.ts'
import { TestControlPlane } from '../support/control-plane.ts'
import { eventually } from '../support/eventually.ts'
import { UpgradeTraffic } from '../support/upgrade-traffic.ts'

const NAME = 'claway'
const LAB = labLayout(NAME)
const HALF_OPEN_MS = 16_000
const AWAY_MS = 32_000
/** The longest that a watch rests between two attempts, and some more. */
const CAUGHT_UP_MS = 40_000
const PORT = 80
const ADDRESS = { leaving: '10.98.0.1', moving: '10.98.0.2', coming: '10.98.0.3' } as const
type ServiceName = keyof typeof ADDRESS

suite('while the API server is away', () => {
  let cluster: Cluster
  let plane: TestControlPlane
  let traffic: UpgradeTraffic
  /** A range of a node that is deleted meanwhile. */
  let gone = ''
  /** A pod that starts while it is away. */
  let early: ClusterStation
  let began = 0
  const ready: Promise<void>[] = []
  before(async () => {
    cluster = await Cluster.start(NAME, { nodes: 2, pods: 2, kubernetes: true })
    plane = new TestControlPlane(cluster)
    gone = (await plane.givenTo(writeNode(9)))[0] ?? ''
    writeService('leaving', 'node2-a')
    writeService('moving', 'node1-a')
    for (const node of cluster.nodes) {
      await eventually(async () => (await backendsOf(node, 'moving')).length === 1)
      await eventually(async () => hasRoute(node, gone))
    }
    await cluster.addPod('node1', 2)
    await eventually(async () => (await cluster.node('node1').table('pods')).some(row => row.name === 'node1-c'))
    traffic = await UpgradeTraffic.hold(cluster)
    await traffic.ask()
  })
  after(async () => {
    await traffic?.[Symbol.asyncDispose]()
    await plane?.[Symbol.asyncDispose]()
    await cluster?.[Symbol.asyncDispose]()
  })

  /** A Node that kubelet has registered, without a daemon. */
  function writeNode(number: number): string {
    const layout = nodeLayout(LAB, number)
    writeManifest(LAB, layout.name, newNodeManifest(layout))
    return layout.name
  }
  function changeMeanwhile(): void {
    removeManifest(LAB, 'node9')
    removeManifest(LAB, 'service-leaving')
    writeService('moving', 'node2-b')
    writeService('coming', 'node2-a')
  }
  /** Starts a daemon; whether it becomes ready is asked at the end. */
  function becomesReady(node: ClusterNode): void {
    const starting = node.startDaemon()
    starting.catch(() => undefined)
    ready.push(starting)
  }
  /** Until it has been away for so long. */
  async function lasts(ms: number): Promise<void> {
    await delay(Math.max(0, began + ms - performance.now()))
  }
  function writeService(name: ServiceName, station: string): void {
    const items = serviceObjects({
      name,
      clusterIPs: [ADDRESS[name]],
      ports: [{ protocol: 'TCP', port: PORT, targetPort: ECHO_PORT }],
      endpoints: [cluster.station(station)],
    })
    writeManifest(LAB, `service-${name}`, { apiVersion: 'v1', kind: 'List', items })
  }
  async function backendsOf(node: ClusterNode, name: ServiceName): Promise<readonly string[]> {
    const rows = await node.table('frontends')
    return rows.filter(row => row.address === ADDRESS[name]).flatMap(row => row.backends.map(b => b.address))
  }
  async function hasRoute(node: ClusterNode, dst: string): Promise<boolean> {
    return (await node.table('routes')).some(row => row.dst === dst)
  }
  async function knowsNode(node: ClusterNode, name: string): Promise<boolean> {
    return (await node.table('nodes')).some(row => row.name === name)
  }
  async function reaches(pod: ClusterStation, targets: readonly string[]): Promise<void> {
    for (const target of targets)
      for (const family of FAMILIES) {
        const address = cluster.station(target).address(family)
        assert.equal((await pod.check('tcp', address, ECHO_PORT, 1000)).error, undefined, `${pod.name} → ${target}`)
      }
  }
  async function serves(pod: ClusterStation, name: ServiceName): Promise<void> {
    assert.equal((await pod.check('tcp', ADDRESS[name], PORT, 1000)).error, undefined, `${pod.name} → ${name}`)
  }

  test('and accepts connections without answering, pods start and end, and a daemon that is killed starts anew', async () => {
    const node = cluster.node('node1')
    await plane.halfOpen(10 * AWAY_MS)
    began = performance.now()
    changeMeanwhile()
    await cluster.deletePod('node1', 2)
    early = await cluster.addPod('node1', 3)
    await reaches(early, ['node1-a', 'node2-a'])
    await serves(early, 'leaving')
    for (const each of cluster.nodes) await saysThatItIsAway(each)
    await node.endDaemon('SIGKILL')
    becomesReady(node)
    const pod = await cluster.addPod('node1', 4)
    await reaches(pod, ['node1-a', 'node2-a'])
    await serves(pod, 'moving')
    await lasts(HALF_OPEN_MS)
  })

  test('and refuses connections, pods start and end, and a daemon that is replaced goes by what was known', async () => {
    const node = cluster.node('node2')
    await plane.stopServer()
    await node.endDaemon('SIGTERM')
    becomesReady(node)
    const pod = await cluster.addPod('node2', 3)
    await reaches(pod, ['node1-a', 'node2-b'])
    await serves(pod, 'moving')
    await cluster.deletePod('node2', 3)
    for (const each of cluster.nodes)
      assert.match(
        (await statusOf(each)).waiting.join(),
        /cluster source: .*no API server can be reached.*; pods start by what was known at 20/,
      )
    await lasts(AWAY_MS)
  })

  test('nothing is lost: what changed comes soon after it is back, and no connection was disturbed', async () => {
    await plane.startServer()
    await Promise.all(ready)
    for (const node of cluster.nodes) {
      await comes(async () => !(await knowsNode(node, 'node9')))
      await comes(async () => !(await hasRoute(node, gone)))
      await comes(async () => (await backendsOf(node, 'leaving')).length === 0)
      await comes(async () => (await backendsOf(node, 'moving')).join() === cluster.station('node2-b').address(4))
      await comes(async () => (await backendsOf(node, 'coming')).join() === cluster.station('node2-a').address(4))
      await comes(async () => (await statusOf(node)).problems.length === 0)
      const { waiting, sources } = await statusOf(node)
      assert.deepEqual([waiting, sources], [[], [{ name: 'kubernetes', synced: true }]])
    }
    const pods = (await cluster.node('node1').table('pods')).map(row => row.name)
    assert.deepEqual(pods.sort(), ['node1-a', 'node1-b', 'node1-d', 'node1-e'])
    for (const name of ['moving', 'coming'] as const) await serves(early, name)
    const failed = (await traffic.stop()).filter(({ failures }) => failures.length > 0)
    assert.deepEqual(failed, [])
  })

  test('whoever leads afterwards gives no range twice', async () => {
    await plane.givenTo(writeNode(10), CAUGHT_UP_MS)
    const ranges = await plane.allRanges()
    assert.equal(new Set(ranges).size, 6)
  })
})

/** What changed while the API server was away is there within so long; much less where nothing else keeps the machine busy. */
async function comes(condition: () => Promise<boolean>): Promise<void> {
  await eventually(condition, { timeoutMs: CAUGHT_UP_MS })
}

async function statusOf(node: ClusterNode): Promise<Status> {
  return (await node.get('/v1/status')) as Status
}

async function saysThatItIsAway(node: ClusterNode): Promise<void> {
  await eventually(
    async () =>
      (await statusOf(node)).problems.some(
        ({ place, message }) => place.startsWith('API server 172.30.0.253') && message.includes('what is known stays'),
      ),
    { timeoutMs: 12_000 },
  )
}
