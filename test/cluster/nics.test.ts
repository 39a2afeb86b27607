/**
 * Pods with addresses of network interfaces of their node: node1 gets a second one that leads into a network of its own,
 * where the first pod's addresses are known; the second pod has addresses of no interface.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { hostPrefix } from '../../daemon/kernel/ip.ts'
import type { Net } from '../../daemon/kernel/kernel.ts'
import type { CloudNicRow } from '../../daemon/state/cloud-rows.ts'
import type { Trace } from '../../daemon/trace/tracer.ts'
import { inNamespace } from '../../deploy/lab/command.ts'
import { writeManifest } from '../../deploy/lab/configuration.ts'
import { PROBE_PORT } from '../../deploy/lab/layout.ts'
import { addNamespace, deleteNamespace } from '../../deploy/lab/namespaces.ts'
import { serviceObjects } from '../../deploy/lab/service-manifest.ts'
import { Cluster, ECHO_PORT, FAMILIES } from '../support/cluster.ts'
import type { ClusterNode } from '../support/cluster-node.ts'
import type { CheckResult, ClusterStation } from '../support/cluster-station.ts'
import { ClusterStation as Station } from '../support/cluster-station.ts'
import { eventually } from '../support/eventually.ts'
import { PacketSocket } from '../support/packet-socket.ts'

const LAB = 'clnics'
const VPC = `cw-${LAB}-vpc`
/** Of the second interface, of its subnet's router, and of a machine beyond it. */
const OWN = { 4: '172.31.0.5', 6: 'fd00:31::5' } as const
const ROUTER = { 4: '172.31.0.1', 6: 'fd00:31::1' } as const
const FAR = { 4: '198.51.100.1', 6: '2001:db8:100::1' } as const
const MAC = '02:00:00:00:31:05'
const NODE_PORT = 30_180

const folder = mkdtempSync(join(tmpdir(), 'causeway-nics-'))
const file = join(folder, 'nics.json')

let cluster: Cluster
let node: ClusterNode
let pod: ClusterStation
let vpc: ClusterStation
const stack = new AsyncDisposableStack()
stack.defer(() => rmSync(folder, { recursive: true }))

function say(rows: readonly CloudNicRow[]): void {
  writeFileSync(`${file}.tmp`, JSON.stringify(rows))
  renameSync(`${file}.tmp`, file)
}

/** What the cloud would say: the first interface is the lab's, the second has the first pod's addresses. */
function rows(): CloudNicRow[] {
  using net = node.net()
  return [
    {
      id: 'nic-0',
      mac: net.link('eth0')?.mac ?? '',
      index: 0,
      subnetCidrs: ['172.30.0.0/24', 'fd00:30::/64'],
      gateways: cluster.station('outside').addresses,
      addresses: node.addresses,
      blocks: [],
    },
    {
      id: 'nic-1',
      mac: MAC,
      index: 1,
      subnetCidrs: ['172.31.0.0/24', 'fd00:31::/64'],
      addresses: [OWN[4], OWN[6]],
      blocks: pod.addresses.map(hostPrefix),
    },
  ]
}

/** The cloud attaches the second interface. */
function plug(vpcNet: Net): void {
  vpcNet.run([
    {
      op: 'link-add',
      link: { kind: 'veth', name: 'gw', up: true, peer: { name: 'ens6', mac: MAC, netns: node.layout.netns } },
    },
    ...FAMILIES.flatMap(f => [
      { op: 'address-add', link: 'gw', address: `${ROUTER[f]}/${f === 4 ? 24 : 64}`, noDad: true } as const,
      { op: 'route-add', route: { dst: hostPrefix(pod.address(f)), via: OWN[f] } } as const,
    ]),
  ])
}

