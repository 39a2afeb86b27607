/** Ports that pods leave the cluster with, in a lab: what is told of real connections, and of a pod that gets none. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { stringify } from 'yaml'
import type { NatReport } from '../../daemon/nat/report.ts'
import type { Crowd } from '../../deploy/lab/crowds.ts'
import { Cluster, ECHO_PORT, FAMILIES } from '../support/cluster.ts'
import type { ClusterNode } from '../support/cluster-node.ts'
import type { ClusterStation } from '../support/cluster-station.ts'
import { eventually } from '../support/eventually.ts'
import { eth, ipv4, packet, payload } from '../support/packet.ts'
import { PacketSocket } from '../support/packet-socket.ts'
import { protocol } from '../support/packet-transport.ts'

const CONNECTIONS = { 'node1-a': 30, 'node1-b': 12 } as const
const GRE = 47

let cluster: Cluster
let node: ClusterNode
let outside: ClusterStation
let crowds: readonly Crowd[]
before(async () => {
  cluster = await Cluster.start('clnat')
  node = cluster.node('node1')
  outside = cluster.station('outside')
  crowds = await Promise.all(
    Object.entries(CONNECTIONS).flatMap(([name, count]) =>
      FAMILIES.map(family => cluster.station(name).crowd('hold', count, outside.address(family), ECHO_PORT)),
    ),
  )
})
after(() => cluster?.[Symbol.asyncDispose]())

/** What the command says, in JSON. */
async function report(...args: readonly string[]): Promise<NatReport> {
  const { status, stdout, stderr } = await node.causeway('nat', '-o', 'json', ...args)
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout) as NatReport
}
/** The node's own address of a family on its uplink. */
function egressOf(family: 4 | 6): string {
  return node.addresses.find(address => address.includes(':') === (family === 6)) ?? ''
}

for (const family of FAMILIES)
  test(`IPv${family}: connections to the outside are counted by destination, pod and address`, async () => {
    const { masquerade, destinations, pods, addresses } = await report()
    assert.equal(masquerade, true)
    const to = destinations.list.find(d => d.destination === outside.address(family) && d.protocol === 'TCP')
    assert.ok(to)
    assert.equal(to.destinationPort, ECHO_PORT)
    assert.equal(to.egressAddress, egressOf(family))
    assert.deepEqual(
      to.pods,
      Object.entries(CONNECTIONS).map(([name, used]) => ({ pod: `default/${name}`, used })),
    )
    assert.equal(to.used, 42)
    assert.equal(to.free, to.total - 42)
    // Of the node's own servers some listen at every address.
    assert.ok(to.total < 64_512 && to.total > 64_400, `${to.total} ports`)
    const address = addresses.find(a => a.egressAddress === egressOf(family))
    assert.ok(address)
    assert.equal(address.headroom, to.free)
    assert.equal(address.fullest?.destination, outside.address(family))
    for (const [name, used] of Object.entries(CONNECTIONS)) {
      const pod = pods.list.find(p => p.pod === `default/${name}`)
      assert.ok(pod && pod.mappings >= 2 * used, `${pod?.mappings} mappings of ${name}`)
    }
  })

test('the mappings of a pod are those that the host outside sees', async () => {
  const { mappings } = await report('--pod', 'default/node1-b', '--limit', '1000')
  const tcp = mappings.list.filter(m => m.protocol === 'TCP')
  assert.equal(tcp.length, 24)
  const pod = cluster.station('node1-b')
  for (const mapping of tcp) {
    assert.equal(mapping.state, 'established')
    assert.ok(mapping.ageSeconds < 60)
    assert.ok(pod.addresses.includes(mapping.podAddress))
  }
  const seen = await outside.run(['ss', '-Htn', 'state', 'established', 'sport', '=', `:${ECHO_PORT}`])
  const peers = new Set(
    seen
      .trim()
      .split('\n')
      .map(line => line.trim().split(/\s+/).at(-1)),
  )
  for (const { egressAddress, egressPort } of tcp) {
    const peer = egressAddress.includes(':') ? `[${egressAddress}]:${egressPort}` : `${egressAddress}:${egressPort}`
    // The server's sockets are of IPv6 and speak IPv4 too, or of each family.
    assert.ok(peers.has(peer) || peers.has(`[::ffff:${egressAddress}]:${egressPort}`), `${peer} is no peer`)
  }
})

