/**
 * Programs that a kernel refuses: a daemon that starts with one ends and says which; one that runs goes on. Either way the
 * old set stays attached, whole, and traffic does not notice.
 */
import assert from 'node:assert/strict'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { compileObject } from '../../deploy/setup/compile-bpf.mjs'
import { Cluster, ECHO_PORT } from '../support/cluster.ts'
import type { ClusterNode } from '../support/cluster-node.ts'
import type { Stream } from '../support/cluster-station.ts'
import { eventually } from '../support/eventually.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const REFUSED = /verifying program reads_too_far of \S*overlay\.o/
const PATIENT = { timeoutMs: 30_000, pollMs: 50 }

/** A copy of what is built, in which objects can be changed. */
interface Build extends Disposable {
  readonly bundle: string
  refuse(): void
  mend(): void
}

async function copyBuild(): Promise<Build> {
  const root = mkdtempSync(join(tmpdir(), 'causeway-build-'))
  mkdirSync(join(root, 'build/daemon'), { recursive: true })
  for (const part of ['daemon', 'bpf'])
    cpSync(join(ROOT, 'build', part), join(root, 'build', part), { recursive: true })
  for (const name of ['node_modules', 'package.json']) symlinkSync(join(ROOT, name), join(root, name))
  const source = join(ROOT, 'daemon/datapath/testdata/refused.bpf.c')
  await compileObject({ root: ROOT, source, output: join(root, 'refused.o') })
  const overlay = join(root, 'build/bpf/overlay.o')
  return {
    bundle: join(root, 'build/daemon/causeway.cjs'),
    refuse: () => copyFileSync(join(root, 'refused.o'), overlay),
    mend: () => copyFileSync(join(ROOT, 'build/bpf/overlay.o'), overlay),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  }
}

suite('a program that the kernel refuses', () => {
  let cluster: Cluster
  let node: ClusterNode
  let build: Build
  before(async () => {
    build = await copyBuild()
    cluster = await Cluster.start('clrefused', { nodes: 3, far: 1 })
    node = cluster.node('node1')
  })
  after(async () => {
    await cluster?.[Symbol.asyncDispose]()
    build?.[Symbol.dispose]()
  })

  async function streams(): Promise<Stream[]> {
    const to = ['node1-b', 'node2-a', 'node3-a', 'node1']
    return await Promise.all(to.map(name => cluster.station('node1-a').stream(cluster.station(name).address(6))))
  }
  async function areWell(streams: readonly Stream[]): Promise<void> {
    const results = await Promise.all(streams.map(s => s.stop()))
    assert.deepEqual(
      results.filter(r => !r.ok),
      [],
    )
  }
  const reaches = async (to: string): Promise<boolean> =>
    (await cluster.station('node1-a').check('tcp', cluster.station(to).address(4), ECHO_PORT, 10_000)).ok

  test('at the start ends the daemon, which names it, and leaves the old programs where they are', async () => {
    const attached = await node.programs()
    const running = await streams()
    await node.endDaemon('SIGTERM')
    build.refuse()
    await assert.rejects(node.startDaemon({ bundle: build.bundle, set: ['datapath.flowEvents=false'] }), REFUSED)
    assert.deepEqual(await node.programs(), attached)
    for (const to of ['node1-b', 'node2-a', 'node3-a', 'node1']) assert.ok(await reaches(to), to)
    await areWell(running)
    await node.startDaemon({ set: [] })
    assert.deepEqual(Object.keys(await node.programs()), Object.keys(attached))
  })

  test('while the daemon runs is told, tried again, and taken once it is mended', async () => {
    await node.endDaemon('SIGTERM')
    build.mend()
    await node.startDaemon({ bundle: build.bundle })
    const attached = await node.programs()
    const running = await streams()
    build.refuse()
    // Another MTU of the overlay is another constant, for which the programs are loaded anew.
    await node.run(['ip', 'link', 'set', 'eth0', 'mtu', '1490'])
    await eventually(async () => REFUSED.test((await node.causeway('status')).stdout), PATIENT)
    assert.deepEqual(await node.programs(), attached)
    for (const to of ['node1-b', 'node2-a', 'node3-a', 'node1']) assert.ok(await reaches(to), to)
    build.mend()
    await eventually(async () => (await node.causeway('status')).stdout.includes('no problems'), PATIENT)
    const replaced = await node.programs()
    assert.deepEqual(Object.keys(replaced), Object.keys(attached))
    for (const [where, id] of Object.entries(attached)) assert.notEqual(replaced[where], id, where)
    await areWell(running)
  })
})
