/**
 * Every drop explains itself: frames that a pod may not send are sent from inside one, and `causeway flows` names the pod,
 * the reason and what to do; metrics count them; what cannot be told is counted as lost.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { FlowRecord } from '../../daemon/flow/record.ts'
import { dropReasons } from '../../daemon/flow/drop-reasons.ts'
import { Cluster } from '../support/cluster.ts'
import type { ClusterNode } from '../support/cluster-node.ts'
import type { ClusterStation } from '../support/cluster-station.ts'
import { eventually } from '../support/eventually.ts'
import { arp, eth, ipv4, ipv6, type Layer, packet, payload, vlan } from '../support/packet.ts'
import { icmpv6, ndp, tcp, udp } from '../support/packet-transport.ts'
import { PacketSocket } from '../support/packet-socket.ts'

suite('a frame that a pod may not send', () => {
  let cluster: Cluster
  let node: ClusterNode
  let pod: ClusterStation
  let mac: { pod: string; host: string }
  before(async () => {
    cluster = await Cluster.start('cldrops', { nodes: 2 })
    node = cluster.node('node1')
    pod = cluster.station('node1-a')
    const row = (await node.table('endpoints')).find(e => e.pod.name === 'node1-a')
    assert.ok(row)
    mac = { pod: row.interface.mac, host: row.device.mac }
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  interface Case {
    readonly reason: string
    readonly protocol: string
    readonly frame: () => Uint8Array
    /** Of the record; the pod's where the source is its own, else none. */
    readonly source?: string
    readonly destination?: string
  }
  const own = (family: 4 | 6): string => pod.address(family)
  const other = (family: 4 | 6): string => cluster.station('node2-a').address(family)
  const stranger = '10.99.99.99'
  const stranger6 = 'fd00:99::99'
  const toHost = (...layers: Layer[]): Uint8Array => packet(eth({ dst: mac.host, src: mac.pod }), ...layers)
  const datagram = [udp({ sport: 1000, dport: 2000 }), payload(20)]

  const cases: Readonly<Record<string, () => Case>> = {
    'with an IPv4 source that is not its own': () => ({
      reason: 'spoofed_address',
      protocol: 'UDP',
      frame: () => toHost(ipv4({ src: stranger, dst: other(4) }), ...datagram),
      source: stranger,
      destination: other(4),
    }),
    'with an IPv6 source that is not its own': () => ({
      reason: 'spoofed_address',
      protocol: 'UDP',
      frame: () => toHost(ipv6({ src: stranger6, dst: other(6) }), ...datagram),
      source: stranger6,
      destination: other(6),
    }),
    "with its neighbour's source": () => ({
      reason: 'spoofed_address',
      protocol: 'TCP',
      frame: () =>
        toHost(
          ipv4({ src: cluster.station('node1-b').address(4), dst: other(4) }),
          tcp({ sport: 1, dport: 2, flags: 'S' }),
        ),
      source: cluster.station('node1-b').address(4),
    }),
    'with a MAC that is not its own': () => ({
      reason: 'spoofed_mac',
      protocol: 'UDP',
      frame: () =>
        packet(eth({ dst: mac.host, src: '02:de:ad:be:ef:01' }), ipv4({ src: own(4), dst: other(4) }), ...datagram),
      source: own(4),
    }),
    'with a VLAN tag': () => ({
      reason: 'vlan',
      protocol: 'IPv4',
      frame: () => toHost(vlan(7), ipv4({ src: own(4), dst: other(4) }), ...datagram),
    }),
    'of a protocol nobody knows': () => ({
      reason: 'unsupported_l3',
      protocol: 'ethertype 0x88cc',
      frame: () => packet(eth({ dst: mac.host, src: mac.pod, type: 0x88cc }), payload(60)),
    }),
    'that is cut short': () => ({
      reason: 'malformed',
      protocol: 'IPv4',
      frame: () => toHost(ipv4({ src: own(4), dst: other(4), totalLength: 1000 }), ...datagram),
    }),
    'that claims another address by ARP': () => ({
      reason: 'forged_neighbour',
      protocol: 'ARP',
      frame: () =>
        packet(
          eth({ dst: 'ff:ff:ff:ff:ff:ff', src: mac.pod }),
          arp({ operation: 'reply', senderMac: mac.pod, sender: '169.254.1.1', target: own(4), targetMac: mac.host }),
        ),
      source: '169.254.1.1',
    }),
    'that claims another address by neighbour discovery': () => ({
      reason: 'forged_neighbour',
      protocol: 'ICMPv6',
      frame: () =>
        packet(
          eth({ dst: '33:33:00:00:00:01', src: mac.pod }),
          ipv6({ src: own(6), dst: 'ff02::1', hopLimit: 255 }),
          ndp({ type: 'advertisement', target: 'fe80::1', flags: 1, mac: mac.pod }),
        ),
    }),
    'that plays the router': () => ({
      reason: 'forged_neighbour',
      protocol: 'ICMPv6',
      frame: () =>
        packet(
          eth({ dst: '33:33:00:00:00:01', src: mac.pod }),
          ipv6({ src: own(6), dst: 'ff02::1', hopLimit: 255 }),
          icmpv6({ type: 134 }),
          payload(8),
        ),
    }),
    'to a group beyond its link': () => ({
      reason: 'multicast',
      protocol: 'UDP',
      frame: () =>
        packet(eth({ dst: '01:00:5e:01:02:03', src: mac.pod }), ipv4({ src: own(4), dst: '239.1.2.3' }), ...datagram),
      source: own(4),
    }),
    'to where the node has no IPv4 route': () => ({
      reason: 'no_route',
      protocol: 'UDP',
      frame: () => toHost(ipv4({ src: own(4), dst: '198.51.100.7' }), ...datagram),
      source: own(4),
    }),
    'to where the node has no IPv6 route': () => ({
      reason: 'no_route',
      protocol: 'UDP',
      frame: () => toHost(ipv6({ src: own(6), dst: '2001:db8::7' }), ...datagram),
      source: own(6),
    }),
    'with TCP flags that contradict each other': () => ({
      reason: 'ct_invalid',
      protocol: 'TCP',
      frame: () => toHost(ipv4({ src: own(4), dst: other(4) }), tcp({ sport: 5, dport: 6, flags: 'SF' })),
      source: own(4),
    }),
  }

  for (const [what, build] of Object.entries(cases)) {
    test(`${what} is dropped and explained`, async () => {
      const { reason, protocol, frame, source, destination } = build()
      using flows = await node.flows('&verdict=dropped')
      const counted = await node.metric('causeway_dropped_packets_total', { reason })
      using socket = new PacketSocket(pod.netns, 'eth0')
      socket.send(frame())
      const mine = (r: FlowRecord): boolean => r.reason?.name === reason && r.protocol === protocol
      await eventually(() => flows.records.some(mine))
      const record = flows.records.find(mine)
      assert.ok(record)
      assert.equal(record.hook, 'pod_out')
      assert.equal(record.interface.pod, 'default/node1-a')
      if (source !== undefined) assert.equal(record.source.address, source)
      if (destination !== undefined) assert.equal(record.destination.address, destination)
      assert.equal(record.reason?.whatToDo, dropReasons.find(r => r.name === reason)?.whatToDo)
      assert.ok((await node.metric('causeway_dropped_packets_total', { reason })) > counted)
    })
  }

  test('is shown by `causeway flows` with the pod, the reason and what to do', async () => {
    using socket = new PacketSocket(pod.netns, 'eth0')
    socket.send(toHost(ipv4({ src: '10.99.99.98', dst: other(4) }), ...datagram))
    const ask = async (): Promise<string> => {
      const command = ['flows', '--verdict', 'dropped', '--pod', 'default/node1-a', '--ip', '10.99.99.98']
      return (await node.causeway(...command)).stdout
    }
    await eventually(async () => (await ask()) !== '')
    const text = await ask()
    assert.match(text, /10\.99\.99\.98:1000 → default\/node2-a .* UDP .* pod_out at cw[0-9a-f]{12} of default\/node1-a/)
    assert.match(
      text,
      /dropped: spoofed_address\n +The source address is not one of the pod's own\.\n +A pod may only send/,
    )
  })

  test('is counted when there are too many to tell of, and told events and lost ones make up all', async () => {
    const sent = 20_000
    const dropped = (): Promise<number> => node.metric('causeway_dropped_packets_total', { reason: 'spoofed_address' })
    const lost = (): Promise<number> => node.metric('causeway_flow_events_lost_total')
    const before = { dropped: await dropped(), lost: await lost() }
    using flows = await node.flows('&reason=spoofed_address')
    using socket = new PacketSocket(pod.netns, 'eth0')
    const frame = toHost(ipv4({ src: '10.99.99.97', dst: other(4) }), ...datagram)
    for (let i = 0; i < sent; i++) socket.send(frame)
    await eventually(async () => (await dropped()) - before.dropped >= sent)
    const uncounted = (await lost()) - before.lost
    assert.ok(uncounted > 0, 'a flood is not told of packet by packet')
    await eventually(() => flows.records.length + flows.lost + uncounted >= sent)
    assert.equal(flows.records.length + flows.lost + uncounted, sent)
    assert.ok(flows.records.length > 0)
  })
})
