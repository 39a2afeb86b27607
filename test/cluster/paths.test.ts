/**
 * What a packet meets on its way: two kinds of routing in one cluster, smaller MTUs, the last hop, fragments in any order,
 * closed ports. Whoever cannot pass a packet on says so to the pod.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { Family } from '../../daemon/kernel/kernel.ts'
import { nodeManifest, writeManifest } from '../../deploy/lab/configuration.ts'
import { addNamespace } from '../../deploy/lab/namespaces.ts'
import { startProbe } from '../../deploy/lab/node.ts'
import { Cluster, ECHO_PORT, FAMILIES } from '../support/cluster.ts'
import type { ClusterStation } from '../support/cluster-station.ts'
import { eventually } from '../support/eventually.ts'
import { eth, fragment6, ipv4, ipv6, type Layer, packet, payload, PROTOCOL } from '../support/packet.ts'
import { PacketSocket } from '../support/packet-socket.ts'
import { udp } from '../support/packet-transport.ts'

const OTHERS = { 'on the same node': 'node1-b', 'on a near node': 'node2-a', 'on a far node': 'node3-a' } as const
const WORLD: Readonly<Record<Family, string>> = { 4: '172.31.2.2', 6: 'fd00:31:2::2' }
const NARROW_MTU = 1400
/** What fits the overlay over links of 1500. */
const OVERLAY_MTU = 1450
const CLOSED_PORT = 9
const SOURCE_PORT = 30_000

