/**
 * The daemon dies, is replaced and comes back while long connections run on every way: same node, near node (native), far
 * node (overlay), pod and host in both directions. Connections notice nothing, and pods come and go as before.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { podLayout } from '../../deploy/lab/layout.ts'
import { attachmentOf } from '../../deploy/lab/pod.ts'
import { Cluster, ECHO_PORT, FAMILIES } from '../support/cluster.ts'
import type { ClusterNode } from '../support/cluster-node.ts'
import type { ClusterStation, Stream } from '../support/cluster-station.ts'
import { eventually } from '../support/eventually.ts'

/** Generous, because the machine may be busy: a lost packet alone costs 200 ms. */
const GAP_MS = 1500
/** What the daemon promises. */
const STOP_MS = 10_000

const WAYS = [
  ['node1-a', 'node1-b'],
  ['node1-a', 'node2-a'],
  ['node2-a', 'node1-a'],
  ['node1-a', 'node3-a'],
  ['node3-a', 'node1-a'],
  ['node1-a', 'node1'],
  ['node1', 'node1-a'],
  ['node1-a', 'node2'],
  ['node1-a', 'node3'],
  ['node2', 'node1-a'],
  ['node3', 'node1-a'],
] as const

suite('while the daemon of a node is not there or is replaced', () => {
  let cluster: Cluster
  let node: ClusterNode
  before(async () => {
    cluster = await Cluster.start('clrestart', { nodes: 3, far: 1 })
    node = cluster.node('node1')
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  /** Runs connections on all ways during `what` and asserts that none noticed. */
  async function undisturbed(what: () => Promise<void>): Promise<void> {
    const opening = WAYS.flatMap(([from, to]) =>
      FAMILIES.map(async (family): Promise<[string, Stream]> => {
        const address = cluster.station(to).address(family)
        return [`${from} → ${to} IPv${family}`, await cluster.station(from).stream(address)]
      }),
    )
    const streams = await Promise.all(opening)
    const before = await attachments(node)
    await what()
    const results = await Promise.all(streams.map(async ([name, s]) => ({ name, ...(await s.stop()) })))
    const disturbed = results.filter(r => !r.ok || r.longestGapMs > GAP_MS || r.received < 10)
    assert.deepEqual(disturbed, [])
    assert.deepEqual(await attachments(node), before, 'a program was detached in between')
  }

  test('connections outlive SIGKILL and the next daemon', () =>
    undisturbed(async () => {
      await node.endDaemon('SIGKILL')
      await node.startDaemon()
    }))

  test('connections outlive programs that are replaced by ones with other constants', async () => {
    const before = await node.programs()
    await undisturbed(async () => {
      await node.endDaemon('SIGKILL')
      await node.startDaemon({ set: ['datapath.flowEvents=false', 'datapath.conntrack.udpSeconds=90'] })
    })
    const after = await node.programs()
    assert.deepEqual(Object.keys(after), Object.keys(before))
    for (const [name, id] of Object.entries(before)) assert.notEqual(after[name], id, name)
  })

  test('connections outlive SIGTERM, which ends the daemon within 10 s', () =>
    undisturbed(async () => {
      assert.ok((await node.endDaemon('SIGTERM')) < STOP_MS)
      await node.startDaemon({ set: [] })
    }))

  test('a second signal ends at once a daemon whose plugins hold up its stop', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'causeway-clingers-'))
    try {
      // Each is given two seconds to end.
      const plugins = Array.from({ length: 4 }, (_, i) => ({ module: clinger(folder, i) }))
      await node.endDaemon('SIGKILL')
      await node.startDaemon({ set: [`plugins=${JSON.stringify(plugins)}`] })
      node.signalDaemon('SIGTERM')
      await eventually(() => existsSync(join(folder, 'stopping')))
      assert.ok((await node.endDaemon('SIGTERM')) < 4000)
      await node.startDaemon({ set: [] })
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('pods come and go after a restart as before, and others reach them', async () => {
    await node.endDaemon('SIGKILL')
    await node.startDaemon()
    const pod = await cluster.addPod('node1', 2)
    await reachesAll(pod, ['node1-a', 'node2-a', 'node3-a', 'node1'])
    await cluster.deletePod('node1', 2)
    await eventually(async () => (await node.table('endpoints')).length === 2)
    assert.equal(podDevices(node), 2)
  })

  test('an ADD that finds no daemon waits for it and succeeds', async () => {
    await node.endDaemon('SIGKILL')
    let added = false
    const adding = cluster.addPod('node1', 3).then(pod => ((added = true), pod))
    // The executable has looked for the daemon in vain by the time it has run for a while.
    await eventually(() => node.processes('CNI_COMMAND=ADD').length > 0)
    assert.equal(added, false)
    await node.startDaemon()
    await reachesAll(await adding, ['node1-a', 'node2-a', 'node3-a'])
    await cluster.deletePod('node1', 3)
  })

  test('a DEL that finds no daemon succeeds, is kept, and is carried out at the next start', async () => {
    const pod = await cluster.addPod('node1', 4)
    await node.endDaemon('SIGKILL')
    await node.runtime.del(attachmentOf(podLayout(cluster.lab.layout, node.layout, 4)))
    assert.equal(node.queuedDeletes().length, 1)
    assert.equal(podDevices(node), 3)
    await node.startDaemon()
    await eventually(() => node.queuedDeletes().length === 0)
    assert.equal(podDevices(node), 2)
    const keys = (await node.table('endpoints')).map(e => e.pod.name)
    assert.deepEqual(keys.sort(), ['node1-a', 'node1-b'])
    assert.ok(!(await pod.try(['ip', 'link', 'show', 'eth0'])).stdout.includes('eth0'))
    await cluster.deletePod('node1', 4)
  })

  async function reachesAll(pod: ClusterStation, targets: readonly string[]): Promise<void> {
    const checks = targets.flatMap(to =>
      FAMILIES.map(async family => {
        const address = cluster.station(to).address(family)
        return { to, family, ...(await pod.check('tcp', address, ECHO_PORT, 100_000)) }
      }),
    )
    assert.deepEqual(
      (await Promise.all(checks)).filter(c => !c.ok),
      [],
    )
  }
})

/** Where programs are attached, and the ids of links, which are others after a detachment. Filters of clsact have no such id. */
async function attachments(
  node: ClusterNode,
): Promise<readonly (readonly [where: string, link: number | undefined])[]> {
  const links = node.links()
  return Object.keys(await node.programs()).map(where => [where, links[where]?.id] as const)
}

/** A plugin that tells by a file that it shall stop, and goes on. */
function clinger(folder: string, number: number): string {
  const file = join(folder, `clinger${number}.mjs`)
  const tell = `host.signal.addEventListener('abort', () => writeFileSync('${folder}/stopping', ''))`
  const setUp = `host => ({ run: () => new Promise(() => { ${tell}; setInterval(() => {}, 1e6) }) })`
  const plugin = `{ name: 'clinger${number}', configure: () => ${setUp} }`
  writeFileSync(file, `import { writeFileSync } from 'node:fs'\nexport const plugin = ${plugin}\n`)
  return file
}

function podDevices(node: ClusterNode): number {
  using net = node.net()
  return net.links().filter(l => /^cw[0-9a-f]{12}$/.test(l.name)).length
}
