/**
 * Connection tracking under load: the table grows before it is full and loses nothing, entries expire, and a table that
 * may not grow does with new flows what the configuration says, and leaves those it knows alone.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, before, suite, test } from 'node:test'
import { ctKeyLayout, ctValueLayout } from '../../daemon/datapath/shared.gen.ts'
import { codec } from '../../daemon/kernel/bpf/layout.ts'
import { mapFromPin } from '../../daemon/kernel/bpf/map.ts'
import { Cluster, ECHO_PORT, FAMILIES } from '../support/cluster.ts'
import type { ClusterNode } from '../support/cluster-node.ts'
import type { ClusterStation } from '../support/cluster-station.ts'
import { eventually } from '../support/eventually.ts'
import { eth, ipv4, packet, payload } from '../support/packet.ts'
import { PacketSocket } from '../support/packet-socket.ts'
import { icmp } from '../support/packet-transport.ts'

const SMALL = 1024
const ICMP_SECONDS = 2
/** Flows opened at a time, and the identifier of the first, where those of before are to be told apart. */
const FLOWS = 300
const FIRST = 40_000
const ICMP = 1
const PATIENT = { timeoutMs: 60_000, pollMs: 100 }

suite('the table of connections', () => {
  let cluster: Cluster
  let node: ClusterNode
  let pod: ClusterStation
  let macs: { readonly pod: string; readonly host: string }
  before(async () => {
    const set = ['initialEntries=1024', 'maxEntries=1024', `icmpSeconds=${ICMP_SECONDS}`]
    cluster = await Cluster.start('clct', { nodes: 2, set: set.map(s => `datapath.conntrack.${s}`) })
    node = cluster.node('node1')
    pod = cluster.station('node1-a')
    const row = (await node.table('endpoints')).find(e => e.pod.name === 'node1-a')
    macs = { pod: row?.interface.mac ?? '', host: row?.device.mac ?? '' }
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  /** Opens so many flows that nobody closes: echo requests, each with an identifier of its own, counted from `first`. */
  async function open(flows: number, first = 0): Promise<void> {
    using socket = new PacketSocket(pod.netns, 'eth0')
    const addresses = { src: pod.address(4), dst: cluster.station('node1-b').address(4) }
    for (let id = first; id < first + flows; id++)
      socket.send(
        packet(eth({ src: macs.pod, dst: macs.host }), ipv4(addresses), icmp({ type: 8, id: id & 0xffff }), payload(8)),
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

  test('is made larger by daemons that are killed on the way, and forgets no flow', async () => {
    const settings = ['maxEntries=262144', 'icmpSeconds=3600']
    await restart(...settings, 'initialEntries=16384')
    await open(FLOWS, FIRST)
    await node.endDaemon('SIGTERM')
    const pins = (): string[] => readdirSync(`${node.layout.paths.bpf}/maps`)
    const rounds = [32_768, 65_536, 131_072, 262_144]
    for (const [i, entries] of rounds.entries()) {
      const set = [...settings, `initialEntries=${entries}`].map(s => `datapath.conntrack.${s}`)
      const had = pins()
      let ended = false
      const end = (): void => void (ended = true)
      const starting = node.startDaemon({ set }).then(end, end)
      // From now on the new map is pinned; whether it is in use already is chance.
      const taken = (): boolean => pins().some(name => name.includes('_was_') && !had.includes(name))
      await eventually(() => ended || taken(), { pollMs: 0 })
      await node.endDaemon('SIGKILL')
      await starting
      await open(FLOWS, FIRST + FLOWS * (i + 1))
    }
    await node.startDaemon()
    assert.equal(await node.metric('causeway_conntrack_capacity'), 262_144)
    assert.deepEqual(
      readdirSync(`${node.layout.paths.bpf}/maps`).filter(name => name.includes('_was_')),
      [],
    )
    assert.deepEqual(
      tracked(node),
      Array.from({ length: FLOWS * (rounds.length + 1) }, (_, i) => FIRST + i),
    )
  })
})

/** Identifiers from FIRST of the echo flows in the map that is in use. */
function tracked(node: ClusterNode): number[] {
  using map = mapFromPin(`${node.layout.paths.bpf}/maps/conntrack_v1`, codec(ctKeyLayout, ctValueLayout))
  const keys = [...(map?.entries() ?? [])].map(([key]) => key)
  const ids = keys.filter(key => key.protocol === ICMP && key.portA >= FIRST).map(key => key.portA)
  return ids.sort((a, b) => a - b)
}
