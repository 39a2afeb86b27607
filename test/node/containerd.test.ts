/**
 * A real container runtime on both nodes of a lab: Debian's containerd calls the CNI executable with the conflist that
 * the daemon wrote, and speaks to this test as it would to kubelet.
 */
import assert from 'node:assert/strict'
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { after, before, suite, test } from 'node:test'
import type { EndpointRow } from '../../daemon/state/tables.ts'
import type { PoolStatus } from '../../daemon/plugin.ts'
import { isRunning, type Process, send } from '../../deploy/lab/namespaces.ts'
import { inNamespace, runCommand } from '../../deploy/lab/command.ts'
import { CriCluster } from '../support/cri/cluster.ts'
import type { Containerd } from '../support/cri/containerd.ts'
import { CONTAINERD_FILES } from '../support/cri/containerd-config.ts'
import {
  addressesInside,
  checkInside,
  type CriPod,
  failuresBetween,
  openStream,
  removePod,
  runPod,
} from '../support/cri/pod.ts'
import { eventually } from '../support/eventually.ts'
import { type MachineTraces, traces } from '../support/machine-traces.ts'

const NAME = 'tcri'

async function endpoints(cluster: CriCluster, runtime: Containerd): Promise<readonly EndpointRow[]> {
  return (await cluster.ask(runtime.node, '/v1/tables/endpoints')) as readonly EndpointRow[]
}

/** Addresses that pods of the node hold. */
async function used(cluster: CriCluster, runtime: Containerd): Promise<number> {
  const status = (await cluster.ask(runtime.node, '/v1/status')) as { readonly pools: readonly PoolStatus[] }
  return status.pools.reduce((sum, pool) => sum + pool.used, 0)
}

function queuedDeletes(runtime: Containerd): string[] {
  try {
    return readdirSync(join(runtime.node.paths.run, 'deletes')).filter(name => name.endsWith('.json'))
  } catch {
    return []
  }
}

/** Host sides of pods in a node's namespace. */
async function podDevices({ node }: Containerd): Promise<string[]> {
  const { stdout } = await runCommand(inNamespace(node.netns, ['ip', '-o', 'link']))
  return [...stdout.matchAll(/^\d+: (cw[0-9a-f]{12})@/gm)].map(match => match[1] ?? '')
}

