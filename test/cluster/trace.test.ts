/**
 * `causeway trace` on real nodes: what it says of packets is what becomes of such packets, and nothing of what the node holds
 * changes by it.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { MAP_LAYOUTS } from '../../daemon/datapath/pinned-maps.ts'
import { bytes, codec } from '../../daemon/kernel/bpf/layout.ts'
import { mapOfFd } from '../../daemon/kernel/bpf/map.ts'
import { mapInfo, possibleCpus, transferSize } from '../../daemon/kernel/bpf/map-info.ts'
import { pinnedMap } from '../../daemon/datapath/map-pins.ts'
import type { Trace } from '../../daemon/trace/tracer.ts'
import { writeManifest } from '../../deploy/lab/configuration.ts'
import { serviceObjects } from '../../deploy/lab/service-manifest.ts'
import { Cluster, ECHO_PORT, FAMILIES } from '../support/cluster.ts'
import type { ClusterNode } from '../support/cluster-node.ts'
import type { ClusterStation } from '../support/cluster-station.ts'
import { eventually } from '../support/eventually.ts'

const PORT = 80
const NODE_PORTS = { web: 30_120, nobody: 30_121, self: 30_122 }
const clusterIP = (n: number, family: 4 | 6): string => (family === 4 ? `10.97.1.${n}` : `fd00:97::1:${n}`)
const socket = (address: string, port: number): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`

suite('a trace', () => {
  let cluster: Cluster
  let node: ClusterNode
  let pod: ClusterStation
  let far: ClusterStation
  let outside: ClusterStation
  before(async () => {
    cluster = await Cluster.start('cltrace', { nodes: 2, pods: 2, set: ['routing.mode=overlay'] })
    node = cluster.node('node1')
    pod = cluster.station('node1-a')
    far = cluster.station('node2-a')
    outside = cluster.station('outside')
    writeService('nobody', 2, NODE_PORTS.nobody, [])
    writeService('self', 3, NODE_PORTS.self, [pod])
    writeService('web', 1, NODE_PORTS.web, [far])
    for (const family of FAMILIES)
      await eventually(async () => (await pod.check('tcp', clusterIP(1, family), PORT, 1000)).ok)
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  function writeService(name: string, n: number, nodePort: number, endpoints: readonly ClusterStation[]): void {
    const items = serviceObjects({
      name,
      clusterIPs: FAMILIES.map(family => clusterIP(n, family)),
      ports: [{ protocol: 'TCP', port: PORT, targetPort: ECHO_PORT, nodePort }],
      endpoints,
      spec: { type: 'NodePort' },
      status: {},
    })
    writeManifest(cluster.lab.layout, `test-service-${name}`, { apiVersion: 'v1', kind: 'List', items })
  }

  async function trace(...args: readonly string[]): Promise<Trace> {
    const { status, stdout, stderr } = await node.causeway('trace', ...args, '-o', 'json')
    assert.equal(status, 0, stderr)
    return JSON.parse(stdout) as Trace
  }
  const fromOutside = (family: 4 | 6, ...args: readonly string[]): Promise<Trace> =>
    trace('--from', outside.address(family), ...args)
  const fromPod = (...args: readonly string[]): Promise<Trace> => trace('--from', 'node1-a', ...args)

  for (const family of FAMILIES) {
    test(`names over IPv${family} the service, its backend on another node, the way back and the overlay`, async () => {
      const told = await fromPod('--to', clusterIP(1, family).includes(':') ? socket(clusterIP(1, 6), PORT) : 'web')
      assert.equal(told.asked, 'default/web')
      assert.equal(told.flow.state, 'new')
      const { translation, replies, outcome } = told
      assert.deepEqual(translation?.kinds, ['service'])
      assert.equal(translation?.service?.name, 'default/web')
      assert.deepEqual(translation?.to.destination, {
        address: far.address(family),
        port: ECHO_PORT,
        pod: 'default/node2-a',
        node: 'node2',
      })
      assert.equal(replies?.to.source.address, clusterIP(1, family))
      assert.equal(replies?.to.destination.pod, 'default/node1-a')
      assert.deepEqual([outcome.kind, 'node' in outcome && outcome.node], ['overlay', 'node2'])
      assert.equal(told.leaves?.destination, far.address(family))
    })

    test(`shows over IPv${family} the egress address of who leaves the cluster, and by which uplink`, async () => {
      const told = await fromPod('--to', socket(outside.address(family), ECHO_PORT), '--source-port', '4321')
      assert.deepEqual(told.translation?.kinds, ['masquerade'])
      const address = cluster.station('node1').address(family)
      assert.deepEqual(told.translation?.to.source, { address, port: 4321, node: 'node1' })
      assert.equal(told.translation?.port, 'kept')
      assert.deepEqual([told.outcome.kind, 'device' in told.outcome && told.outcome.device], ['uplink', 'eth0'])
      assert.deepEqual([told.leaves?.source, told.leaves?.sourcePort], [address, 4321])
    })

    test(`goes over IPv${family} straight to a pod of the node, from a pod and from the node itself`, async () => {
      const to = socket(cluster.station('node1-b').address(family), ECHO_PORT)
      const told = await fromPod('--to', to)
      assert.deepEqual([told.outcome.kind, 'pod' in told.outcome && told.outcome.pod], ['pod', 'default/node1-b'])
      assert.equal(told.leaves?.hops, 63)
      const own = await trace('--from', cluster.station('node1').address(family), '--to', to)
      assert.equal(own.enters.program, 'pod_in')
      assert.equal(own.outcome.kind, 'pod')
    })

    test(`follows over IPv${family} who asks a node port from outside`, async () => {
      const address = cluster.station('node1').address(family)
      const told = await fromOutside(family, '--to', socket(address, NODE_PORTS.web))
      assert.deepEqual(told.enters, { program: 'uplink_in', device: 'eth0' })
      assert.deepEqual(told.translation?.kinds, ['service'])
      assert.equal(told.translation?.service?.kind, 'node-port')
      assert.equal(told.translation?.to.source.address, address)
      assert.equal(told.translation?.to.destination.pod, 'default/node2-a')
      assert.equal(told.outcome.kind, 'overlay')
    })

    test(`knows over IPv${family} a connection that is open, in both directions`, async () => {
      using flows = await node.flows(`&ip=${outside.address(family)}&pod=default/node1-a`)
      const stream = await pod.stream(outside.address(family), ECHO_PORT)
      const opened = (): number | undefined => flows.records.find(r => r.moment === 'first')?.source.port
      await eventually(() => opened() !== undefined)
      const port = `${opened()}`
      const told = await fromPod('--to', socket(outside.address(family), ECHO_PORT), '--source-port', port)
      assert.deepEqual([told.flow.state, told.flow.reply, told.packet.flags], ['established', false, 'A'])
      assert.ok((told.flow.packets ?? 0) > 0 && (told.flow.replyPackets ?? 0) > 0)
      assert.equal(told.translation?.made, false)
      const [address, from] = [cluster.station('node1').address(family), told.translation?.to.source.port ?? 0]
      const back = await fromOutside(family, '--to', socket(address, from), '--source-port', `${ECHO_PORT}`)
      assert.deepEqual([back.flow.state, back.flow.reply], ['established', true])
      assert.deepEqual(back.translation?.kinds, ['reply'])
      assert.deepEqual([back.leaves?.destination, back.leaves?.destinationPort], [pod.address(family), Number(port)])
      assert.deepEqual([back.outcome.kind, 'pod' in back.outcome && back.outcome.pod], ['pod', 'default/node1-a'])
      assert.equal((await stream.stop()).ok, true)
    })
  }

  for (const family of FAMILIES)
    test(`takes over IPv${family} what a pod of another node sends out of the overlay`, async () => {
      const to = socket(pod.address(family), ECHO_PORT)
      const told = await trace('--from', far.address(family), '--to', to, '--in')
      assert.deepEqual(told.enters, { program: 'overlay_in', device: 'cw-vxlan' })
      assert.deepEqual([told.outcome.kind, 'pod' in told.outcome && told.outcome.pod], ['pod', 'default/node1-a'])
      const forged = await trace('--from', pod.address(family), '--to', to, '--device', 'cw-vxlan')
      assert.equal(forged.outcome.kind === 'dropped' && forged.outcome.reason.name, 'loop')
    })

  test('says why a packet is dropped, what to do, and what its sender hears', async () => {
    const lost = await fromPod('--to', '198.51.100.7:53', '--protocol', 'udp')
    assert.ok(lost.outcome.kind === 'dropped')
    assert.deepEqual([lost.outcome.reason.name, lost.outcome.told], ['no_route', 'by-stack'])
    const refused = await fromPod('--to', 'nobody')
    assert.ok(refused.outcome.kind === 'dropped')
    assert.deepEqual([refused.outcome.reason.name, refused.outcome.told], ['no_backend', 'reset'])
    assert.equal(refused.leaves?.flags, 'RA')
    const { stdout } = await node.causeway('trace', '--from', 'node1-a', '--to', 'nobody')
    assert.match(stdout, /^dropped +no_backend\n +The service has no endpoint.*\n +Look at the service/m)
  })

  test('tells a pod whose service leads to itself from an answer', async () => {
    const told = await fromPod('--to', 'self')
    assert.deepEqual([told.outcome.kind, 'pod' in told.outcome && told.outcome.pod], ['pod', 'default/node1-a'])
    assert.equal(told.leaves?.source, clusterIP(3, 4))
  })

  test('answers for a service that is pinged', async () => {
    const told = await fromPod('--to', 'web', '--protocol', 'icmp')
    assert.equal(told.outcome.kind, 'answered')
    assert.equal(told.leaves?.source, clusterIP(1, 4))
  })

  test('leaves what is longer than its way takes to the host’s stack', async () => {
    const told = await fromPod('--to', socket(far.address(4), ECHO_PORT), '--size', '3500')
    assert.deepEqual(told.outcome, { kind: 'stack', why: 'too-long' })
    const away = await fromPod('--to', socket(outside.address(4), ECHO_PORT), '--size', '3500')
    assert.ok(away.outcome.kind === 'dropped', 'but what bears the node’s address is answered')
    assert.deepEqual([away.outcome.reason.name, away.outcome.told], ['too_big', 'too-big'])
    assert.deepEqual([away.flow.state, away.translation?.kinds], ['new', ['masquerade']])
    assert.deepEqual([away.leaves?.destination, away.leaves?.icmp], [pod.address(4), { type: 3, code: 4 }])
  })

  test('knows the gateway of pods for the node itself', async () => {
    const told = await fromPod('--to', '169.254.1.1', '--protocol', 'icmp')
    assert.equal(told.outcome.kind, 'host')
  })

  test('is a line a step for people', async () => {
    const to = socket(outside.address(4), ECHO_PORT)
    const { stdout } = await node.causeway('trace', '--from', 'default/node1-a', '--to', to, '--source-port', '4321')
    const steps = stdout.trimEnd().split('\n')
    assert.deepEqual(
      steps.map(line => line.split(/\s/)[0]),
      ['packet', 'enters', 'flow', 'masquerade', 'replies', 'route', 'leaves'],
    )
    assert.match(steps[3] ?? '', /default\/node1-a \(\S+:4321\) becomes node node1 \(\S+:4321\), port kept/)
  })

  test('names the node to ask, and a pod that may be meant', async () => {
    const elsewhere = await node.causeway('trace', '--from', 'node2-a', '--to', 'web')
    assert.deepEqual([elsewhere.status, /causeway trace on node2/.test(elsewhere.stderr)], [1, true])
    const unknown = await node.causeway('trace', '--from', 'node1-aa', '--to', 'web')
    assert.deepEqual([unknown.status, /perhaps default\/node1-a is meant/.test(unknown.stderr)], [1, true])
  })

  test('changes nothing of flows, translations, counters and what is told of them', async () => {
    using flows = await node.flows()
    const before = await held()
    for (const to of [
      'web',
      'nobody',
      socket(outside.address(4), ECHO_PORT),
      '198.51.100.7:53',
      socket(far.address(6), 7),
    ])
      await fromPod('--to', to)
    await fromOutside(4, '--to', socket(cluster.station('node1').address(4), NODE_PORTS.web))
    const now = await held()
    // Expiry may have come by meanwhile, so that entries may go; none may come.
    for (const [map, keys] of Object.entries(now.maps))
      assert.deepEqual(
        keys.filter(key => !before.maps[map]?.includes(key)),
        [],
        map,
      )
    assert.ok((before.maps.conntrack?.length ?? 0) > 0)
    assert.deepEqual(now.dropped, before.dropped)
    assert.equal(now.hits, before.hits)
    assert.deepEqual(flows.records, [])
  })

  /** Keys of the maps that packets change, and what is counted. */
  async function held() {
    const names = [
      'conntrack',
      'translations',
      'affinities',
      'metrics',
      'fragments',
      'nat_crowds',
      'crowd_shares',
    ] as const
    const maps = Object.fromEntries(names.map(name => [name, keysOf(name)]))
    // Of what is traced; pods' own chatter goes on.
    const reasons = ['no_route', 'no_backend'].map(reason => node.metric('causeway_dropped_packets_total', { reason }))
    const dropped = await Promise.all(reasons)
    return { maps: maps as Readonly<Record<string, readonly string[]>>, dropped, hits: await hits() }
  }
  const hits = (): Promise<number> => node.metric('causeway_service_flows_total')

  function keysOf(name: string): readonly string[] {
    using pin = pinnedMap(join(node.layout.paths.bpf, 'maps', `${name}_v${MAP_LAYOUTS[name]?.version}`))
    assert.ok(pin, name)
    const info = mapInfo(pin.fd)
    const size = transferSize(info, possibleCpus())
    using map = mapOfFd(pin.fd, codec(bytes(info.keySize), bytes(size)))
    return [...map.entries()].map(([key]) => Buffer.from(key).toString('hex'))
  }
})
