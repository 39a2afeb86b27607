/**
 * One cluster whose nodes are of several networks, on two links with a router between them that knows the way to pods: the
 * way is chosen for each pair of nodes by the labels of both, seen on the wire, and changed under open connections.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { Family } from '../../daemon/kernel/kernel.ts'
import { nodeManifest, writeManifest } from '../../deploy/lab/configuration.ts'
import { bare } from '../../deploy/lab/layout.ts'
import { Cluster, ECHO_PORT, FAMILIES } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { PacketSocket } from '../support/packet-socket.ts'

const LABEL = 'causeway.dev/native-network'
/** Generous, because the machine may be busy: a lost packet alone costs 200 ms. */
const GAP_MS = 1500
const NODES = ['node1', 'node2', 'node3', 'node4'] as const
type NodeName = (typeof NODES)[number]
/** By name of the node; absent: no label. */
type Networks = Readonly<Partial<Record<NodeName, string>>>

/** node1 and node2 are on one link, node3 and node4 on the other. */
const FIRST: Networks = { node1: 'east', node3: 'east', node2: 'west' }
const SECOND: Networks = { node1: 'east', node2: 'east', node4: 'east' }

suite('in a cluster with nodes of several networks', () => {
  let cluster: Cluster
  before(async () => {
    cluster = await Cluster.start('clnets', { nodes: 4, far: 2 })
    for (const { layout } of cluster.nodes)
      for (const [i, range] of layout.podCidrs.entries()) {
        const family = i === 0 ? '-4' : '-6'
        await cluster.runIn('router', ['ip', family, 'route', 'add', range, 'via', bare(layout.addresses[i] ?? '')])
      }
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  for (const [when, networks] of [
    ['no node has a label', {}],
    ['a pair has the same label across the router, and neighbours have others', FIRST],
    ['labels have changed', SECOND],
  ] as const)
    test(`every pod reaches every other, by the way that both its nodes choose: ${when}`, async () => {
      await label(networks)
      for (const from of NODES)
        for (const to of NODES) if (from !== to) await assertWay(from, to, wayOf(networks, from, to))
      await assertMatrix()
    })

  test('the ways and their reasons are in causeway nodes and causeway status', async () => {
    await label(FIRST)
    const { stdout } = await cluster.node('node1').causeway('nodes')
    for (const [node, path, why] of [
      ['node2', 'overlay to 172.30.0.2', 'other network: west there, east here'],
      ['node3', 'native', 'network east'],
      ['node4', 'overlay to 172.30.1.4', 'other network: none there, east here'],
    ] as const)
      assert.match(stdout, new RegExp(`^${node} .* ${path} +${why}$`, 'm'))
    const status = (await cluster.node('node1').causeway('status')).stdout
    assert.match(
      status,
      /routing +auto: native to node3 \(network east\); overlay to node2 \(other network: west there, east here\); overlay to node4 /,
    )
    assert.match(status, /cloud +none \(cloud in the configuration\): pods are routed in network east/)
  })

  test('causeway trace follows a packet along both ways', async () => {
    for (const [to, way] of [
      ['node3-a', /via 172\.30\.0\.254|eth0/],
      ['node2-a', /172\.30\.0\.2\b/],
    ] as const) {
      const address = `${cluster.station(to).address(4)}:${ECHO_PORT}`
      const { stdout, stderr, status } = await cluster
        .node('node1')
        .causeway('trace', '--from', 'default/node1-a', '--to', address)
      assert.equal(status, 0, stderr)
      assert.match(stdout, way)
    }
  })

  test('open connections go on while their way changes, from the overlay to native routing and back, on one link and across', async () => {
    await label(FIRST)
    const pairs = [
      ['node1', 'node2'],
      ['node1', 'node3'],
      ['node2', 'node3'],
    ] as const
    const streams = await Promise.all(
      pairs.flatMap(([from, to]) =>
        FAMILIES.flatMap(family =>
          [`${from}-a`, `${to}-a`].map(async (name, i) => {
            const other = cluster.station([`${to}-a`, `${from}-a`][i] ?? '')
            return await cluster.station(name).stream(other.address(family))
          }),
        ),
      ),
    )
    for (const networks of [SECOND, FIRST, { node1: 'north', node2: 'north', node3: 'north' }, FIRST]) {
      await label(networks)
      for (const [from, to] of pairs) await assertWay(from, to, wayOf(networks, from, to))
    }
    const results = await Promise.all(streams.map(stream => stream.stop()))
    assert.deepEqual(
      results.filter(r => !r.ok || r.longestGapMs > GAP_MS || r.received < 10),
      [],
    )
  })

  test('a native way leaves by another gateway once the routes of the node do', async () => {
    await label(FIRST)
    const node1 = cluster.node('node1')
    const routeTo = async (): Promise<string> => await node1.run(['ip', 'route', 'show', '10.71.3.0/24'])
    await eventually(async () => (await routeTo()).includes('via 172.30.0.254'))
    await cluster.runIn('router', ['ip', 'address', 'add', '172.30.0.252/24', 'dev', 'eth0'])
    await node1.run(['ip', 'route', 'replace', '172.30.1.0/24', 'via', '172.30.0.252'])
    await eventually(async () => (await routeTo()).includes('via 172.30.0.252'))
    await assertWay('node1', 'node3', 'native')
    await node1.run(['ip', 'route', 'delete', '172.30.1.0/24'])
    await eventually(async () => (await node1.causeway('status')).stdout.includes('no route leads to 172.30.1.3'))
    await node1.run(['ip', 'route', 'add', '172.30.1.0/24', 'via', '172.30.0.254'])
    await eventually(async () => (await routeTo()).includes('via 172.30.0.254'))
    await assertWay('node1', 'node3', 'native')
  })

  /** Gives the nodes these labels and waits until all of them have planned with them. */
  async function label(networks: Networks): Promise<void> {
    for (const { layout } of cluster.nodes) {
      const manifest = nodeManifest(layout)
      const network = networks[layout.name as NodeName]
      const metadata = manifest.metadata as { readonly labels: object }
      const labels = { ...metadata.labels, ...(network !== undefined && { [LABEL]: network }) }
      writeManifest(cluster.lab.layout, layout.name, { ...manifest, metadata: { ...metadata, labels } })
    }
    for (const from of NODES)
      await eventually(async () => {
        const rows = await cluster.node(from).table('ipcache')
        return NODES.every(
          to => from === to || rows.every(r => r.node !== to || r.path.kind === wayOf(networks, from, to)),
        )
      })
  }

  /** Where pods' packets of one node to another's are on the wire, with both families. */
  async function assertWay(from: NodeName, to: NodeName, way: 'native' | 'overlay'): Promise<void> {
    const [pod, other] = [cluster.station(`${from}-a`), cluster.station(`${to}-b`)]
    const [place, node] = [cluster.node(from).layout.far ? 'router' : 'underlay', cluster.node(from)]
    for (const family of FAMILIES) {
      const native = new RegExp(`^eth .*\\nipv${family} ${pod.address(family)} > ${other.address(family)} `)
      const overlay = new RegExp(
        `^eth .*\\nipv4 ${node.addresses[0]} > ${cluster.node(to).addresses[0]} .*\\nudp \\d+ > 8472`,
      )
      // The kernel's routes follow the table, each a moment later.
      await eventually(async () => {
        using wire = new PacketSocket(cluster.netns(place), from)
        const { error } = await pod.check('udp', other.address(family), ECHO_PORT, 100)
        assert.equal(error, undefined, `${from} → ${to} IPv${family}`)
        const has = (pattern: RegExp): boolean => wire.texts().some(text => pattern.test(text))
        return way === 'native' ? has(native) : has(overlay) && !has(native)
      })
    }
  }

  async function assertMatrix(): Promise<void> {
    const pods = NODES.flatMap(node => [`${node}-a`, `${node}-b`]).map(name => cluster.station(name))
    const ask = async (family: Family, protocol: 'tcp' | 'udp', bytes: number): Promise<void> => {
      for (const pod of pods) {
        const others = pods.filter(other => other !== pod)
        const checks = others.map(async other => {
          const { error } = await pod.check(protocol, other.address(family), ECHO_PORT, bytes)
          return error === undefined ? [] : `${pod.name} → ${other.name} ${protocol} IPv${family}: ${error}`
        })
        assert.deepEqual((await Promise.all(checks)).flat(), [])
      }
    }
    for (const family of FAMILIES) {
      await ask(family, 'tcp', 100_000)
      await ask(family, 'udp', 4000)
    }
  }
})

/** What both are to choose: by their networks where one has any, else by the link. */
function wayOf(networks: Networks, a: NodeName, b: NodeName): 'native' | 'overlay' {
  const [one, other] = [networks[a], networks[b]]
  const far = (node: NodeName): boolean => node === 'node3' || node === 'node4'
  if (one === undefined && other === undefined) return far(a) === far(b) ? 'native' : 'overlay'
  return one === other ? 'native' : 'overlay'
}
