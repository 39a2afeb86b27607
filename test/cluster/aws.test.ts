/**
 * A cluster on AWS, of which the lab has a program that answers as EC2 does: pods have addresses of the machines' network
 * interfaces, which the operator has attached as they are needed, and packets leave by the interface that has their source.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { isOfPodSubnet, machineOf } from '../../deploy/lab/aws/vpc.ts'
import { PROBE } from '../../deploy/lab/built.ts'
import { runMatrix } from '../../deploy/lab/check.ts'
import { OPERATORS } from '../../deploy/lab/kubernetes/control-plane.ts'
import { matrix } from '../../deploy/lab/matrix.ts'
import { NODE_PORT } from '../../deploy/lab/service.ts'
import { line } from '../../deploy/lab/table.ts'
import { Cluster, ECHO_PORT } from '../support/cluster.ts'
import type { ClusterStation } from '../support/cluster-station.ts'
import { TestControlPlane } from '../support/control-plane.ts'
import { eventually } from '../support/eventually.ts'
import { LabEc2 } from '../support/lab-ec2.ts'
import { eth, ipv4, packet, payload } from '../support/packet.ts'
import { PacketSocket } from '../support/packet-socket.ts'
import { udp } from '../support/packet-transport.ts'

const NAME = 'claws'
const OWN = '/apis/causeway.dev/v1alpha1'
/** Two changes that are to be seen gone are looked for 10 s apart. */
const SLOW_MS = 60_000

interface CloudSpec {
  readonly nics: readonly { readonly id: string; readonly phase: string; readonly subnetCidrs: readonly string[] }[]
  readonly blocks: readonly { readonly block: string; readonly phase: string }[]
  readonly intents: readonly unknown[]
}

/** Of those that were given back is known until two looks have not shown them. */
function standing({ blocks }: CloudSpec): readonly string[] {
  return blocks.filter(({ phase }) => phase !== 'released').map(({ block }) => block)
}

