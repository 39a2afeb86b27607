/** `causeway uninstall`: refuses to take pods' network away unless told to, and then leaves the node as it was. */
import assert from 'node:assert/strict'
import { closeSync, globSync } from 'node:fs'
import { after, before, suite, test } from 'node:test'
import { mapInfo } from '../../daemon/kernel/bpf/map-info.ts'
import { getPin, listPins } from '../../daemon/kernel/bpf/pin.ts'
import { fdById } from '../../daemon/kernel/bpf/syscall.ts'
import { labLayout, nodeLayout } from '../../deploy/lab/layout.ts'
import { Cluster, ECHO_PORT } from '../support/cluster.ts'
import type { ClusterNode } from '../support/cluster-node.ts'
import { dumpNode } from '../support/dump-node.ts'
import { eventually } from '../support/eventually.ts'
import { NEEDS_TCX } from '../support/needs-tcx.ts'

const NAME = 'cluninstall'
const NODE = nodeLayout(labLayout(NAME), 1)

suite('uninstalling', () => {
  let cluster: Cluster
  let node: ClusterNode
  let pristine = ''
  before(async () => {
    cluster = await Cluster.start(NAME, { nodes: 2 }, text => {
      if (text.startsWith('starting 2 daemons')) pristine = dumpNode(NODE)
    })
    node = cluster.node('node1')
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  test('is refused while the daemon runs, and while pods are attached', async () => {
    const running = await node.causeway('uninstall', '--force')
    assert.notEqual(running.status, 0)
    assert.match(running.stderr, /daemon/)
    const stream = await cluster.station('node1-a').stream(cluster.station('node2-a').address(4))
    await node.endDaemon('SIGTERM')
    const attached = await node.causeway('uninstall')
    assert.notEqual(attached.status, 0)
    assert.match(attached.stderr, /2 pods are attached .* --force/)
    assert.equal((await stream.stop()).error, undefined)
    await node.startDaemon()
  })

  for (const [how, set, needs] of [
    ['tcx', 'datapath.tcx=on', NEEDS_TCX],
    ['clsact', 'datapath.tcx=off', {}],
  ] as const)
    test(`leaves nothing behind where programs were attached by ${how}`, needs, async () => {
      await node.endDaemon('SIGTERM')
      await node.startDaemon({ set: [set] })
      const pod = await cluster.addPod('node1', 7)
      assert.equal((await pod.check('tcp', cluster.station('node2-a').address(6), ECHO_PORT, 1000)).error, undefined)
      const [programs, maps] = [Object.values(await node.programs()), mapIds(node)]
      assert.ok(
        maps.length >= 9 && programs.every(exists('PROG_GET_FD_BY_ID')) && maps.every(exists('MAP_GET_FD_BY_ID')),
      )
      await node.endDaemon('SIGTERM')
      const { status, stdout, stderr } = await node.causeway('uninstall', '--force')
      assert.equal(status, 0, stderr)
      assert.match(stdout, /devices of \d pods/)
      assert.equal(dumpNode(NODE), pristine)
      const { run, state, bpf, cniConf } = node.layout.paths
      assert.deepEqual(globSync([run, state, bpf, `${cniConf}/*`]), [])
      await eventually(() => !programs.some(exists('PROG_GET_FD_BY_ID')) && !maps.some(exists('MAP_GET_FD_BY_ID')), {
        timeoutMs: 20_000,
      })
      await cluster.forgetPod('node1', 7)
      await node.startDaemon()
    })

  test('is no end: a daemon that starts afterwards attaches pods as ever', async () => {
    const pod = await cluster.addPod('node1', 8)
    const { error } = await cluster.station('node2-a').check('tcp', pod.address(4), 1, 1)
    assert.match(error ?? '', /refused/)
  })
})

function mapIds(node: ClusterNode): number[] {
  return listPins(`${node.layout.paths.bpf}/maps`).map(({ path }) => {
    const fd = getPin(path) ?? -1
    try {
      return mapInfo(fd).id
    } finally {
      closeSync(fd)
    }
  })
}

function exists(what: 'MAP_GET_FD_BY_ID' | 'PROG_GET_FD_BY_ID'): (id: number) => boolean {
  return id => {
    const fd = fdById(what, id)
    if (fd !== undefined) closeSync(fd)
    return fd !== undefined
  }
}
