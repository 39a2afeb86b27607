/**
 * A node that boots anew: pods, devices, pins and everything in /run are gone, the state directory and late DELs are not.
 * The boot id that the daemon and the CNI executable read is another one, by a mount of their own.
 */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { podLayout } from '../../deploy/lab/layout.ts'
import { attachmentOf } from '../../deploy/lab/pod.ts'
import { Cluster, ECHO_PORT, FAMILIES } from '../support/cluster.ts'
import type { ClusterNode } from '../support/cluster-node.ts'
import { mustRun } from '../../deploy/lab/command.ts'
import { eventually } from '../support/eventually.ts'

const BOOT_ID = '/proc/sys/kernel/random/boot_id'
const PODS = [0, 1]

suite('a node that boots anew', () => {
  let cluster: Cluster
  let node: ClusterNode
  let bootIdFile: string
  before(async () => {
    cluster = await Cluster.start('clreboot', { nodes: 2 })
    node = cluster.node('node1')
    bootIdFile = join(node.layout.root, 'boot_id')
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  /** A command that makes the rest of its line see the other boot id. */
  const elsewhen = (): string[] => {
    const script = `mount --bind ${bootIdFile} ${BOOT_ID} && exec "$@"`
    return ['unshare', '--mount', '--propagation', 'slave', 'sh', '-c', script, 'sh']
  }

  /** What a power cut and a boot leave: the disk, and in the queue what a runtime was quick to delete. */
  async function reboot(): Promise<void> {
    const { paths, bpffs } = node.layout
    await node.endDaemon('SIGKILL')
    for (const index of PODS) await cluster.forgetPod('node1', index)
    for (const device of ['cw-anchor0', 'cw-vxlan']) await node.run(['ip', 'link', 'delete', device])
    await eventually(async () => !(await node.run(['ip', '-br', 'link'])).includes('cw'))
    await mustRun(['umount', bpffs])
    await mustRun(['mount', '-t', 'bpf', 'bpf', bpffs])
    rmSync(paths.run, { recursive: true })
    rmSync(cluster.lab.layout.results, { recursive: true })
    writeFileSync(bootIdFile, 'b0071d00-0000-4000-8000-000000000001\n')
    const executable = join(paths.cniBin, 'causeway')
    renameSync(executable, `${executable}.real`)
    writeFileSync(
      executable,
      `#!/bin/sh\nexec ${elsewhen()
        .map(word => `'${word}'`)
        .join(' ')} ${executable}.real\n`,
    )
    chmodSync(executable, 0o755)
  }

  test('has its late DELs succeed, loses no address, and gives pods of the same names their network', async () => {
    const journal = join(node.layout.paths.state, 'journal')
    assert.match(readFileSync(journal, 'latin1'), /node1-a/)
    const before = await used()
    assert.deepEqual(before, [2, 2])
    await reboot()
    assert.ok(existsSync(journal))
    const attachment = (index: number) => attachmentOf(podLayout(cluster.lab.layout, node.layout, index))
    const { netns: _gone, ...late } = attachment(0)
    await node.runtime.del(late)
    assert.equal(node.queuedDeletes().length, 1, 'there is no daemon yet')
    await node.startDaemon({ before: elsewhen() })
    assert.deepEqual(node.queuedDeletes(), [])
    assert.deepEqual([await node.table('endpoints'), await used()], [[], [0, 0]])
    assert.doesNotMatch(readFileSync(journal, 'latin1'), /node1-a/)
    await node.runtime.del(attachment(1))
    await node.runtime.del(late)
    await node.runtime.status()
    for (const index of PODS) {
      const pod = await cluster.addPod('node1', index)
      for (const family of FAMILIES) {
        assert.equal(
          (await pod.check('tcp', cluster.station('node2-a').address(family), ECHO_PORT, 1000)).error,
          undefined,
        )
        assert.equal(
          (await pod.check('tcp', node.addresses[family === 4 ? 0 : 1] ?? '', ECHO_PORT, 1000)).error,
          undefined,
        )
      }
    }
    assert.deepEqual(await used(), [2, 2])
  })

  /** Addresses in use, by family. */
  async function used(): Promise<number[]> {
    const status = (await node.get('/v1/status')) as { readonly pools: readonly { readonly used: number }[] }
    return status.pools.map(pool => pool.used)
  }
})
