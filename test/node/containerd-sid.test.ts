/**
 * containerd 2, from Debian sid: it takes CNI 1.1.0 when it is offered, and asks with STATUS whether the node's network
 * is ready whenever kubelet asks it.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { nodeManifest, removeManifest, writeManifest } from '../../deploy/lab/configuration.ts'
import { CriCluster } from '../support/cri/cluster.ts'
import type { Containerd } from '../support/cri/containerd.ts'
import type { Condition } from '../support/cri/cri-client.ts'
import { whyNoCpuShares } from '../support/cri/node-cgroups.ts'
import { type CriPod, failuresBetween, podSpec, removePod, runPod } from '../support/cri/pod.ts'
import { sidContainerd } from '../support/cri/sid-containerd.ts'
import { eventually } from '../support/eventually.ts'
import { type MachineTraces, traces } from '../support/machine-traces.ts'

const NAME = 'tcrisid'
/** The second node has two IPv4 addresses to give. */
const POOL = { name: 'default', ranges: ['10.71.1.0/24', '10.71.2.0/30', 'fd00:71::/32'], cooldownSeconds: 0 }
const CHAINED = [{ type: 'tuning', sysctl: { 'net.core.somaxconn': '500' } }]

const release = whyNoCpuShares() ?? (await sidContainerd())

suite("containerd of Debian sid on a lab's nodes", { skip: typeof release === 'string' ? release : false }, () => {
  let start: MachineTraces
  let cluster: CriCluster
  let first: Containerd
  let second: Containerd
  let here: CriPod
  let there: CriPod

  before(async () => {
    if (typeof release === 'string') return
    await CriCluster.remove(NAME)
    start = traces(NAME)
    const set = [
      `cluster-pool.pools=${JSON.stringify([POOL])}`,
      `cni.chained=${JSON.stringify(CHAINED)}`,
      // How long a pod waits for an address.
      'cni.addTimeoutMs=5000',
    ]
    cluster = await CriCluster.up(NAME, { release, set })
    ;[first, second] = cluster.runtimes as [Containerd, Containerd]
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  test('is version 2 and ready', async () => {
    assert.match(await first.cri.version(), /^2\./)
    assert.equal((await runtimeReady(first)).status, true)
    assert.equal((await networkReady(first)).status, true)
  })

  test('runs pods by CNI 1.1.0 that reach each other across nodes', async () => {
    here = await runPod(first, 'here')
    there = await runPod(second, 'there')
    assert.deepEqual(await failuresBetween(here, there), [])
    assert.deepEqual(await failuresBetween(there, here), [])
    assert.equal(cachedResult(here).cniVersion, '1.1.0')
  })

  test('finds the network not ready while the daemon is down, in the words of STATUS, and ready again after', async () => {
    await cluster.stopDaemon(first.node)
    const { status, reason, message } = await networkReady(first)
    assert.deepEqual([status, reason], [false, 'NetworkPluginNotReady'])
    assert.match(message, /cannot reach the daemon/)
    assert.equal((await runtimeReady(first)).status, true)
    assert.deepEqual(await failuresBetween(here, there), [])
    await cluster.startDaemon(first.node)
    assert.equal((await networkReady(first)).status, true)
  })

  test('finds the network not ready while the daemon waits for its Node object', async () => {
    const { node } = first
    await cluster.stopDaemon(node)
    removeManifest(cluster.lab.layout, node.name)
    const starting = cluster.startDaemon(node)
    await eventually(async () => /no Node named node1|own Node object/.test((await networkReady(first)).message))
    writeManifest(cluster.lab.layout, node.name, nodeManifest(node))
    await starting
    await eventually(async () => (await networkReady(first)).status)
  })

  test('finds the network not ready when the pool is exhausted, with the numbers of the pool', async () => {
    const last = await runPod(second, 'last')
    const { status, message } = await networkReady(second)
    assert.equal(status, false)
    assert.match(message, /pool default is out of IPv4 addresses: 2 of 2 used/)
    await assert.rejects(
      second.cri.runSandbox(podSpec('one-too-many')),
      /pool default: 2 addresses in 10\.71\.2\.0\/30, 2 used/,
    )
    await removePod(last)
    assert.equal((await networkReady(second)).status, true)
  })

  test('leaves nothing once its pods are removed', async () => {
    await Promise.all([removePod(here), removePod(there)])
    for (const { node } of cluster.runtimes) assert.deepEqual(await cluster.ask(node, '/v1/tables/endpoints'), [])
    await cluster[Symbol.asyncDispose]()
    assert.deepEqual(traces(NAME), start)
  })
})

async function condition({ cri }: Containerd, type: string): Promise<Condition> {
  const found = (await cri.conditions()).find(c => c.type === type)
  assert.ok(found, `the runtime has no condition ${type}`)
  return found
}
function networkReady(runtime: Containerd): Promise<Condition> {
  return condition(runtime, 'NetworkReady')
}
function runtimeReady(runtime: Containerd): Promise<Condition> {
  return condition(runtime, 'RuntimeReady')
}

/** What the runtime keeps of a pod's ADD for its DEL (libcni). */
function cachedResult({ runtime, sandbox }: CriPod): { readonly cniVersion?: string } {
  const folder = runtime.system.path('/var/lib/cni/results')
  const name = readdirSync(folder).find(n => n === `causeway-${sandbox}-eth0`)
  const { result } = JSON.parse(readFileSync(join(folder, name ?? ''), 'utf8')) as { readonly result: object }
  return result
}