suite('containerd on the nodes of a lab', () => {
  let start: MachineTraces
  let cluster: CriCluster
  let first: Containerd
  let second: Containerd
  let here: CriPod
  let there: CriPod

  before(async () => {
    // What a killed run left is none of this one's traces.
    await CriCluster.remove(NAME)
    start = traces(NAME)
    cluster = await CriCluster.up(NAME)
    ;[first, second] = cluster.runtimes as [Containerd, Containerd]
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  test('is ready for pods, with the network configuration that the daemon wrote', async () => {
    for (const runtime of cluster.runtimes) {
      const conditions = await runtime.cri.conditions()
      assert.deepEqual(
        conditions.map(c => [c.type, c.status]),
        [
          ['RuntimeReady', true],
          ['NetworkReady', true],
        ],
      )
    }
  })

  test('runs pods whose addresses the runtime, the kernel and the daemon agree on', async () => {
    here = await runPod(first, 'here')
    there = await runPod(second, 'there')
    for (const pod of [here, there]) {
      const [row, ...more] = await endpoints(cluster, pod.runtime)
      assert.equal(more.length, 0)
      assert.equal(row?.key, `causeway/${pod.sandbox}/eth0`)
      assert.deepEqual(row.pod, { namespace: 'default', name: pod.spec.name, uid: pod.spec.uid })
      assert.equal(row.netns.path, pod.netns)
      assert.deepEqual(pod.addresses, row.addresses)
      assert.deepEqual(pod.addresses, addressesInside(pod))
    }
    assert.match(here.addresses.join(' '), /^10\.71\.1\.\d+ fd00:71:0:1::[0-9a-f]+$/)
    assert.match(there.addresses.join(' '), /^10\.71\.2\.\d+ fd00:71:0:2::[0-9a-f]+$/)
  })

  test('runs pods that reach each other on one node and across nodes', async () => {
    const neighbour = await runPod(first, 'neighbour')
    const ways = [
      await failuresBetween(here, neighbour),
      await failuresBetween(here, there),
      await failuresBetween(there, here),
    ]
    assert.deepEqual(ways.flat(), [])
    await removePod(neighbour)
    assert.deepEqual(
      (await endpoints(cluster, first)).map(row => row.pod.name),
      ['here'],
    )
  })

  for (const signal of ['SIGTERM', 'SIGKILL'] as const)
    test(`restarted after ${signal}, keeps its pods, and their connections never notice`, async () => {
      const stream = await openStream(here, there)
      await Promise.all(cluster.runtimes.map(r => r.stop(signal)))
      for (const address of there.addresses) assert.deepEqual(await checkInside(here.netns, address), '')
      await Promise.all(cluster.runtimes.map(r => r.start()))
      assert.equal(await stream.end(), '')
      const { state, addresses } = await first.cri.sandboxStatus(here.sandbox)
      assert.deepEqual([state, addresses], ['SANDBOX_READY', here.addresses])
      assert.deepEqual(await failuresBetween(here, there), [])
    })

  test('brings the DEL of a pod that died while it did not run', async () => {
    const doomed = await runPod(first, 'doomed')
    const before = await used(cluster, first)
    await first.stop('SIGKILL')
    const killed = first.system.processesOfPod(doomed.netns)
    send('SIGKILL', killed)
    await eventually(() => !killed.some(isRunning))
    await first.start()
    await eventually(async () => (await first.cri.sandboxStatus(doomed.sandbox)).state === 'SANDBOX_NOTREADY')
    await removePod(doomed)
    assert.equal(await used(cluster, first), before - doomed.addresses.length)
    assert.deepEqual(
      (await endpoints(cluster, first)).map(row => row.pod.name),
      ['here'],
    )
  })

  test('removes a pod while the daemon is down, and the daemon makes up for it', async () => {
    const leaving = await runPod(first, 'leaving')
    await cluster.stopDaemon(first.node)
    await removePod(leaving)
    assert.equal(queuedDeletes(first).length > 0, true)
    assert.deepEqual(await failuresBetween(here, there), [])
    await cluster.startDaemon(first.node)
    assert.deepEqual(queuedDeletes(first), [])
    assert.equal(await used(cluster, first), here.addresses.length)
    assert.deepEqual(
      (await endpoints(cluster, first)).map(row => row.pod.name),
      ['here'],
    )
    assert.equal((await podDevices(first)).length, 1)
  })

  test('starts and removes many pods at once, each with addresses of its own', async () => {
    const names = Array.from({ length: 10 }, (_, i) => `many-${i}`)
    const pods = (await Promise.all(cluster.runtimes.map(r => Promise.all(names.map(name => runPod(r, name)))))).flat()
    const addresses = [here, there, ...pods].flatMap(pod => pod.addresses)
    assert.equal(new Set(addresses).size, 2 * 22)
    const failures = await Promise.all(pods.map(pod => failuresBetween(pod.runtime === first ? there : here, pod)))
    assert.deepEqual(failures.flat(), [])
    await Promise.all(pods.map(removePod))
    for (const runtime of cluster.runtimes) {
      assert.equal(await used(cluster, runtime), 2)
      assert.equal((await endpoints(cluster, runtime)).length, 1)
    }
  })

  test('comes back after its node lost power, daemon and pods included, and gives every address back', async () => {
    const held = here.addresses
    await cluster.stopDaemon(first.node, 'SIGKILL')
    await first.crash()
    await cluster.startDaemon(first.node)
    await first.boot()
    assert.equal((await first.cri.sandboxStatus(here.sandbox)).state, 'SANDBOX_NOTREADY')
    await removePod(here)
    assert.equal(await used(cluster, first), 0)
    assert.deepEqual(await podDevices(first), [])
    here = await runPod(first, 'here')
    assert.deepEqual(await failuresBetween(here, there), [])
    assert.deepEqual(await failuresBetween(there, here), [])
    assert.equal(here.addresses.length, held.length)
  })

  test('leaves nothing once its pods are removed', async () => {
    await Promise.all([removePod(here), removePod(there)])
    for (const runtime of cluster.runtimes) {
      assert.deepEqual(await runtime.cri.listSandboxes(), [])
      assert.deepEqual(await endpoints(cluster, runtime), [])
      assert.equal(await used(cluster, runtime), 0)
      assert.deepEqual(await podDevices(runtime), [])
      assert.deepEqual(readdirSync(join(runtime.system.folder, CONTAINERD_FILES.netns)), [])
      assert.deepEqual(new Set(runtime.system.processes().map(p => p.name)), new Set(['init', 'containerd']))
    }
    const processes = cluster.runtimes.flatMap(r => r.system.processes())
    await cluster[Symbol.asyncDispose]()
    assert.deepEqual(processes.filter(isRunning), [])
    assert.deepEqual(traces(NAME), start)
  })
})

suite('a run that is killed', () => {
  const name = 'tcrikill'
  const start = traces(name)
  after(() => CriCluster.remove(name))

  test('while it builds its cluster leaves nothing that the next one does not remove', async () => {
    const run = holdCluster(name)
    await eventually(() => traces(name).mounts.some(mount => mount.includes('/node1/runtime ')))
    run.kill('SIGKILL')
    await once(run, 'close')
    await CriCluster.remove(name)
    assert.deepEqual(traces(name), start)
  })

  test('while pods run ends all their processes, and the next run starts afresh', async () => {
    const run = holdCluster(name)
    const [line] = (await once(createInterface({ input: run.stdout }), 'line')) as [string]
    const processes = JSON.parse(line) as readonly Process[]
    assert.deepEqual(processes.filter(isRunning), processes)
    run.kill('SIGKILL')
    await eventually(() => !processes.some(isRunning))
    {
      await using cluster = await CriCluster.up(name, { nodes: 1 })
      const [runtime] = cluster.runtimes as [Containerd]
      assert.deepEqual(await runtime.cri.listSandboxes(), [])
      await removePod(await runPod(runtime, 'fresh'))
    }
    assert.deepEqual(traces(name), start)
  })
})

/** A process that builds a cluster and prints its processes once a pod runs in it. */
function holdCluster(name: string): ChildProcessByStdio<null, Readable, null> {
  const program = join(import.meta.dirname, '../support/cri/hold-cluster.ts')
  return spawn(process.execPath, [program, name], { stdio: ['ignore', 'pipe', 'inherit'] })
}