suite('a cluster on AWS', () => {
  let cluster: Cluster
  let plane: TestControlPlane
  let ec2: LabEc2
  /** Packets that a test had the VPC drop. */
  let refused = 0
  before(async () => {
    cluster = await Cluster.start(NAME, { nodes: 2, pods: 4, kubernetes: true, cloud: 'aws' })
    plane = new TestControlPlane(cluster)
    ec2 = new LabEc2(cluster.lab.layout)
  })
  after(async () => {
    await plane?.[Symbol.asyncDispose]()
    await cluster?.[Symbol.asyncDispose]()
  })

  const machine = (node: string): string => machineOf(cluster.node(node).layout).id
  const cloudOf = async (node: string): Promise<CloudSpec> =>
    ((await plane.get(`${OWN}/nodenetworks/${node}`))['spec'] as unknown as { readonly cloud: CloudSpec }).cloud
  const devices = (node: string): string[] => {
    using net = cluster.node(node).net()
    return net.links().map(({ mac }) => mac)
  }
  /** A pod of a node with an address of the first interface, or of the second. */
  function podOn(node: string, index: 0 | 1): ClusterStation {
    const found = cluster.stations.find(
      s => s.node === node && s.name !== node && s.addresses.some(isOfPodSubnet) === (index === 1),
    )
    if (found === undefined) throw new Error(`no pod of ${node} has an address of interface ${index}`)
    return found
  }
  /** EC2 has exactly the interfaces that the nodes are told of, all in use, each with its blocks, and they go with their machines. */
  async function nothingIsLeftOver(): Promise<void> {
    await eventually(
      async () => {
        const specs = await Promise.all(cluster.nodes.map(({ name }) => cloudOf(name)))
        const told = specs.flatMap(({ nics }) => nics.map(({ id, phase }) => `${id} ${phase}`)).sort()
        const nics = await ec2.nics()
        const has = nics.map(({ id, status }) => `${id} ${status === 'attached' ? 'ready' : status}`).sort()
        const blocks = specs.flatMap(spec => standing(spec)).sort()
        return (
          String(told) === String(has) &&
          String(blocks) === String(nics.flatMap(nic => nic.blocks).sort()) &&
          nics.every(nic => nic.deletedWithMachine) &&
          specs.every(({ intents }) => intents.length === 0)
        )
      },
      { timeoutMs: SLOW_MS, pollMs: 200 },
    )
  }

  test('has pods with addresses of two interfaces on each node, of which EC2 was asked by nobody but the operator', async () => {
    for (const { name } of cluster.nodes) {
      const own = cluster.lab.stations.filter(s => s.kind === 'pod' && s.node === name).flatMap(s => s.addresses)
      const [first, second] = [await ec2.nicAt(machine(name), 0), await ec2.nicAt(machine(name), 1)]
      const blocks = [...first.blocks, ...second.blocks]
      assert.deepEqual(
        own.map(address => blocks.includes(`${address}/32`)),
        [true, true, true, true],
      )
      assert.deepEqual([first.blocks.length, own.filter(isOfPodSubnet).length], [3, 1])
      assert.ok(devices(name).includes(second.mac))
      const { nics } = await cloudOf(name)
      assert.deepEqual(
        nics.map(({ phase, subnetCidrs }) => [phase, subnetCidrs.length]),
        [
          ['ready', 1],
          ['ready', 1],
        ],
      )
    }
    await nothingIsLeftOver()
    const { asked } = await ec2.state()
    assert.equal(asked['CreateNetworkInterface'], 2)
  })

  test('has every row of the matrix hold, and no packet leave by an interface that has not its source', async () => {
    const rows = await runMatrix(cluster.lab, matrix(cluster.lab), PROBE, cluster.signal)
    assert.deepEqual(rows.filter(({ ok }) => !ok).map(line), [])
    assert.ok(rows.some(({ row }) => row.way === 'pod → pod, other node' && isOfPodSubnet(row.source ?? '')))
    assert.equal(await ec2.refusedSources(), 0)
  })

  test('what leaves by an interface that has not its source is dropped by the VPC, which counts it', async () => {
    const second = await ec2.nicAt(machine('node1'), 1)
    const [src, dst] = [podOn('node2', 0).address(4), cluster.station('outside').address(4)]
    using port = ec2.capture(second)
    using net = cluster.kernel.openNet(cluster.netns('vpc'))
    const router = net.link(second.id)?.mac ?? ''
    const before = await ec2.refusedSources()
    using device = new PacketSocket(cluster.node('node1').layout.netns, 'eth1')
    const datagram = [ipv4({ src, dst }), udp({ sport: 1000, dport: ECHO_PORT }), payload(1)]
    device.send(packet(eth({ dst: router, src: second.mac }), ...datagram))
    await port.text(new RegExp(`ipv4 ${src} > ${dst} `))
    await eventually(async () => (await ec2.refusedSources()) === before + 1)
    refused = before + 1
  })

  for (const index of [0, 1] as const)
    test(`packets of a pod on interface ${index} leave by it, and masqueraded ones by the first, as captures show`, async () => {
      const pod = podOn('node1', index)
      const [own, other] = [await ec2.nicAt(machine('node1'), index), await ec2.nicAt(machine('node1'), 1 - index)]
      const remote = podOn('node2', 1)
      using ownPort = ec2.capture(own)
      using otherPort = ec2.capture(other)
      assert.equal((await pod.check('tcp', remote.address(4), ECHO_PORT, 1000)).ok, true)
      const leaves = (source: string, to: string): RegExp =>
        new RegExp(`ipv4 ${source} > ${to} .*\ntcp .* > ${ECHO_PORT} S `)
      await ownPort.text(leaves(pod.address(4), remote.address(4)))
      const outside = cluster.station('outside').address(4)
      assert.equal((await pod.check('tcp', outside, ECHO_PORT, 1000)).ok, true)
      const [node = ''] = cluster.node('node1').addresses
      const [firstPort, secondPort] = index === 0 ? [ownPort, otherPort] : [otherPort, ownPort]
      await firstPort.text(leaves(node, outside))
      assert.deepEqual(
        otherPort.texts().filter(text => text.includes(`ipv4 ${pod.address(4)} >`)),
        [],
      )
      assert.deepEqual(
        secondPort.texts().filter(text => text.includes(outside)),
        [],
      )
    })

  test('answers to who came to a node port leave by the interface that it came in by', async () => {
    const [first, second] = [await ec2.nicAt(machine('node1'), 0), await ec2.nicAt(machine('node1'), 1)]
    using firstPort = ec2.capture(first)
    using secondPort = ec2.capture(second)
    const outside = cluster.station('outside')
    const [node = ''] = cluster.node('node1').addresses
    for (let n = 0; n < 12; n++) assert.equal((await outside.check('tcp', node, NODE_PORT, 1000)).ok, true)
    await firstPort.text(new RegExp(`ipv4 ${node} > ${outside.address(4)} .*\ntcp ${NODE_PORT} > .* SA `))
    assert.deepEqual(
      secondPort.texts().filter(text => text.includes(outside.address(4))),
      [],
    )
  })

  test('pods keep their addresses and connections when the daemon starts anew', async () => {
    const [pod, remote] = [podOn('node1', 1), podOn('node2', 0)]
    const stream = await pod.stream(remote.address(4))
    const node = cluster.node('node1')
    const before = (await node.table('endpoints')).map(({ addresses }) => addresses.join()).sort()
    await node.endDaemon('SIGKILL')
    await node.startDaemon()
    assert.deepEqual((await node.table('endpoints')).map(({ addresses }) => addresses.join()).sort(), before)
    assert.equal((await remote.check('tcp', pod.address(4), ECHO_PORT, 1000)).ok, true)
    const { ok, sent, received } = await stream.stop()
    assert.deepEqual({ ok, received }, { ok: true, received: sent })
  })

  test('an interface that pods do not need any more is emptied, detached and deleted, and made again for new ones', async () => {
    const second = await ec2.nicAt(machine('node1'), 1)
    for (const index of [0, 1, 2, 3]) await cluster.deletePod('node1', index)
    await eventually(async () => !(await ec2.nics()).some(({ id }) => id === second.id), { timeoutMs: SLOW_MS })
    await eventually(() => !devices('node1').includes(second.mac))
    await nothingIsLeftOver()
    assert.ok(standing(await cloudOf('node1')).length <= 3)

    const pods = await Promise.all([0, 1, 2, 3].map(index => cluster.addPod('node1', index)))
    assert.equal(new Set(pods.map(pod => pod.address(4))).size, 4)
    const third = await ec2.nicAt(machine('node1'), 1)
    assert.notEqual(third.id, second.id)
    for (const pod of pods)
      assert.equal((await pod.check('tcp', podOn('node2', 1).address(4), ECHO_PORT, 1000)).ok, true)
    assert.equal(await ec2.refusedSources(), refused)
  })

  test('an operator that is killed while an interface is attached leaves nothing over', async () => {
    for (const index of [0, 1, 2, 3]) await cluster.deletePod('node2', index)
    await eventually(async () => (await ec2.nics()).length === 3, { timeoutMs: SLOW_MS })
    const pods = Promise.all([0, 1, 2, 3].map(index => cluster.addPod('node2', index)))
    await eventually(async () => (await ec2.nics()).some(({ status }) => status === 'attaching'), { timeoutMs: 30_000 })
    const leader = (await plane.leader()) ?? OPERATORS[0]
    await plane.endOperator(leader, 'SIGKILL')
    assert.equal(new Set((await pods).map(pod => pod.address(4))).size, 4)
    await nothingIsLeftOver()
    assert.equal((await ec2.nics()).length, 4)
    await plane.startOperator(leader)
  })

  const broken = {
    'does not answer': [{ refused: 1 }, /no answer/],
    'throttles every call': [{ throttled: 1 }, /RequestLimitExceeded/],
  } as const
  for (const [n, [what, [faults, words]]] of Object.entries(broken).entries())
    test(`a pod waits while EC2 ${what}, which is said, and gets its address when it does again`, async () => {
      const node = ['node1', 'node2'][n] ?? ''
      // One more than pods have.
      await eventually(async () => standing(await cloudOf(node)).length === 5, { timeoutMs: SLOW_MS })
      await nothingIsLeftOver()
      await ec2.goWrong(faults)
      const there: ClusterStation[] = []
      const pods = Promise.all([4, 5].map(async index => void there.push(await cluster.addPod(node, index))))
      await eventually(
        async () => {
          const said = await plane.condition('nodenetworks', node, 'AddressesAvailable')
          return said?.status === 'False' && said.reason === 'CloudFails' && words.test(said.message)
        },
        { timeoutMs: 60_000, pollMs: 100 },
      )
      // The one that was free has been given, and no other.
      assert.equal(there.length, 1)
      await ec2.goWrong({})
      await pods
      assert.equal(there.length, 2)
      await eventually(
        // The machine is full now, which is said instead.
        async () => (await plane.condition('nodenetworks', node, 'AddressesAvailable'))?.reason === 'MachineFull',
        { timeoutMs: SLOW_MS, pollMs: 100 },
      )
      await nothingIsLeftOver()
    })
})
