/** On an API server a daemon sees the pods of its own node alone: those outside their node's ranges are published. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { controlPlaneOf } from '../../deploy/lab/kubernetes/control-plane.ts'
import { Cluster, ECHO_PORT, FAMILIES } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'

const SCRIPT = join(import.meta.dirname, 'testdata/give-other-ranges.ts')
const OTHER_RANGES = ['10.71.77.0/24', 'fd00:71:0:77::/112']
/** Between the operator's word and the daemon's nobody knows the way; TCP repeats in between. */
const GAP_MS = 5000

suite('in a cluster with an API server', () => {
  let cluster: Cluster
  before(async () => {
    cluster = await Cluster.start('clstray', { nodes: 2, pods: 1, kubernetes: true })
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  test('what a daemon is configured to and has found out is known to the others', async () => {
    const node2 = cluster.node('node2')
    await node2.endDaemon('SIGTERM')
    await node2.startDaemon({ set: ['routing.nativeNetwork=rack/7', 'cloud=azure'] })
    for (const name of ['node1', 'node2'])
      await eventually(async () => {
        const row = (await cluster.node(name).table('nodes')).find(r => r.name === 'node2')
        return row?.nativeNetwork === 'rack/7' && row.cloud === 'azure'
      })
    assert.match(
      (await cluster.node('node1').causeway('nodes')).stdout,
      /node2 .* overlay .* other network: rack\/7 there/,
    )
    await node2.endDaemon('SIGTERM')
    await node2.startDaemon({ set: [] })
    await eventually(async () =>
      /node2 .* native +same link/.test((await cluster.node('node1').causeway('nodes')).stdout),
    )
  })

  test('native routing where the cloud drops it is done as told, and said to be in vain with the way out', async () => {
    const node2 = cluster.node('node2')
    await node2.endDaemon('SIGTERM')
    await node2.startDaemon({ set: ['routing.mode=native', 'cloud=aws'] })
    const { stdout } = await node2.causeway('status')
    assert.match(stdout, /^node +node2, ready$/m)
    assert.match(
      stdout,
      /routing: routing\.mode is native, but the network of aws drops .* Set routing\.mode to auto; or, /,
    )
    assert.match(stdout, /routing +native: native to node1 \(routing\.mode native\)/)
    await node2.endDaemon('SIGTERM')
    await node2.startDaemon({ set: [] })
    await eventually(async () => !(await node2.causeway('status')).stdout.includes('aws'))
  })

  test('pods stay reachable from other nodes when their node gets other ranges, and open connections go on', async () => {
    const [pod, other] = [cluster.station('node1-a'), cluster.station('node2-a')]
    const streams = await Promise.all(FAMILIES.map(family => pod.stream(other.address(family))))
    const { url, state } = controlPlaneOf(cluster.lab.layout)
    await cluster.runIn('control', [process.execPath, SCRIPT, url, state, 'node2', ...OTHER_RANGES])
    const row = async () => (await cluster.node('node1').table('nodes')).find(r => r.name === 'node2')
    await eventually(async () => String((await row())?.podCidrs) === String(OTHER_RANGES))
    await eventually(async () => String((await row())?.podAddresses) === String([...other.addresses].sort()))
    for (const family of FAMILIES) {
      const show = ['ip', family === 4 ? '-4' : '-6', 'route', 'show', other.address(family)]
      await eventually(async () => / via /.test(await cluster.node('node1').run(show)))
      const answer = await cluster.station('node1').check('tcp', other.address(family), ECHO_PORT, 100_000)
      assert.equal(answer.error, undefined)
    }
    const results = await Promise.all(streams.map(stream => stream.stop()))
    assert.deepEqual(
      results.filter(r => !r.ok || r.longestGapMs > GAP_MS || r.received < 10),
      [],
    )
  })

  test('a new pod has an address of the new range, and the published ones go with their pods', async () => {
    const fresh = await cluster.addPod('node2', 1)
    assert.match(fresh.address(4), /^10\.71\.77\./)
    await cluster.deletePod('node2', 0)
    await eventually(async () => {
      const row = (await cluster.node('node1').table('nodes')).find(r => r.name === 'node2')
      return row !== undefined && row.podAddresses === undefined
    })
    await eventually(async () => !/^10\.71\.\d+\.\d+ via/m.test(await cluster.node('node1').run(['ip', 'route'])))
  })
})
