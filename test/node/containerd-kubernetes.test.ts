/**
 * A lab in its Kubernetes form whose pods are run by containerd. The test is kubelet: it takes Pod objects from the API
 * server, has them run under their uids, and writes their addresses back.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import type { PoolStatus } from '../../daemon/plugin.ts'
import { sortedRows } from '../../daemon/state/dump.ts'
import { createTables, type EndpointRow } from '../../daemon/state/tables.ts'
import { isRunning } from '../../deploy/lab/namespaces.ts'
import { serviceObjects } from '../../deploy/lab/service-manifest.ts'
import { TestControlPlane, succeeded } from '../support/control-plane.ts'
import { CriCluster } from '../support/cri/cluster.ts'
import type { Containerd } from '../support/cri/containerd.ts'
import {
  createPodObject,
  removeKubePod,
  removePodObject,
  rowOf,
  runKubePod,
  writePodStatus,
} from '../support/cri/kube-pod.ts'
import { checkInside, type CriPod, failuresBetween, POD_PORT, removePod, runPod } from '../support/cri/pod.ts'
import { eventually } from '../support/eventually.ts'
import { type MachineTraces, traces } from '../support/machine-traces.ts'

const NAME = 'tcrik8s'
const BURST = 30
const SERVICE = { address: '10.98.0.9', port: POD_PORT }

suite('containerd on the nodes of a cluster with an API server', () => {
  let start: MachineTraces
  let cluster: CriCluster
  let plane: TestControlPlane
  let first: Containerd
  let second: Containerd
  let here: CriPod
  let there: CriPod

  before(async () => {
    await CriCluster.remove(NAME)
    start = traces(NAME)
    cluster = await CriCluster.up(NAME, { kubernetes: true })
    plane = new TestControlPlane(cluster)
    ;[first, second] = cluster.runtimes as [Containerd, Containerd]
  })
  after(async () => {
    await plane?.[Symbol.asyncDispose]()
    await cluster?.[Symbol.asyncDispose]()
  })

  async function endpoints(runtime: Containerd): Promise<readonly EndpointRow[]> {
    return (await cluster.ask(runtime.node, '/v1/tables/endpoints')) as readonly EndpointRow[]
  }
  async function used(runtime: Containerd): Promise<number> {
    const { pools } = (await cluster.ask(runtime.node, '/v1/status')) as { readonly pools: readonly PoolStatus[] }
    return pools.reduce((sum, pool) => sum + pool.used, 0)
  }
  /** Resolves once a daemon knows just these pods of its node. */
  async function knows(runtime: Containerd, pods: readonly CriPod[]): Promise<void> {
    const wanted = createTables().pods
    for (const pod of pods) wanted.put(rowOf(pod))
    let rows: unknown
    const known = async (): Promise<boolean> => {
      rows = await cluster.ask(runtime.node, '/v1/tables/pods')
      return isDeepStrictEqual(rows, sortedRows(wanted))
    }
    // What differs is said by the comparison.
    await eventually(known).catch(() => undefined)
    assert.deepEqual(rows, sortedRows(wanted))
  }

  test('runs pods under the uids of their objects, at addresses that the operator gave their nodes', async () => {
    here = await runKubePod(plane, first, 'here')
    there = await runKubePod(plane, second, 'there')
    for (const pod of [here, there]) {
      const [row] = await endpoints(pod.runtime)
      assert.deepEqual(row?.pod, { namespace: 'default', name: pod.spec.name, uid: pod.spec.uid })
      assert.match(pod.spec.uid, /^[0-9a-f-]{36}$/)
      const [v4 = '', v6 = ''] = await plane.rangesOf(pod.runtime.node.name)
      const [address4 = '', address6 = ''] = pod.addresses
      assert.ok(address4.startsWith(v4.replace(/0\/24$/, '')), `${address4} in ${v4}`)
      assert.ok(address6.startsWith(v6.replace(/0?\/112$/, '')), `${address6} in ${v6}`)
      await knows(pod.runtime, [pod])
    }
    assert.deepEqual([...(await failuresBetween(here, there)), ...(await failuresBetween(there, here))], [])
  })

  test('runs many pods of one node that come at once, serves them, and gives every address back', async () => {
    const names = Array.from({ length: BURST }, (_, i) => `burst-${i}`)
    const pods = await Promise.all(names.map(name => runKubePod(plane, first, name)))
    assert.equal(new Set(pods.flatMap(pod => pod.addresses)).size, 2 * BURST)
    await knows(first, [here, ...pods])
    assert.equal(await used(first), 2 * (BURST + 1))
    const failures = await Promise.all(pods.map(pod => checkInside(there.netns, pod.addresses[0] ?? '')))
    assert.deepEqual(
      failures.filter(failure => failure !== ''),
      [],
    )
    await serve(pods)
    await eventually(async () => (await checkInside(there.netns, SERVICE.address)) === '')
    await Promise.all(pods.map(pod => removeKubePod(plane, pod)))
    await knows(first, [here])
    assert.equal(await used(first), 2)
    assert.deepEqual(
      (await endpoints(first)).map(row => row.pod.name),
      ['here'],
    )
  })

  test('ends pods, and gives one a new sandbox, while the API server is away; objects follow when it is back', async () => {
    const ending = await Promise.all(['ending-1', 'ending-2'].map(name => runKubePod(plane, first, name)))
    const uid = await createPodObject(plane, first, 'renewed')
    const before = await runPod(first, 'renewed', { uid })
    await writePodStatus(plane, before)
    await knows(first, [here, ...ending, before])
    await plane.stopServer()
    await Promise.all([...ending, before].map(removePod))
    assert.equal(await used(first), 2)
    const renewed = await runPod(first, 'renewed', { uid })
    assert.deepEqual(await failuresBetween(there, renewed), [])
    assert.deepEqual((await endpoints(first)).map(row => row.pod.name).sort(), ['here', 'renewed'])
    await plane.startServer()
    await Promise.all(ending.map(({ spec }) => removePodObject(plane, spec.name)))
    await writePodStatus(plane, renewed)
    await knows(first, [here, renewed])
    await removeKubePod(plane, renewed)
    await knows(first, [here])
  })

  test('forgets pods whose objects and sandboxes went while its daemon did not run', async () => {
    const leaving = await Promise.all(['leaving-1', 'leaving-2'].map(name => runKubePod(plane, first, name)))
    await cluster.stopDaemon(first.node, 'SIGKILL')
    await Promise.all(leaving.map(pod => removeKubePod(plane, pod)))
    await cluster.startDaemon(first.node)
    await knows(first, [here])
    await eventually(async () => (await used(first)) === 2)
    assert.deepEqual(await failuresBetween(there, here), [])
  })

  test('leaves nothing', async () => {
    await Promise.all([here, there].map(pod => removeKubePod(plane, pod)))
    for (const runtime of cluster.runtimes) {
      await knows(runtime, [])
      assert.deepEqual(await runtime.cri.listSandboxes(), [])
      assert.equal(await used(runtime), 0)
    }
    const processes = cluster.runtimes.flatMap(r => r.system.processes())
    await plane[Symbol.asyncDispose]()
    await cluster[Symbol.asyncDispose]()
    assert.deepEqual(processes.filter(isRunning), [])
    assert.deepEqual(traces(NAME), start)
  })

  /** A service of these pods. */
  async function serve(pods: readonly CriPod[]): Promise<void> {
    const [service, slice] = serviceObjects({
      name: 'burst',
      clusterIPs: [SERVICE.address],
      ports: [{ protocol: 'TCP', port: SERVICE.port, targetPort: POD_PORT }],
      endpoints: pods.map(({ addresses, runtime }) => ({ addresses, node: runtime.node.name })),
    }) as [object, object]
    const { admin } = plane
    succeeded(await admin.create('/api/v1/namespaces/default/services', service))
    succeeded(await admin.create('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', slice))
  }
})