suite('in a cluster of near nodes and a far one', () => {
  let cluster: Cluster
  let pod: ClusterStation
  let frame: (...layers: Layer[]) => Uint8Array
  before(async () => {
    cluster = await Cluster.start('clpaths', { nodes: 3, far: 1 })
    pod = cluster.station('node1-a')
    const row = (await cluster.node('node1').table('endpoints')).find(e => e.pod.name === 'node1-a')
    assert.ok(row)
    frame = (...layers) => packet(eth({ src: row.interface.mac, dst: row.device.mac }), ...layers)
    await layWorld()
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  /** A host behind the router and a narrow link; it knows the way to node1's pods. */
  async function layWorld(): Promise<void> {
    const prefix = cluster.lab.layout.netnsPrefix
    for (const name of ['middle', 'world']) await addNamespace(`${prefix}${name}`)
    const ip = (place: string, ...words: string[]): Promise<string> => cluster.runIn(place, ['ip', ...words])
    const link = async (a: string, b: string, subnet: number, mtu: number): Promise<void> => {
      const peer = ['peer', 'name', a, 'mtu', `${mtu}`, 'netns', `${prefix}${b}`]
      await ip(a, 'link', 'add', b, 'mtu', `${mtu}`, 'type', 'veth', ...peer)
      for (const [place, device, host] of [
        [a, b, 1],
        [b, a, 2],
      ] as const) {
        await ip(place, 'address', 'add', `172.31.${subnet}.${host}/24`, 'dev', device)
        await ip(place, 'address', 'add', `fd00:31:${subnet}::${host}/64`, 'dev', device, 'nodad')
        await ip(place, 'link', 'set', device, 'up')
      }
    }
    for (const name of ['middle', 'world']) await ip(name, 'link', 'set', 'lo', 'up')
    await link('router', 'middle', 1, NARROW_MTU)
    await link('middle', 'world', 2, 1500)
    for (const name of ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'])
      cluster.kernel.setSysctl(name, '1', cluster.netns('middle'))
    const route = async (
      place: string,
      four: readonly [string, string],
      six: readonly [string, string],
    ): Promise<void> => {
      await ip(place, 'route', 'add', four[0], 'via', four[1])
      await ip(place, '-6', 'route', 'add', six[0], 'via', six[1])
    }
    await route('router', ['172.31.2.0/24', '172.31.1.2'], ['fd00:31:2::/64', 'fd00:31:1::2'])
    await route('router', ['10.71.1.0/24', '172.30.0.1'], ['fd00:71:0:1::/112', 'fd00:30::1'])
    await route('middle', ['default', '172.31.1.1'], ['default', 'fd00:31:1::1'])
    await route('world', ['default', '172.31.2.1'], ['default', 'fd00:31:2::1'])
    await route('node1', ['172.31.0.0/16', '172.30.0.254'], ['fd00:31::/32', 'fd00:30::254'])
    await startProbe(
      cluster.lab.layout,
      { name: 'world', netns: cluster.netns('world') },
      cluster.built,
      cluster.signal,
    )
  }

  const ip = (family: Family, to: string, hops = 64): Layer =>
    family === 4
      ? ipv4({ src: pod.address(4), dst: to, ttl: hops, dontFragment: true })
      : ipv6({ src: pod.address(6), dst: to, hopLimit: hops })
  /** A datagram that makes an IP packet of so many bytes. */
  const datagram = (family: Family, to: string, bytes: number, hops = 64, dport = ECHO_PORT): Uint8Array =>
    frame(ip(family, to, hops), udp({ sport: SOURCE_PORT, dport }), payload(bytes - (family === 4 ? 28 : 48)))

  suite('routing', () => {
    test('is native to the near node, with its MTU, and by the overlay to the far one, with its own', async () => {
      for (const [where, name, want] of [
        ['node1', '10.71.2.0/24', 'via 172.30.0.2 dev eth0 proto 202 src 172.30.0.1 mtu 1500'],
        ['node1', '10.71.3.0/24', 'via 169.254.1.2 dev cw-vxlan proto 202 src 172.30.0.1 onlink mtu 1450'],
        ['node3', '10.71.1.0/24', 'via 169.254.1.2 dev cw-vxlan proto 202 src 172.30.1.3 onlink mtu 1450'],
      ] as const)
        assert.equal((await cluster.node(where).run(['ip', 'route', 'show', name])).trim(), `${name} ${want}`)
      using near = new PacketSocket(cluster.netns('underlay'), 'node1')
      await passes(pod, 'node2-a', 1000)
      await passes(pod, 'node3-a', 1000)
      for (const family of FAMILIES) {
        const [from, to] = [pod.address(family), cluster.station('node2-a').address(family)]
        await near.text(new RegExp(`^eth .*\\nipv${family} ${from} > ${to} .*\\ntcp`))
      }
      await near.text(/^eth .*\nipv4 172\.30\.0\.1 > 172\.30\.1\.3 .*\nudp \d+ > 8472/)
      assert.ok(
        !near.texts().some(t => t.startsWith('eth') && t.includes(`> ${cluster.station('node3-a').address(4)} `)),
      )
    })

    test('follows pods outside the range of their node by a route for each', async () => {
      for (const name of ['node2', 'node3']) {
        const { layout } = cluster.node(name)
        const podCidrs = layout.podCidrs.map(c => c.replace(/^10\.71/, '10.72').replace(/^fd00:71/, 'fd00:72'))
        writeManifest(cluster.lab.layout, name, nodeManifest({ ...layout, podCidrs }))
      }
      const routes = async (): Promise<string> =>
        `${await cluster.node('node1').run(['ip', 'route'])}${await cluster.node('node1').run(['ip', '-6', 'route'])}`
      await eventually(async () => {
        const all = await routes()
        return ['10.71.2.1 via', 'fd00:71:0:2::1 via', '10.71.3.2 via', '10.72.2.0/24 via'].every(r => all.includes(r))
      })
      await eventually(async () => !(await routes()).includes('10.71.2.0/24'))
      for (const to of ['node2-a', 'node2-b', 'node3-a', 'node3-b']) await passes(pod, to, 100_000)
      await passes(cluster.station('node1'), 'node2-a', 1000)
      await passes(cluster.station('node3-a'), 'node2-a', 100_000)
      for (const name of ['node2', 'node3'])
        writeManifest(cluster.lab.layout, name, nodeManifest(cluster.node(name).layout))
      await eventually(async () => (await routes()).includes('10.71.3.0/24'))
      await passes(pod, 'node3-a', 1000)
    })

    test('by the overlay goes on where a link between the nodes carries less than they know', async () => {
      // By the routes of the router and not by its devices: a veth drops what is longer than the MTU of the end that receives.
      const narrow = async (verb: 'add' | 'delete'): Promise<void> => {
        for (const [name, device] of [
          ['node1', 'eth0'],
          ['node3', 'far'],
        ] as const) {
          const [host = ''] = cluster.node(name).addresses
          await cluster.runIn('router', ['ip', 'route', verb, host, 'dev', device, 'mtu', 'lock', `${NARROW_MTU}`])
        }
      }
      await narrow('add')
      const far = cluster.station('node3-a')
      using crossing = new PacketSocket(cluster.netns('node3'), 'eth0')
      for (const [from, to] of [
        [pod, far],
        [far, pod],
      ] as const) {
        await passes(from, to.name, 200_000)
        for (const family of FAMILIES) {
          const filled = OVERLAY_MTU - (family === 4 ? 28 : 48)
          const { error } = await from.check('udp', to.address(family), ECHO_PORT, filled)
          assert.equal(error, undefined, `a packet of ${OVERLAY_MTU} bytes to ${to.name}, IPv${family}`)
        }
      }
      await crossing.text(/ipv4 172\.30\.0\.1 > 172\.30\.1\.3 .* fragment 0\+/)
      await narrow('delete')
    })

    test('ends at the node whose range it is for what none of its pods has, though the node has a default route', async () => {
      const node1 = cluster.node('node1')
      const gone = { 4: '10.71.1.200', 6: 'fd00:71:0:1::200' }
      // The router knows the way to the range of node1, as a cloud's route table does: what leaves comes back.
      await node1.run(['ip', 'route', 'add', 'default', 'via', '172.30.0.254'])
      await node1.run(['ip', '-6', 'route', 'add', 'default', 'via', 'fd00:30::254'])
      using flows = await node1.flows('&verdict=dropped')
      using router = new PacketSocket(cluster.netns('router'), 'eth0')
      for (const family of FAMILIES) {
        const unreachable = family === 4 ? 'icmp type 3 code 1 ' : 'icmpv6 type 1 code 0 '
        for (const from of ['node2-a', 'node1-b'].map(name => cluster.station(name))) {
          using seen = new PacketSocket(from.netns, 'eth0')
          const { ok } = await from.check('udp', gone[family], ECHO_PORT, 10, '--timeout', 100)
          assert.ok(!ok, `${from.name} IPv${family}`)
          const host = node1.addresses[family === 4 ? 0 : 1]
          await seen.text(new RegExp(`ipv${family} ${host} > ${from.address(family)} .*\\n${unreachable}`))
        }
        const local = cluster.station('node1-b').address(family)
        await eventually(() =>
          flows.records.some(
            r => r.reason?.name === 'no_route' && r.source.address === local && r.destination.address === gone[family],
          ),
        )
        // The router has seen all that came before this one.
        assert.ok((await cluster.station('outside').check('icmp', node1.addresses[family === 4 ? 0 : 1] ?? '', 10)).ok)
      }
      assert.deepEqual(
        router.texts().filter(t => Object.values(gone).some(address => t.includes(` > ${address} `))),
        [],
      )
      await node1.run(['ip', 'route', 'delete', 'default'])
      await node1.run(['ip', '-6', 'route', 'delete', 'default', 'via', 'fd00:30::254'])
    })

    async function passes(from: ClusterStation, to: string, bytes: number): Promise<void> {
      for (const family of FAMILIES) {
        const address = cluster.station(to).address(family)
        assert.deepEqual((await from.check('tcp', address, ECHO_PORT, bytes)).error, undefined, `${to} IPv${family}`)
      }
    }
  })

  for (const family of FAMILIES) {
    const tooBig = (mtu: number): RegExp =>
      family === 4
        ? new RegExp(`icmp type 3 code 4 id 0 sequence ${mtu}`)
        : new RegExp(`icmpv6 type 2 code 0 id 0 sequence ${mtu}`)
    suite(`IPv${family}: a packet`, () => {
      test('that does not fit a link beyond the node is answered by the router there', async () => {
        using seen = new PacketSocket(pod.netns, 'eth0')
        seen.send(datagram(family, WORLD[family], NARROW_MTU + 1))
        await seen.text(tooBig(NARROW_MTU))
      })
      test('stream that meets such a link gets through whole', async () => {
        await pod.run(['ip', family === 4 ? '-4' : '-6', 'route', 'flush', 'cache'])
        using seen = new PacketSocket(pod.netns, 'eth0')
        const { error } = await pod.check('tcp', WORLD[family], ECHO_PORT, 1_000_000, '--timeout', 20_000)
        assert.equal(error, undefined)
        await seen.text(tooBig(NARROW_MTU))
      })
      test('that does not fit the overlay is answered by the own node, with what fits', async () => {
        const to = cluster.station('node3-a').address(family)
        using seen = new PacketSocket(pod.netns, 'eth0')
        using arrived = new PacketSocket(cluster.station('node3-a').netns, 'eth0')
        seen.send(datagram(family, to, 1451))
        await seen.text(tooBig(1450))
        seen.send(datagram(family, to, 1450))
        await arrived.text(
          new RegExp(`udp ${SOURCE_PORT} > ${ECHO_PORT}\\npayload ${family === 4 ? 1422 : 1402} bytes`),
        )
        assert.equal(arrived.texts().filter(t => t.includes(`udp ${SOURCE_PORT} > `)).length, 1)
      })
      test('that just fits a native way arrives', async () => {
        const to = cluster.station('node2-a').address(family)
        using arrived = new PacketSocket(cluster.station('node2-a').netns, 'eth0')
        using seen = new PacketSocket(pod.netns, 'eth0')
        seen.send(datagram(family, to, 1500))
        await arrived.text(
          new RegExp(`udp ${SOURCE_PORT} > ${ECHO_PORT}\\npayload ${family === 4 ? 1472 : 1452} bytes`),
        )
      })

      const exceeded = family === 4 ? 'icmp type 11 code 0' : 'icmpv6 type 3 code 0'
      for (const [where, to, nodes] of [
        ['on the same node', 'node1-b', ['node1']],
        ['on a near node', 'node2-a', ['node1', 'node2']],
        ['on a far node', 'node3-a', ['node1', 'node3']],
      ] as const)
        test(`to a pod ${where} tells by its last hop each node on the way, then arrives`, async () => {
          const address = cluster.station(to).address(family)
          using seen = new PacketSocket(pod.netns, 'eth0')
          using arrived = new PacketSocket(cluster.station(to).netns, 'eth0')
          for (const [i, node] of nodes.entries()) {
            const port = 33_000 + i
            seen.send(datagram(family, address, 100, i + 1, port))
            const router = cluster.station(node).address(family)
            await seen.text(new RegExp(`^ipv${family} ${router} > .*\\n${exceeded} `, 'm'))
            assert.ok(!arrived.texts().some(t => t.includes(`> ${port}`)))
          }
          seen.send(datagram(family, address, 100, nodes.length + 1, 34_000))
          assert.match(await arrived.text(/> 34000/), family === 4 ? / ttl 1 / : / hop limit 1\n/)
        })

      for (const [where, to] of Object.entries({
        ...OTHERS,
        'that is the node': 'node1',
        'that is another node': 'node2',
      }))
        test(`to a closed port ${where} is refused`, async () => {
          const address = cluster.station(to).address(family)
          const { error } = await pod.check('udp', address, CLOSED_PORT, 10)
          assert.match(error ?? '', /Connection refused/)
        })

      for (const [where, to] of Object.entries(OTHERS)) {
        test(`in fragments to a pod ${where} arrives in whatever order they come`, async () => {
          const address = cluster.station(to).address(family)
          using seen = new PacketSocket(pod.netns, 'eth0')
          for (const [i, order] of [
            [0, 1, 2],
            [2, 1, 0],
            [1, 2, 0],
          ].entries()) {
            const sport = SOURCE_PORT + 1 + i
            const pieces = fragments(family, address, sport)
            for (const index of order) seen.send(pieces[index] ?? new Uint8Array())
            await seen.text(new RegExp(` > ${pod.address(family)} [^]*udp ${ECHO_PORT} > ${sport}`))
          }
        })
        test(`of 60 kB passes to and from a pod ${where}`, async () => {
          const there = await pod.check('udp', cluster.station(to).address(family), ECHO_PORT, 60_000)
          const back = await cluster.station(to).check('udp', pod.address(family), ECHO_PORT, 60_000)
          assert.deepEqual([there.error, back.error], [undefined, undefined])
        })
      }
    })
  }

  /** A datagram of 2,000 bytes in three fragments. */
  function fragments(family: Family, to: string, sport: number): Uint8Array[] {
    const whole = packet(ip(family, to), udp({ sport, dport: ECHO_PORT }), payload(2000)).subarray(
      family === 4 ? 20 : 40,
    )
    const cuts = [0, 800, 1600, whole.length]
    return [0, 1, 2].map(i => {
      const bytes = whole.subarray(cuts[i], cuts[i + 1])
      const [offset, more] = [cuts[i] ?? 0, i < 2]
      const piece: Layer = () => ({ bytes, kind: PROTOCOL.udp })
      return family === 4
        ? frame(ipv4({ src: pod.address(4), dst: to, id: sport, offset, more }), piece)
        : frame(ipv6({ src: pod.address(6), dst: to }), fragment6({ id: sport, offset, more }), piece)
    })
  }

  test('answers to packets on their last hop are limited, and nothing else suffers', async () => {
    const to = cluster.station('node2-b').address(4)
    const sender = cluster.station('node1-b')
    const row = (await cluster.node('node1').table('endpoints')).find(e => e.pod.name === 'node1-b')
    using seen = new PacketSocket(sender.netns, 'eth0')
    const last = packet(
      eth({ src: row?.interface.mac ?? '', dst: row?.device.mac ?? '' }),
      ipv4({ src: sender.address(4), dst: to, ttl: 1 }),
      udp({ sport: 1, dport: 2 }),
    )
    for (let i = 0; i < 5000; i++) seen.send(last)
    assert.equal((await sender.check('tcp', to, ECHO_PORT, 100_000)).error, undefined)
    const answers = seen.texts().filter(t => t.includes('icmp type 11 code 0')).length
    assert.ok(answers >= 1 && answers < 500, `${answers} answers to 5000 packets`)
  })
})
