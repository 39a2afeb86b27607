/** Pods that leave the cluster by gateways, in a lab of three nodes: as whom they are seen, and what a gateway's end costs. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Shown } from '../../plugins/egress-gateway/show.ts'
import { nodeManifest, podManifest, removeManifest, writeManifest } from '../../deploy/lab/configuration.ts'
import { type PodLayout, podLayout, PROBE_PORT } from '../../deploy/lab/layout.ts'
import { addNamespace } from '../../deploy/lab/namespaces.ts'
import { attachmentOf } from '../../deploy/lab/pod.ts'
import { Cluster, ECHO_PORT, FAMILIES } from '../support/cluster.ts'
import { type CheckResult, ClusterStation } from '../support/cluster-station.ts'
import { eventually } from '../support/eventually.ts'
import { eth, ipv4, ipv6, packet, payload } from '../support/packet.ts'
import { PacketSocket } from '../support/packet-socket.ts'
import { udp } from '../support/packet-transport.ts'

const FAILOVER_MS = 2000
/** Within this a connection is opened by its first segment: the second comes a second later. */
const FIRST_SEGMENT_MS = 900
const SELECTED = { role: 'goes-out' }

let cluster: Cluster
let outside: ClusterStation
before(async () => {
  cluster = await Cluster.start('clgate', { nodes: 3, set: ['egress-gateway={}'] })
  outside = cluster.station('outside')
  for (const name of ['node2', 'node3']) {
    const manifest = nodeManifest(cluster.node(name).layout)
    writeManifest(cluster.lab.layout, name, { ...manifest, metadata: { name, labels: { egress: 'yes' } } })
  }
  for (const name of ['node1-a', 'node2-a', 'node3-a']) {
    const { addresses } = cluster.station(name)
    tell(podLayoutOf(name), addresses)
  }
  policy('corporate', {})
  await eventually(async () => (await shown('node1')).pods.length > 0)
  for (const node of ['node2', 'node3'])
    await eventually(async () => (await shown(node)).policies[0]?.addresses.length === 2)
})
after(() => cluster?.[Symbol.asyncDispose]())

function podLayoutOf(name: string): PodLayout {
  const [node = '', letter = ''] = name.split('-')
  return podLayout(cluster.lab.layout, cluster.node(node).layout, letter.charCodeAt(0) - 97)
}
/** Tells the cluster of a pod that the policies select. */
function tell(pod: PodLayout, addresses: readonly string[]): void {
  const manifest = podManifest(pod, addresses)
  const metadata = { ...(manifest['metadata'] as object), labels: SELECTED }
  writeManifest(cluster.lab.layout, `pod-${pod.name}`, { ...manifest, metadata })
}
function policy(name: string, spec: object): void {
  writeManifest(cluster.lab.layout, `policy-${name}`, {
    apiVersion: 'causeway.dev/v1alpha1',
    kind: 'EgressPolicy',
    metadata: { name },
    spec: {
      selectors: [{ podSelector: { matchLabels: SELECTED } }],
      destinations: ['172.30.0.250/32', 'fd00:30::250/128'],
      gateways: [{ nodeSelector: { matchLabels: { egress: 'yes' } } }],
      ...spec,
    },
  })
}
async function shown(node: string): Promise<Shown> {
  const { status, stdout, stderr } = await cluster.node(node).causeway('egress', '-o', 'json')
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout) as Shown
}
async function gatewayOf(pod: string): Promise<string> {
  const [node = ''] = pod.split('-')
  return (await shown(node)).pods.find(each => each.pod === `default/${pod}`)?.gateway ?? 'none'
}
/** As whom the host outside sees a pod. */
async function seenAs(pod: ClusterStation, family: 4 | 6, timeoutMs = 5000): Promise<readonly string[]> {
  const result = await pod.check('who', outside.address(family), PROBE_PORT + 3, 1, '--timeout', timeoutMs)
  return (result as CheckResult & { readonly clients?: readonly string[] }).clients ?? [result.error ?? '']
}
const addressOf = (node: string, family: 4 | 6): string =>
  cluster.node(node).addresses.find(address => address.includes(':') === (family === 6)) ?? ''

test('selected pods are seen as their gateway, those of the gateway itself too; others as their node', async () => {
  for (const family of FAMILIES) {
    for (const name of ['node1-a', 'node2-a', 'node3-a'])
      assert.deepEqual(await seenAs(cluster.station(name), family), [addressOf(await gatewayOf(name), family)], name)
    assert.deepEqual(await seenAs(cluster.station('node1-b'), family), [addressOf('node1', family)])
  }
})