before(async () => {
  const plugins = JSON.stringify([{ module: join(import.meta.dirname, 'testdata/nic-plugin.ts'), node: 'node1', file }])
  writeFileSync(file, '[]')
  const masquerade = JSON.stringify({ nativeRanges: [`${FAR[4]}/32`, `${FAR[6]}/128`] })
  cluster = stack.use(
    await Cluster.start(LAB, {
      nodes: 2,
      pods: 2,
      set: [`plugins=${plugins}`, `masquerade=${masquerade}`],
    }),
  )
  node = cluster.node('node1')
  pod = cluster.station('node1-a')
  await addNamespace(VPC)
  stack.defer(() => deleteNamespace(VPC))
  vpc = new Station(
    { name: 'vpc', node: '', addresses: [FAR[4], FAR[6]], netns: `/run/netns/${VPC}` },
    cluster.built.probe,
  )
  using vpcNet = cluster.kernel.openNet(vpc.netns)
  vpcNet.run([
    { op: 'link-set', link: 'lo', up: true },
    ...FAMILIES.map(f => ({ op: 'address-add', link: 'lo', address: hostPrefix(FAR[f]), noDad: true }) as const),
  ])
  const [command = '', ...args] = inNamespace(vpc.netns, [cluster.built.probe, 'serve', `${PROBE_PORT}`])
  const server = spawn(command, args, { stdio: 'ignore' })
  stack.defer(async () => {
    server.kill('SIGKILL')
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
  })
  using net = node.net()
  for (const f of FAMILIES)
    net.run([
      {
        op: 'route-add',
        route: { dst: f === 4 ? '0.0.0.0/0' : '::/0', via: cluster.station('outside').address(f), protocol: 4 },
      },
    ])
})
after(() => stack.disposeAsync())

const usable = async (): Promise<string[]> =>
  (await node.table('cloudDevices')).map(d => `${d.id} ${d.usable ? d.name : d.why}`).sort()
const BOTH = ['nic-0 eth0', 'nic-1 ens6']

