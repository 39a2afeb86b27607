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
    const node = cluster.node('node1')
    const text = async (): Promise<string> =>
      [
        await node.run(['ip', '-o', 'link', 'show', 'cw-vxlan']),
        await node.run(['ip', 'route', 'show', '10.71.2.0/24']),
        await node.run(['ip', '-6', 'route', 'show', 'fd00:71:0:2::/112']),
        await cluster.station('node1-a').run(['ip', 'route', 'show', 'default']),
        await cluster.station('node1-a').run(['ip', '-6', 'route', 'show', 'default']),
      ].join('')
    await eventually(async () => [...(await text()).matchAll(/ mtu 1430/g)].length === 5)
  })

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
})