test('every protocol goes by the gateway, and large transfers too', async () => {
  const pod = cluster.station('node1-a')
  for (const family of FAMILIES) {
    for (const protocol of ['tcp', 'udp', 'icmp']) {
      const port = protocol === 'icmp' ? [] : [ECHO_PORT]
      const { ok, error } = await pod.check(protocol, outside.address(family), ...port, 1000)
      assert.ok(ok, `${protocol}: ${error}`)
    }
    assert.ok((await pod.check('tcp', outside.address(family), ECHO_PORT, 1_000_000)).ok)
  }
})

test('a packet tells by its last hop each node on the way, and bears the gateway’s address outside', async () => {
  const pod = cluster.station('node1-a')
  const row = (await cluster.node('node1').table('endpoints')).find(each => each.pod.name === 'node1-a')
  const gateway = await gatewayOf('node1-a')
  for (const family of FAMILIES) {
    using seen = new PacketSocket(pod.netns, 'eth0')
    using arrived = new PacketSocket(outside.netns, 'eth0')
    const [src, dst] = [pod.address(family), outside.address(family)]
    const send = (hops: number): void =>
      seen.send(
        packet(
          eth({ src: row?.interface.mac ?? '', dst: row?.device.mac ?? '' }),
          family === 4 ? ipv4({ src, dst, ttl: hops }) : ipv6({ src, dst, hopLimit: hops }),
          udp({ sport: 33_333, dport: ECHO_PORT }),
          payload(8),
        ),
      )
    const exceeded = family === 4 ? 'icmp type 11 code 0' : 'icmpv6 type 3 code 0'
    for (const [i, node] of ['node1', gateway].entries()) {
      send(i + 1)
      await seen.text(new RegExp(`ipv${family} ${addressOf(node, family)} > ${src} .*\\n${exceeded}`))
    }
    send(3)
    const left = family === 4 ? 'ttl 1' : 'hop limit 1'
    await arrived.text(new RegExp(`ipv${family} ${addressOf(gateway, family)} > ${dst} ${left}.*\\nudp 33333 >`))
  }
})

test('a chosen address stands for pods; one that is on no device is refused, with those that are', async () => {
  await cluster.node('node2').run(['ip', 'address', 'add', '172.30.0.102/24', 'dev', 'eth0'])
  await cluster.node('node3').run(['ip', 'address', 'add', '172.30.0.103/24', 'dev', 'eth0'])
  const choose = (...addresses: string[]): void =>
    policy('corporate', {
      destinations: ['172.30.0.250/32'],
      gateways: [{ nodeSelector: { matchLabels: { egress: 'yes' } }, addresses }],
    })
  choose('172.30.0.102', '172.30.0.103')
  const wanted: Readonly<Record<string, string>> = { node2: '172.30.0.102', node3: '172.30.0.103' }
  const gateway = await gatewayOf('node1-a')
  await eventually(async () => (await shown(gateway)).policies[0]?.addresses[0] === wanted[gateway])
  await eventually(async () => (await seenAs(cluster.station('node1-a'), 4))[0] === wanted[gateway])
  choose('203.0.113.7')
  const problems = async (): Promise<string[]> => {
    const status = (await cluster.node(gateway).get('/v1/status')) as { problems: { place: string; message: string }[] }
    return status.problems.map(({ place, message }) => `${place}: ${message}`)
  }
  await eventually(async () => (await problems()).length > 0)
  const own = `${addressOf(gateway, 4)} (eth0), ${wanted[gateway]} (eth0)`
  assert.deepEqual(await problems(), [
    `EgressPolicy corporate: spec.gateways[0].addresses: 203.0.113.7 is on no device of ${gateway}; those that are: ${own}`,
  ])
  assert.equal(
    (await cluster.station('node1-a').check('tcp', outside.address(4), ECHO_PORT, 1, '--timeout', 500)).ok,
    false,
  )
  assert.ok((await cluster.node(gateway).metric('causeway_dropped_packets_total', { reason: 'no_gateway' })) > 0)
  policy('corporate', {})
  await eventually(async () => (await seenAs(cluster.station('node1-a'), 4))[0] === addressOf(gateway, 4))
})

test('of policies for one destination the winner is shown', async () => {
  policy('first', {
    priority: 5,
    gateways: [{ nodeSelector: { matchLabels: { 'topology.kubernetes.io/zone': 'eu-west-1a' } } }],
  })
  const assignment = async () => (await shown('node1')).pods.find(each => each.pod === 'default/node1-a')
  await eventually(async () => (await assignment())?.policy === 'first')
  assert.deepEqual((await assignment())?.instead, ['corporate'])
  removeManifest(cluster.lab.layout, 'policy-first')
  await eventually(async () => (await assignment())?.policy === 'corporate')
})

test('the very first packet of a new pod goes by a gateway', async () => {
  const pod = podLayoutOf('node1-d')
  tell(pod, [])
  const station = await cluster.addPod('node1', 3)
  tell(pod, station.addresses)
  for (const family of FAMILIES)
    assert.deepEqual(await seenAs(station, family, FIRST_SEGMENT_MS), [addressOf(await gatewayOf('node1-d'), family)])
  assert.equal(await cluster.node('node1').metric('causeway_dropped_packets_total', { reason: 'labels_unknown' }), 0)
})