suite('network interfaces of a node', () => {
  test('one whose device is not there yet is told, and is in use once it is', async () => {
    say(rows())
    await eventually(async () => (await usable()).join().includes(`no device has its MAC address ${MAC}`))
    const { stdout } = await node.causeway('status')
    assert.match(stdout, /network interface nic-1: no device has its MAC address/)
    using vpcNet = cluster.kernel.openNet(vpc.netns)
    plug(vpcNet)
    await eventually(async () => (await usable()).join() === BOTH.join())
    await eventually(
      async () =>
        (await node.table('uplinks'))
          .map(u => u.name)
          .sort()
          .join() === 'ens6,eth0',
    )
    assert.deepEqual(readdirSync(join(node.layout.root, 'networkd')), ['05-causeway.network'])
  })

  for (const family of FAMILIES) {
    test(`IPv${family}: what its pod sends leaves by it, and what comes in by it reaches the pod`, async () => {
      using first = new PacketSocket(node.layout.netns, 'eth0')
      using second = new PacketSocket(node.layout.netns, 'ens6')
      for (const protocol of ['tcp', 'udp'] as const) {
        const { ok, error } = await pod.check(protocol, FAR[family], ECHO_PORT, 5000)
        assert.ok(ok, error)
      }
      const between = (text: string): boolean => text.includes(` ${pod.address(family)} > ${FAR[family]} `)
      assert.equal(first.texts().some(between), false)
      assert.ok(second.texts().some(between))
      const { ok, error } = await vpc.check('tcp', pod.address(family), ECHO_PORT, 5000)
      assert.ok(ok, error)
    })

    test(`IPv${family}: pods of the node reach each other, and its pod the other node’s pods as before`, async () => {
      const other = cluster.station('node1-b')
      assert.ok((await pod.check('tcp', other.address(family), ECHO_PORT, 1000)).ok)
      assert.ok((await other.check('tcp', pod.address(family), ECHO_PORT, 1000)).ok)
      assert.ok((await other.check('tcp', cluster.station('node2-a').address(family), ECHO_PORT, 1000)).ok)
    })

    test(`IPv${family}: where it is not known it bears the node’s address, and leaves by the first`, async () => {
      const outside = cluster.station('outside')
      const result = await pod.check('who', outside.address(family), PROBE_PORT + 3, 1)
      const { clients } = result as CheckResult & { readonly clients?: readonly string[] }
      assert.deepEqual(clients, [cluster.station('node1').address(family)])
    })
  }

  test('a node port is answered by the interface that it was asked by, wherever the backend is', async () => {
    const items = serviceObjects({
      name: 'nics',
      clusterIPs: ['10.97.3.1', 'fd00:97::3:1'],
      ports: [{ protocol: 'TCP', port: 80, targetPort: ECHO_PORT, nodePort: NODE_PORT }],
      endpoints: [cluster.station('node1-b'), cluster.station('node2-a')],
      spec: { type: 'NodePort' },
      status: {},
    })
    writeManifest(cluster.lab.layout, 'test-service-nics', { apiVersion: 'v1', kind: 'List', items })
    for (const family of FAMILIES) {
      await eventually(async () => (await vpc.check('tcp', OWN[family], NODE_PORT, 100, '--timeout', 500)).ok)
      // Each with another port, so that both backends have some.
      for (let i = 0; i < 8; i++) {
        const { ok, error } = await vpc.check('tcp', OWN[family], NODE_PORT, 3000, '--timeout', 2000)
        assert.ok(ok, error)
      }
      assert.ok(
        (await cluster.station('outside').check('tcp', node.addresses[family === 4 ? 0 : 1] ?? '', NODE_PORT, 100)).ok,
      )
    }
  })

  test('a trace says by which one, and why', async () => {
    const { status, stdout, stderr } = await node.causeway(
      'trace',
      '--from',
      'default/node1-a',
      '--to',
      `${FAR[4]}:80`,
      '-o',
      'json',
    )
    assert.equal(status, 0, stderr)
    assert.deepEqual((JSON.parse(stdout) as Trace).outcome, {
      kind: 'uplink',
      device: 'ens6',
      via: ROUTER[4],
      why: `network interface nic-1 has ${pod.address(4)}`,
    })
  })

  test('connections go on while the daemon is killed and starts again', async () => {
    const streams = await Promise.all(FAMILIES.map(family => pod.stream(FAR[family])))
    await node.endDaemon('SIGKILL')
    await node.startDaemon()
    await eventually(async () => (await usable()).join() === BOTH.join())
    for (const stream of streams) {
      const { ok, error, longestGapMs } = await stream.stop()
      assert.ok(ok, error)
      assert.ok(longestGapMs < 1000, `${longestGapMs} ms`)
    }
  })

  test('by rules the same interface is taken, also after somebody has flushed them', async () => {
    await node.endDaemon('SIGTERM')
    await node.startDaemon({ set: ['routing.cloudEgress=rules'] })
    const rules = async (): Promise<string> => await node.run(['ip', 'rule', 'show', 'priority', '601'])
    await eventually(async () => (await rules()).includes(pod.address(4)))
    for (const family of FAMILIES) assert.ok((await pod.check('tcp', FAR[family], ECHO_PORT, 1000)).ok)
    const stream = await pod.stream(FAR[4])
    await node.run(['ip', 'rule', 'flush'])
    await eventually(async () => (await rules()).includes(pod.address(4)), { timeoutMs: 1000 })
    await node.run(['ip', 'rule', 'add', 'priority', '32766', 'lookup', 'main'])
    const { ok, error } = await stream.stop()
    assert.ok(ok, error)
    const outside = cluster.station('outside')
    const result = await pod.check('who', outside.address(4), PROBE_PORT + 3, 1)
    const { clients } = result as CheckResult & { readonly clients?: readonly string[] }
    assert.deepEqual(clients, [cluster.station('node1').address(4)])
    await node.endDaemon('SIGTERM')
    await node.startDaemon({ set: [] })
    await eventually(async () => !(await rules()).includes(pod.address(4)))
  })

  test('what has addresses of one that went away is dropped with the reason', async () => {
    using net = node.net()
    net.run([{ op: 'link-delete', link: 'ens6' }])
    await eventually(async () => (await usable()).join().includes('no device has its MAC address'))
    await pod.check('udp', FAR[4], ECHO_PORT, 10, '--timeout', 200)
    await eventually(async () => (await node.metric('causeway_dropped_packets_total', { reason: 'no_interface' })) > 0)
  })
})