test('for people it is a summary, and with a pod its mappings, as many as are asked for', async () => {
  const { stdout } = await node.causeway('nat', '--top', '1')
  assert.match(stdout, new RegExp(`^${egressOf(4)}  +\\w+  +\\d+ .* TCP ${outside.address(4)}:${ECHO_PORT}$`, 'm'))
  assert.match(stdout, / 42  +\d+  +\d+  +default\/node1-a 30, default\/node1-b 12$/m)
  assert.match(stdout, /^… and \d+ more destinations; --top \d+ shows all$/m)
  assert.match(stdout, /^default\/node1-a  +\d+ /m)
  assert.match(stdout, /^… and 1 more pods; --top 2 shows all$/m)
  const mapping = new RegExp(
    `^TCP  +default/node1-a  +\\S+  +${egressOf(4)}:\\d+  +${outside.address(4)}:${ECHO_PORT} `,
    'm',
  )
  assert.doesNotMatch(stdout, mapping)
  const ofPod = (await node.causeway('nat', '--pod', 'node1-a', '--limit', '59')).stdout
  assert.match(ofPod, mapping)
  assert.match(ofPod, /^… and \d+ more mappings; --limit \d+ shows all$/m)
})

test('what is asked wrongly is refused with what was meant', async () => {
  const unknown = await node.causeway('nat', '--pod', 'default/node1-c')
  assert.equal(unknown.status, 1)
  assert.match(unknown.stderr, /there is no pod default\/node1-c on this node; did you mean default\/node1-[ab]\?/)
  const usage = await node.causeway('nat', '--top', 'all')
  assert.equal(usage.status, 2)
})

test('the users with most ports and what is left are metrics', async () => {
  const labels = { pod: 'default/node1-a', address: egressOf(4), protocol: 'TCP' }
  const used = { ...labels, destination: `${outside.address(4)}:${ECHO_PORT}` }
  // Figures of a scrape hold for seconds.
  await eventually(async () => (await node.metric('causeway_nat_ports_used', used)) === 30)
  const left = await node.metric('causeway_nat_headroom_ports', { address: egressOf(4) })
  assert.ok(left > 64_300 && left <= 64_470, `${left} ports are left`)
})

test('a pod that no port is left for is named with destination and address, in the log, status and flows', async () => {
  // Of a protocol without ports there is one flow from an address to a destination, which the first pod has.
  const dropped = { hook: 'pod_out', reason: 'nat_ports' }
  const before = await node.metric('causeway_dropped_packets_total', dropped)
  using flows = await node.flows('&reason=nat_ports')
  for (const name of ['node1-a', 'node1-b']) await sendGre(name)
  await eventually(() => flows.records.length > 0)
  assert.equal(flows.records[0]?.source.pod, 'default/node1-b')
  assert.equal(await node.metric('causeway_dropped_packets_total', dropped), before + 1)

  const problems = async (): Promise<readonly { place: string; message: string }[]> =>
    ((await node.get('/v1/status')) as { problems: { place: string; message: string }[] }).problems
  const place = `${GRE} ${outside.address(4)}`
  const text = `default/node1-b has no port left to ${place}: 1 of 1 are used at ${egressOf(4)}; packets dropped: 1.`
  await eventually(async () => (await problems()).some(p => p.place === 'masquerade' && p.message.startsWith(text)))
  const line = node.log().find(l => String(l['message']).startsWith('no port is left for a pod'))
  assert.ok(line)
  const { pod, protocol: name, destination, tried, level } = line
  assert.deepEqual(
    { pod, name, destination, tried, level },
    {
      pod: 'default/node1-b',
      name: `${GRE}`,
      destination: outside.address(4),
      tried: [{ egressAddress: egressOf(4), used: 1, total: 1 }],
      level: 'warn',
    },
  )
})

/** One packet from a pod to the host outside. */
async function sendGre(name: string): Promise<void> {
  const row = (await node.table('endpoints')).find(e => e.pod.name === name)
  assert.ok(row)
  const pod = cluster.station(name)
  const frame = packet(
    eth({ dst: row.device.mac, src: row.interface.mac }),
    ipv4({ src: pod.address(4), dst: outside.address(4) }),
    protocol(GRE),
    payload(20),
  )
  using socket = new PacketSocket(pod.netns, 'eth0')
  socket.send(frame)
  const uses = async (): Promise<boolean> =>
    (await report('--mappings')).mappings.list.some(m => m.protocol === `${GRE}`)
  await eventually(uses)
}

test('ports are free again when connections end', async () => {
  for (const crowd of crowds) assert.deepEqual((await crowd.stop()).failures, [])
  const tcp = async (): Promise<readonly unknown[]> =>
    (await report('--top', '100')).destinations.list.filter(
      d => d.protocol === 'TCP' && d.destinationPort === ECHO_PORT,
    )
  await eventually(async () => (await tcp()).length === 0)
})

test('without masquerade it is said', async () => {
  const other = cluster.node('node2')
  const { masquerade, ...rest } = other.configuration()
  assert.ok(masquerade)
  await other.endDaemon('SIGTERM')
  writeFileSync(other.layout.config, stringify(rest))
  await other.startDaemon()
  const { stdout, status } = await other.causeway('nat')
  assert.equal(status, 0)
  assert.match(stdout, /^masquerade is off: pods leave the cluster with their own addresses/)
})
