/**
 * A lab in its Kubernetes form: daemons and operators as processes at an API server, which give nodes what they need, say
 * what is wrong with what they are asked for, and go on when one of them dies.
 */
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Status } from '../../daemon/api/status.ts'
import { definitionOf, KINDS } from '../../daemon/cluster/kinds/definitions.ts'
import { NETWORK_UNAVAILABLE, NOT_READY_TAINT } from '../../daemon/operator/parse.ts'
import { newNodeManifest, poolManifest, removeManifest, writeManifest } from '../../deploy/lab/configuration.ts'
import { OPERATORS } from '../../deploy/lab/kubernetes/control-plane.ts'
import { labLayout, nodeLayout } from '../../deploy/lab/layout.ts'
import { Cluster, ECHO_PORT } from '../support/cluster.ts'
import type { ClusterNode } from '../support/cluster-node.ts'
import type { ClusterStation } from '../support/cluster-station.ts'
import { conditionsOf, succeeded, TestControlPlane } from '../support/control-plane.ts'
import { dumpNode } from '../support/dump-node.ts'
import { eventually } from '../support/eventually.ts'

const NAME = 'clkube'
const LAB = labLayout(NAME)
const OWN = '/apis/causeway.dev/v1alpha1'
const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const ROLE = '/apis/rbac.authorization.k8s.io/v1/clusterroles/causeway'
const BOOT_ID = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()

interface KubeNode {
  readonly metadata: { readonly uid: string }
  readonly spec: { readonly taints?: readonly { readonly key: string }[] }
}
interface NodeNetwork {
  readonly metadata: { readonly ownerReferences?: readonly { readonly uid: string }[] }
  readonly spec: { readonly podCidrs: readonly string[]; readonly pool: string }
  readonly status: { readonly version: string; readonly bootId: string }
}
interface Rule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
}

