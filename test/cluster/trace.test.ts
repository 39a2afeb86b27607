/**
 * `causeway trace` on real nodes: what it says of packets is what becomes of such packets, and nothing of what the node holds
 * changes by it.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { Trace } from '../../daemon/trace/tracer.ts'
import { writeManifest } from '../../deploy/lab/configuration.ts'
import { serviceObjects } from '../../deploy/lab/service-manifest.ts'
import { Cluster, ECHO_PORT, FAMILIES } from '../support/cluster.ts'
import type { ClusterNode } from '../support/cluster-node.ts'
import type { ClusterStation } from '../support/cluster-station.ts'
import { eventually } from '../support/eventually.ts'

const PORT = 80
const NODE_PORT = 30_120
const clusterIP = (family: 4 | 6): string => (family === 4 ? '10.97.1.1' : 'fd00:97::1:1')

suite('a trace', () => {
  let cluster: Cluster
  let node: ClusterNode
  let outside: ClusterStation
  before(async () => {
    cluster = await Cluster.start('cltrace', { nodes: 2, pods: 2 })
    node = cluster.node('node1')
    outside = cluster.station('outside')
    writeManifest(cluster.lab.layout, 'test-service', {
      apiVersion: 'v1',
      kind: 'List',
      items: serviceObjects({
        name: 'web',
        clusterIPs: FAMILIES.map(clusterIP),
        ports: [{ protocol: 'TCP', port: PORT, targetPort: ECHO_PORT, nodePort: NODE_PORT }],
        endpoints: [cluster.station('node2-a')],
        spec: { type: 'NodePort' },
        status: {},
      }),
    })
    const pod = cluster.station('node1-a')
    for (const family of FAMILIES) await eventually(async () => (await pod.check('tcp', clusterIP(family), PORT, 1000)).ok)
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  async function trace(...args: readonly string[]): Promise<Trace> {
    const { code, stdout, stderr } = await node.causeway('trace', ...args, '-o', 'json')
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout) as Trace
  }

  test('shows', async () => {
    for (const args of [
      ['--from', 'node1-a', '--to', 'web'],
      ['--from', 'node1-a', '--to', `${cluster.station('node2-a').address(4)}:80`],
      ['--from', 'node1-a', '--to', `${cluster.station('node1-b').address(4)}:80`],
      ['--from', 'node1-a', '--to', `${outside.address(4)}:80`],
      ['--from', 'node1-a', '--to', `[${outside.address(6)}]:80`, '--source-port', '777'],
      ['--from', 'node1-a', '--to', '198.51.100.7:53', '--protocol', 'udp'],
      ['--from', 'node1-a', '--to', 'web', '--protocol', 'icmp'],
      ['--from', outside.address(4), '--to', 'web'],
      ['--from', node.addresses[0] ?? '', '--to', 'node1-a:80'],
      ['--from', node.addresses[0] ?? '', '--to', 'node2-a:80'],
      ['--from', node.addresses[0] ?? '', '--to', `${outside.address(4)}:80`],
      ['--from', 'node1-a', '--to', 'webb:80'],
      ['--from', 'node1-c', '--to', 'web:80'],
      ['--from', 'node2-a', '--to', 'web:80'],
    ]) {
      const { stdout, stderr, code } = await node.causeway('trace', ...args)
      console.log(args.join(' '), code, '\n' + stdout + stderr)
    }
    const t = await trace('--from', 'node1-a', '--to', 'web')
    console.log(JSON.stringify(t, undefined, 1))
  })
})
