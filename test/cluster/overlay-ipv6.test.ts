/** Nodes that know each other by IPv6 only: the overlay carries both families of pods over it, with what fits. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { nodeManifest, writeManifest } from '../../deploy/lab/configuration.ts'
import { Cluster, ECHO_PORT, FAMILIES } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { eth, ipv4, ipv6, packet, payload } from '../support/packet.ts'
import { PacketSocket } from '../support/packet-socket.ts'
import { udp } from '../support/packet-transport.ts'

/** 1500 less IPv6, UDP, VXLAN and the inner Ethernet header. */
const MTU = 1430

suite('an overlay over IPv6', () => {
  let cluster: Cluster
  before(async () => {
    cluster = await Cluster.start('clover', { nodes: 2, set: ['routing.mode=overlay'] })
    for (const { layout } of cluster.nodes) {
      const addresses = layout.addresses.filter(a => a.includes(':'))
      writeManifest(cluster.lab.layout, layout.name, nodeManifest({ ...layout, addresses }))
    }
    for (const node of cluster.nodes)
      await eventually(async () => {
        const paths = (await node.table('ipcache')).map(r => r.path)
        return paths.every(p => p.kind === 'overlay' && p.tunnel.startsWith('fd00:30::'))
      })
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  test('has its devices and routes of all families fit', async () => {
    for (const [node, other] of [
      ['node1', 2],
      ['node2', 1],
    ] as const)
      await eventually(async () => [...(await mtus(node, other)).matchAll(/ mtu 1430/g)].length === 7)
  })
  /** What of a node and its pods carries packets to the other node, as ip(8) shows it. */
  async function mtus(name: string, other: number): Promise<string> {
    const node = cluster.node(name)
    const pods = [cluster.station(`${name}-a`), cluster.station(`${name}-b`)]
    const shown = [
      node.run(['ip', '-o', 'link', 'show', 'cw-vxlan']),
      node.run(['ip', 'route', 'show', `10.71.${other}.0/24`]),
      node.run(['ip', '-6', 'route', 'show', `fd00:71:0:${other}::/112`]),
      ...pods.flatMap(pod => [
        pod.run(['ip', 'route', 'show', 'default']),
        pod.run(['ip', '-6', 'route', 'show', 'default']),
      ]),
    ]
    return (await Promise.all(shown)).join('')
  }

  for (const family of FAMILIES) {
    test(`carries IPv${family} between pods and between nodes and pods`, async () => {
      using crossing = new PacketSocket(cluster.netns('underlay'), 'node1')
      for (const [from, to] of [
        ['node1-a', 'node2-a'],
        ['node2-b', 'node1-b'],
        ['node1', 'node2-a'],
      ] as const) {
        const address = cluster.station(to).address(family)
        const checks = [
          ['tcp', address, ECHO_PORT, 1_000_000],
          ['udp', address, ECHO_PORT, 60_000],
          ['icmp', address, 3000],
        ]
        for (const check of checks) {
          const { error } = await cluster.station(from).check(...check)
          assert.equal(error, undefined, `${from} → ${to} ${check.join(' ')}`)
        }
      }
      await crossing.text(/^eth .*\nipv6 fd00:30::1 > fd00:30::2 .*\nudp \d+ > 8472/)
    })

    test(`has the node answer IPv${family} packets that do not fit`, async () => {
      const pod = cluster.station('node1-a')
      const row = (await cluster.node('node1').table('endpoints')).find(e => e.pod.name === pod.name)
      const ends = { src: pod.address(family), dst: cluster.station('node2-a').address(family) }
      const headers = family === 4 ? 28 : 48
      using socket = new PacketSocket(pod.netns, 'eth0')
      socket.send(
        packet(
          eth({ src: row?.interface.mac ?? '', dst: row?.device.mac ?? '' }),
          family === 4 ? ipv4({ ...ends, dontFragment: true }) : ipv6(ends),
          udp({ sport: 5000, dport: ECHO_PORT }),
          payload(MTU + 1 - headers),
        ),
      )
      await socket.text(
        new RegExp(
          family === 4 ? `icmp type 3 code 4 id 0 sequence ${MTU}` : `icmpv6 type 2 code 0 id 0 sequence ${MTU}`,
        ),
      )
    })
  }

  test('of another port is made anew by daemons that are configured so', async () => {
    for (const node of cluster.nodes) await node.endDaemon('SIGTERM')
    for (const node of cluster.nodes) await node.startDaemon({ set: ['routing.overlay.port=4789'] })
    using crossing = new PacketSocket(cluster.netns('underlay'), 'node1')
    const { error } = await cluster
      .station('node1-a')
      .check('tcp', cluster.station('node2-a').address(4), ECHO_PORT, 100_000)
    assert.equal(error, undefined)
    await crossing.text(/^eth .*\nipv6 fd00:30::1 > fd00:30::2 .*\nudp \d+ > 4789/)
    for (const node of cluster.nodes)
      assert.match(
        await node.run(['ip', '-d', 'link', 'show', 'cw-vxlan']),
        /external.* dstport 4789 | dstport 4789 .*external/s,
      )
  })
})