suite('a cluster with an API server and operators', () => {
  let cluster: Cluster
  let plane: TestControlPlane
  let pristine = ''
  /** Of the pod that was added last. */
  const addressesOn = new Map<string, readonly string[]>()
  before(async () => {
    cluster = await Cluster.start(NAME, { nodes: 2, pods: 2, kubernetes: true }, text => {
      if (text.startsWith('starting 2 daemons')) pristine = dumpNode(nodeLayout(LAB, 1))
    })
    plane = new TestControlPlane(cluster)
  })
  after(async () => {
    await plane?.[Symbol.asyncDispose]()
    await cluster?.[Symbol.asyncDispose]()
  })

  /** A Node that kubelet has registered, without a daemon. */
  function registerNode(number: number, { labels = {}, bootId = BOOT_ID } = {}): string {
    const layout = nodeLayout(LAB, number)
    const manifest = newNodeManifest(layout)
    const { metadata, status } = manifest as { readonly metadata: { readonly labels: object }; readonly status: object }
    writeManifest(LAB, layout.name, {
      ...manifest,
      metadata: { ...metadata, labels: { ...metadata.labels, ...labels } },
      status: { ...status, nodeInfo: { bootID: bootId } },
    })
    return layout.name
  }
  /** What a daemon would say of itself. */
  async function saysReady(name: string, bootId: string): Promise<void> {
    const reason = { reason: 'DaemonReady', message: 'x', lastTransitionTime: '2026-01-01T00:00:00Z' }
    const patch = { status: { bootId, conditions: [{ type: 'Ready', status: 'True', ...reason }] } }
    succeeded(await plane.admin.patch(`${OWN}/nodenetworks/${name}/status`, patch))
  }
  async function deleteNode(name: string): Promise<void> {
    removeManifest(LAB, name)
    await eventually(async () => (await plane.find(`${OWN}/nodenetworks/${name}`)) === undefined)
  }
  async function isTainted(name: string): Promise<boolean> {
    const { spec } = (await plane.node(name)) as unknown as KubeNode
    return (spec.taints ?? []).some(({ key }) => key === NOT_READY_TAINT)
  }
  async function networkUnavailable(name: string): Promise<string | undefined> {
    return conditionsOf(await plane.node(name)).find(({ type }) => type === NETWORK_UNAVAILABLE)?.status
  }
  /** Resolves once a daemon's problems match, or do not any more. */
  async function hasProblem(node: ClusterNode, pattern: RegExp, has = true): Promise<void> {
    const found = async (): Promise<boolean> => (await problemsOf(node)).some(line => pattern.test(line))
    try {
      await eventually(async () => (await found()) === has, { timeoutMs: 20_000 })
    } catch (cause) {
      throw new Error(`${node.name}: ${pattern} ${has ? 'not' : 'still'} in:\n${(await problemsOf(node)).join('\n')}`, {
        cause,
      })
    }
  }

  test('has its nodes ready: with ranges of the pool, without the taint, and with what their daemons say', async () => {
    for (const { name } of cluster.nodes) {
      await eventually(async () => !(await isTainted(name)) && (await networkUnavailable(name)) === 'False')
      const node = (await plane.node(name)) as unknown as KubeNode
      const network = (await plane.get(`${OWN}/nodenetworks/${name}`)) as unknown as NodeNetwork
      assert.equal(network.spec.pool, 'lab')
      assert.equal(network.spec.podCidrs.length, 2)
      assert.equal(network.metadata.ownerReferences?.[0]?.uid, node.metadata.uid)
      const { build } = await statusOf(cluster.node(name))
      assert.deepEqual([network.status.version, network.status.bootId], [build.version, BOOT_ID])
      const ready = await plane.condition('nodenetworks', name, 'Ready')
      assert.deepEqual([ready?.status, ready?.message], ['True', 'pods can be started'])
    }
    const ranges = await plane.allRanges()
    assert.equal(new Set(ranges).size, 4)
  })

  test('keeps the taint on a node whose daemon has not said that it is ready in this life of the node', async () => {
    const name = registerNode(9)
    await plane.givenTo(name)
    await saysReady(name, 'another life')
    // What the operator does for the next node it does after it has seen that.
    await plane.givenTo(registerNode(10))
    assert.deepEqual([await isTainted(name), await networkUnavailable(name)], [true, undefined])
    await saysReady(name, BOOT_ID)
    await eventually(async () => !(await isTainted(name)) && (await networkUnavailable(name)) === 'False')
  })

  test('gives a node that is registered anew what it had while its machine runs on, and nobody else that', async () => {
    const before = await plane.rangesOf('node9')
    await deleteNode('node9')
    const others = await plane.givenTo(registerNode(11))
    assert.deepEqual(
      others.filter(range => before.includes(range)),
      [],
    )
    assert.deepEqual(await plane.givenTo(registerNode(9)), before)
    await saysReady('node9', BOOT_ID)
    await deleteNode('node9')
    const rebooted = await plane.givenTo(registerNode(9, { bootId: 'another life' }))
    assert.deepEqual(
      rebooted.filter(range => [...before, ...others].includes(range)),
      [],
    )
    for (const number of [9, 10, 11]) await deleteNode(`node${number}`)
  })

  test('moves a drained node whose NodeNetwork is deleted to other ranges', async () => {
    const node = cluster.node('node2')
    const before = await plane.rangesOf('node2')
    for (const index of [0, 1]) await cluster.deletePod('node2', index)
    await plane.deleteOwn('nodenetworks', 'node2')
    await eventually(async () => {
      const ranges = await plane.rangesOf('node2')
      return ranges.length === 2 && ranges.every(range => !before.includes(range))
    })
    const ranges = await plane.rangesOf('node2')
    await eventually(async () => {
      const { pools } = await statusOf(node)
      return pools.length === 2 && pools.every(pool => pool.ranges.every(range => ranges.includes(range)))
    })
    const pod = await cluster.addPod('node2', 2)
    addressesOn.set('node2', pod.addresses)
    const [v4 = ''] = ranges
    assert.ok(pod.address(4).startsWith(v4.replace(/0\/24$/, '')), `${pod.address(4)} in ${v4}`)
    for (const family of [4, 6] as const)
      assert.equal(
        (await pod.check('tcp', cluster.station('node1-a').address(family), ECHO_PORT, 1000)).error,
        undefined,
      )
  })

  test('marks a node ready again that is registered anew, whose pods others reach as before', async () => {
    const [pod, others] = [cluster.station('node1-a'), addressesOn.get('node2') ?? []]
    const before = await plane.rangesOf('node2')
    // What its daemon has said tells later that the machine runs on.
    await eventually(async () => (await plane.condition('nodenetworks', 'node2', 'Ready'))?.status === 'True')
    await deleteNode('node2')
    registerNode(2)
    assert.deepEqual(await plane.givenTo('node2'), before)
    await eventually(async () => !(await isTainted('node2')))
    for (const address of others) await eventually(async () => answers(pod, address))
    await cluster.deletePod('node2', 2)
    await cluster.addPod('node2', 2)
  })

  test('says on pools that contradict others, and on nodes for which a pool has nothing left, what is wrong', async () => {
    await plane.createOwn('ippools', 'IPPool', 'twin', { cidrs: [{ cidr: '10.71.128.0/17' }] })
    await eventually(async () => (await plane.condition('ippools', 'twin', 'Ready'))?.status === 'False')
    const { reason, message } = (await plane.condition('ippools', 'twin', 'Ready')) ?? {}
    assert.deepEqual(
      [reason, message],
      ['RangesOverlap', '10.71.128.0/17 overlaps 10.71.0.0/16 of pool lab; the pool is not used'],
    )
    await eventually(async () => (await plane.events('IPPool', 'twin')).some(event => event.reason === 'RangesOverlap'))
    await plane.deleteOwn('ippools', 'twin')

    const nodeSelector = { matchLabels: { size: 'tiny' } }
    await plane.createOwn('ippools', 'IPPool', 'tiny', { priority: 1, nodeSelector, cidrs: [{ cidr: '10.72.0.0/24' }] })
    await eventually(async () => (await plane.condition('ippools', 'tiny', 'Exhausted'))?.status === 'False')
    registerNode(7, { labels: { size: 'tiny' } })
    await eventually(async () => (await plane.rangesOf('node7')).includes('10.72.0.0/24'))
    registerNode(8, { labels: { size: 'tiny' } })
    await eventually(async () => (await plane.events('Node', 'node8')).length > 0)
    const [event] = await plane.events('Node', 'node8')
    assert.deepEqual(
      [event?.type, event?.reason, event?.message],
      ['Warning', 'NoPodRange', 'IPPool tiny has no IPv4 range left: add one to its spec.cidrs'],
    )
    assert.equal((await plane.condition('ippools', 'tiny', 'Exhausted'))?.status, 'True')
    assert.deepEqual(await plane.rangesOf('node8'), [])
    const cidrs = [{ cidr: '10.72.0.0/24' }, { cidr: '10.72.2.0/23' }]
    succeeded(await plane.admin.patch(`${OWN}/ippools/tiny`, { spec: { cidrs } }))
    await eventually(async () => (await plane.rangesOf('node8')).includes('10.72.2.0/24'))
    await eventually(async () => (await plane.condition('ippools', 'tiny', 'Exhausted'))?.status === 'False')
    for (const name of ['node7', 'node8']) await deleteNode(name)
    await plane.deleteOwn('ippools', 'tiny')
  })

  test('says of a NetworkPolicy that it is not enforced, on the object and on every node', async () => {
    const metadata = { name: 'closed', namespace: 'default' }
    writeManifest(LAB, 'policy', {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata,
      spec: { podSelector: {} },
    })
    await eventually(async () => (await plane.events('NetworkPolicy', 'closed')).length > 0)
    const [event] = await plane.events('NetworkPolicy', 'closed')
    assert.deepEqual([event?.type, event?.reason], ['Warning', 'NotEnforced'])
    for (const node of cluster.nodes) {
      await hasProblem(node, /default\/closed/)
      assert.equal(await node.metric('causeway_network_policies_not_enforced'), 1)
    }
    removeManifest(LAB, 'policy')
    for (const node of cluster.nodes) await hasProblem(node, /default\/closed/, false)
  })

  test('goes on with what it had where settings of nodes cannot be used, and says so', async () => {
    const daemons = cluster.nodes.map(node => node.daemon()?.pid)
    await plane.createOwn('nodesettings', 'NodeSettings', 'sideways', { settings: { routing: { mode: 'sideways' } } })
    for (const node of cluster.nodes) await hasProblem(node, /^NodeSettings sideways: .*routing\.mode.*sideways/)
    await plane.deleteOwn('nodesettings', 'sideways')
    for (const node of cluster.nodes) await hasProblem(node, /NodeSettings/, false)
    assert.deepEqual(
      cluster.nodes.map(node => node.daemon()?.pid),
      daemons,
    )
  })

  test('has another leader within the lease when the leader is killed, which gives nothing twice', async () => {
    const leader = await plane.leader()
    assert.ok(leader)
    await plane.endOperator(leader, 'SIGKILL')
    registerNode(9)
    await eventually(async () => ![undefined, leader].includes(await plane.leader()), { timeoutMs: 8000 })
    await plane.givenTo('node9')
    const ranges = await plane.allRanges()
    assert.equal(new Set(ranges).size, 6)
    assert.ok(ranges.every(range => range !== ''))
    await plane.startOperator(leader)
  })

  test('goes on as it is while no operator runs, and nodes that came meanwhile get ranges afterwards', async () => {
    await Promise.all(OPERATORS.map(name => plane.endOperator(name, 'SIGKILL')))
    const before = await plane.allRanges()
    registerNode(10)
    const pod = await cluster.addPod('node1', 3)
    const checked = await pod.check('tcp', cluster.station('node1-a').address(4), ECHO_PORT, 1000)
    assert.equal(checked.error, undefined)
    await cluster.deletePod('node1', 3)
    await eventually(async () => (await cluster.node('node1').table('nodes')).some(row => row.name === 'node10'))
    assert.deepEqual(await plane.allRanges(), before)
    for (const node of cluster.nodes) assert.equal((await statusOf(node)).ready, true)
    for (const name of OPERATORS) await plane.startOperator(name)
    // The lease of the dead runs out first.
    const given = await plane.givenTo('node10', 15_000)
    assert.deepEqual(
      given.filter(range => before.includes(range)),
      [],
    )
    for (const name of ['node9', 'node10']) await deleteNode(name)
  })

  test('names each right that a daemon lacks, and goes on by itself once it is given', async () => {
    const node = cluster.node('node1')
    const { rules } = (await plane.get(ROLE)) as unknown as { readonly rules: readonly Rule[] }
    const missing = ['endpointslices', 'egresspolicies']
    const less = rules.map(rule => ({ ...rule, resources: rule.resources.filter(name => !missing.includes(name)) }))
    succeeded(await plane.admin.patch(ROLE, { rules: less.filter(({ resources }) => resources.length > 0) }))
    await node.endDaemon('SIGTERM')
    const starting = node.startDaemon()
    for (const name of ['endpointslices.discovery.k8s.io', 'egresspolicies.causeway.dev']) {
      await eventually(() => isThere(node))
      await hasProblem(node, new RegExp(`^RBAC: may not list or watch ${name}; add to the ClusterRole: {apiGroups`))
    }
    succeeded(await plane.admin.patch(ROLE, { rules }))
    await starting
    await hasProblem(node, /^RBAC/, false)
    await eventually(async () => (await statusOf(node)).sources[0]?.synced === true, { timeoutMs: 20_000 })
  })

  test('says with its dates that the certificate of the API server is not valid by the clock, until it is', async () => {
    const old = ['--valid-from', '2020-01-01T00:00:00Z', '--valid-until', '2021-01-01T00:00:00Z']
    const span =
      /^API server .*its certificate \(valid from 2020-01-01T00:00:00.000Z to 2021-01-01T00:00:00.000Z\) has ended by this node's clock/
    await plane.stopServer()
    await plane.startServer(old)
    for (const node of cluster.nodes) await hasProblem(node, span)
    await plane.stopServer()
    await assert.rejects(
      plane.startServer(['--history', 'none']),
      /ended \(1\):[^]*--history takes a number from 1, not none/,
    )
    await plane.startServer()
    for (const node of cluster.nodes) await hasProblem(node, /^API server/, false)
  })

  test('sets aside what another network writes for the runtime, and says that two are active', async () => {
    const node = cluster.node('node1')
    const other = join(node.layout.paths.cniConf, '00-other.conflist')
    const text = JSON.stringify({ cniVersion: '1.0.0', name: 'other', plugins: [{ type: 'nowhere' }] })
    writeFileSync(other, text)
    await hasProblem(node, /00-other\.conflist: two CNIs are active/)
    assert.equal(existsSync(other), false)
    await cluster.addPod('node1', 4)
    await cluster.deletePod('node1', 4)
  })

  test('waits for definitions of the own kinds that are not installed, and goes on by itself once they are', async () => {
    const node = cluster.node('node2')
    await cluster.deletePod('node2', 2)
    await node.endDaemon('SIGTERM')
    await Promise.all(OPERATORS.map(name => plane.endOperator(name, 'SIGTERM')))
    const { items } = (await plane.get(CRDS)) as unknown as { items: readonly { metadata: { name: string } }[] }
    for (const { metadata } of items) succeeded(await plane.admin.delete(`${CRDS}/${metadata.name}`))
    for (const name of OPERATORS) await plane.startOperator(name)
    const starting = node.startDaemon()
    await eventually(() => isThere(node))
    await eventually(async () => {
      const { waiting } = await statusOf(node)
      return waiting.some(line => /nodenetworks\.causeway\.dev.*CustomResourceDefinition is not installed/.test(line))
    })
    for (const kind of KINDS) succeeded(await plane.admin.create(CRDS, definitionOf(kind)))
    succeeded(await plane.admin.create(`${OWN}/ippools`, poolManifest()))
    await starting
    await plane.givenTo('node2', 20_000)
    await cluster.addPod('node2', 5)
  })

  test('leaves nothing on a node that is uninstalled as the chart does it, and gives others their files back', async () => {
    const node = cluster.node('node1')
    await node.endDaemon('SIGTERM')
    const { status, stderr } = await node.causeway('uninstall', '--force', '--config', node.layout.config)
    assert.equal(status, 0, stderr)
    assert.equal(dumpNode(node.layout), pristine)
    const { run, state, bpf, cniConf } = node.layout.paths
    assert.deepEqual(globSync([run, state, bpf, `${cniConf}/*`]), [join(cniConf, '00-other.conflist')])
  })
})

/** Whether a host is there: where nothing listens a connection is refused, and else lost. */
async function answers(from: ClusterStation, address: string): Promise<boolean> {
  const { error = '' } = await from.check('tcp', address, 1, 1, '--timeout', 300)
  return error.includes('refused')
}

/** The daemon is there: its socket is for a moment before it listens. */
async function isThere(node: ClusterNode): Promise<boolean> {
  return await statusOf(node).then(
    () => true,
    () => false,
  )
}

async function statusOf(node: ClusterNode): Promise<Status> {
  return (await node.get('/v1/status')) as Status
}

/** Of a daemon, `place: message`; none while it does not answer. */
async function problemsOf(node: ClusterNode): Promise<readonly string[]> {
  const status = await statusOf(node).catch(() => undefined)
  return status?.problems.map(({ place, message }) => `${place}: ${message}`) ?? []
}