test('a pod whose labels are not known reaches the cluster and nobody outside, until they are', async () => {
  const pod = podLayoutOf('node1-e')
  await addNamespace(pod.netnsName)
  const result = await cluster.node('node1').runtime.add(attachmentOf(pod))
  const addresses = (result.ips ?? []).map(ip => ip.address.split('/')[0] ?? '')
  const station = new ClusterStation({ ...pod, addresses }, cluster.built.probe)
  assert.deepEqual((await shown('node1')).unknown, ['default/node1-e'])
  for (const family of FAMILIES) {
    const [inside, away] = [cluster.station('node2-b').address(family), outside.address(family)]
    assert.ok((await station.check('tcp', inside, ECHO_PORT, 1)).ok)
    assert.equal((await station.check('tcp', away, ECHO_PORT, 1, '--timeout', 300)).ok, false)
  }
  assert.ok((await cluster.node('node1').metric('causeway_dropped_packets_total', { reason: 'labels_unknown' })) > 0)
  tell(pod, addresses)
  await eventually(async () => (await gatewayOf('node1-e')) !== 'none')
  for (const family of FAMILIES)
    assert.deepEqual(await seenAs(station, family), [addressOf(await gatewayOf('node1-e'), family)])
})

test('daemons that are killed and start again end no connection, at the pod’s node and at the gateway', async () => {
  const pod = cluster.station('node1-a')
  const streams = await Promise.all(FAMILIES.map(family => pod.stream(outside.address(family))))
  for (const name of ['node1', await gatewayOf('node1-a')]) {
    await cluster.node(name).endDaemon('SIGKILL')
    await cluster.node(name).startDaemon()
  }
  for (const family of FAMILIES) assert.ok((await pod.check('tcp', outside.address(family), ECHO_PORT, 1)).ok)
  for (const stream of streams) {
    const { ok, error, longestGapMs } = await stream.stop()
    assert.ok(ok, error)
    assert.ok(longestGapMs < 1000, `${longestGapMs} ms`)
  }
})

test(`after a gateway falls silent new connections work again within ${FAILOVER_MS} ms, by the other one`, async t => {
  const pod = cluster.station('node1-a')
  const gateway = await gatewayOf('node1-a')
  const other = gateway === 'node2' ? 'node3' : 'node2'
  assert.ok((await pod.check('tcp', outside.address(4), ECHO_PORT, 1)).ok)
  const open = await pod.stream(outside.address(4))
  await cluster.runIn('underlay', ['ip', 'link', 'set', gateway, 'down'])
  const began = performance.now()
  try {
    await eventually(async () => (await pod.check('tcp', outside.address(4), ECHO_PORT, 1, '--timeout', 100)).ok)
    const took = performance.now() - began
    t.diagnostic(`fail-over took ${Math.round(took)} ms`)
    assert.ok(took < FAILOVER_MS, `${took} ms`)
    for (const family of FAMILIES) assert.deepEqual(await seenAs(pod, family), [addressOf(other, family)])
    const { ok, error } = await open.ended
    assert.equal(ok, false)
    assert.match(error ?? '', /reset/i)
    assert.ok((await cluster.node('node1').metric('causeway_egress_gateway_failovers_total', { gateway })) > 0)
    assert.equal(await cluster.node('node1').metric('causeway_egress_gateway_up', { gateway }), 0)
  } finally {
    await cluster.runIn('underlay', ['ip', 'link', 'set', gateway, 'up'])
  }
  await eventually(async () => (await gatewayOf('node1-a')) === gateway, { timeoutMs: 20_000 })
  await eventually(async () => (await seenAs(pod, 4))[0] === addressOf(gateway, 4))
})

test('with no gateway left nothing leaves', async () => {
  for (const node of ['node2', 'node3'])
    writeManifest(cluster.lab.layout, node, nodeManifest(cluster.node(node).layout))
  await eventually(async () => (await gatewayOf('node1-a')) === 'none')
  const pod = cluster.station('node1-a')
  assert.equal((await pod.check('tcp', outside.address(4), ECHO_PORT, 1, '--timeout', 300)).ok, false)
  assert.ok((await cluster.node('node1').metric('causeway_dropped_packets_total', { reason: 'no_gateway' })) > 0)
  assert.ok((await pod.check('tcp', cluster.station('node2-a').address(4), ECHO_PORT, 1)).ok)
})

test('without the policy pods are seen as their node again', async () => {
  removeManifest(cluster.lab.layout, 'policy-corporate')
  await eventually(async () => (await cluster.node('node1').table('egressPaths')).length === 0)
  for (const family of FAMILIES)
    assert.deepEqual(await seenAs(cluster.station('node1-a'), family), [addressOf('node1', family)])
})
