/**
 * Connection tracking under load: the table grows before it is full and loses nothing, entries expire, and a table that
 * may not grow does with new flows what the configuration says, and leaves those it knows alone.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { Cluster, ECHO_PORT, FAMILIES } from '../support/cluster.ts'
import type { ClusterNode } from '../support/cluster-node.ts'
import type { ClusterStation } from '../support/cluster-station.ts'
import { eventually } from '../support/eventually.ts'
import { eth, ipv4, packet, payload } from '../support/packet.ts'
import { PacketSocket } from '../support/packet-socket.ts'
import { icmp } from '../support/packet-transport.ts'

const SMALL = 1024
const ICMP_SECONDS = 2
const PATIENT = { timeoutMs: 60_000, pollMs: 100 }

suite('the table of connections', () => {
  let cluster: Cluster
  let node: ClusterNode
  let pod: ClusterStation
  before(async () => {
    const set = ['initialEntries=1024', 'maxEntries=1024', `icmpSeconds=${ICMP_SECONDS}`]
    cluster = await Cluster.start('clct', { nodes: 2, set: set.map(s => `datapath.conntrack.${s}`) })
    node = cluster.node('node1')
    pod = cluster.station('node1-a')
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  /** Opens so many flows that nobody closes: echo requests, each with an identifier of its own. */
  async function open(flows: number): Promise<void> {
    const row = (await node.table('endpoints')).find(e => e.pod.name === 'node1-a')
    using socket = new PacketSocket(pod.netns, 'eth0')
    const addresses = { src: pod.address(4), dst: cluster.station('node1-b').address(4) }
    for (let id = 0; id < flows; id++)
      socket.send(
        packet(
          eth({ src: row?.interface.mac ?? '', dst: row?.device.mac ?? '' }),
          ipv4(addresses),
          icmp({ type: 8, id: id & 0xffff }),
          payload(8),
        ),
      )
  }
  async function restart(...set: readonly string[]): Promise<void> {
    await node.endDaemon('SIGTERM')
    await node.startDaemon({ set: set.map(s => `datapath.conntrack.${s}`) })
  }
  const opens = (from: string, to: string, family: 4 | 6) =>
    cluster.station(from).check('tcp', cluster.station(to).address(family), ECHO_PORT, 1000, '--timeout', 3000)

  test('that is full and may not grow lets new flows pass unrecorded, and counts them', async () => {
    const known = await pod.stream(cluster.station('node2-a').address(4))
    await open(4 * SMALL)
    assert.ok((await node.metric('causeway_conntrack_full_total')) > SMALL)
    for (const family of FAMILIES) assert.equal((await opens('node1-a', 'node2-a', family)).error, undefined)
    assert.equal((await known.stop()).error, undefined)
  })

  test('forgets what has expired, and says how much', async () => {
    await eventually(async () => (await node.metric('causeway_conntrack_expired_total')) > SMALL / 2, PATIENT)
    await eventually(async () => (await node.metric('causeway_conntrack_entries')) < SMALL / 4, PATIENT)
  })

  test('that is full drops new flows where the configuration says so, and spares those it knows', async () => {
    await restart('whenFull=drop', 'icmpSeconds=600')
    const known = await pod.stream(cluster.station('node2-a').address(6))
    await open(4 * SMALL)
    using flows = await node.flows('&reason=ct_full')
    assert.match((await opens('node1-a', 'node1-b', 4)).error ?? '', /timed out/)
    await eventually(() => flows.records.length > 0)
    assert.equal(flows.records[0]?.source.pod, 'default/node1-a')
    assert.match(flows.records[0]?.reason?.whatToDo ?? '', /datapath\.conntrack\.maxEntries/)
    assert.equal((await known.stop()).error, undefined)
  })

  test('grows while connections run, and none of them notices', async () => {
    await restart('maxEntries=16384', 'icmpSeconds=600')
    const streams = await Promise.all(
      FAMILIES.flatMap(family =>
        (['node1-b', 'node2-a', 'node1'] as const).map(to => pod.stream(cluster.station(to).address(family))),
      ),
    )
    await open(SMALL * 8)
    await eventually(async () => (await node.metric('causeway_conntrack_capacity')) >= SMALL * 8, PATIENT)
    const results = await Promise.all(streams.map(s => s.stop()))
    assert.deepEqual(
      results.filter(r => !r.ok || r.longestGapMs > 3000),
      [],
    )
    assert.ok(node.log().some(line => line['message'] === 'conntrack map grew'))
    assert.equal((await opens('node1-a', 'node2-a', 4)).error, undefined)
  })
})
