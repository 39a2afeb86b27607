/** Gateways where pods' packets go from node to node as they are: the way to the gateway takes less than the pods send. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { nodeManifest, writeManifest } from '../../deploy/lab/configuration.ts'
import { PROBE_PORT } from '../../deploy/lab/layout.ts'
import { Cluster, ECHO_PORT, FAMILIES } from '../support/cluster.ts'
import type { CheckResult } from '../support/cluster-station.ts'
import { eventually } from '../support/eventually.ts'

let cluster: Cluster
before(async () => {
  cluster = await Cluster.start('clgatenat', { pods: 1, set: ['egress-gateway={}', 'routing.mode=native'] })
  const manifest = nodeManifest(cluster.node('node2').layout)
  writeManifest(cluster.lab.layout, 'node2', { ...manifest, metadata: { name: 'node2', labels: { egress: 'yes' } } })
  writeManifest(cluster.lab.layout, 'policy', {
    apiVersion: 'causeway.dev/v1alpha1',
    kind: 'EgressPolicy',
    metadata: { name: 'all' },
    spec: {
      selectors: [{}],
      destinations: ['0.0.0.0/0', '::/0'],
      gateways: [{ nodeSelector: { matchLabels: { egress: 'yes' } } }],
    },
  })
  await eventually(async () => (await cluster.node('node1').table('egressPaths')).length === 2)
  await eventually(async () => (await cluster.node('node2').table('egressPaths')).length === 3)
})
after(() => cluster?.[Symbol.asyncDispose]())

for (const family of FAMILIES) {
  test(`IPv${family}: pods are seen as the gateway, and still reach each other and the nodes`, async () => {
    const [pod, outside] = [cluster.station('node1-a'), cluster.station('outside')]
    const result = await pod.check('who', outside.address(family), PROBE_PORT + 3, 1)
    const { clients } = result as CheckResult & { readonly clients?: readonly string[] }
    assert.deepEqual(clients, [cluster.station('node2').address(family)])
    for (const name of ['node2-a', 'node1', 'node2'])
      assert.ok((await pod.check('tcp', cluster.station(name).address(family), ECHO_PORT, 1)).ok, name)
  })

  test(`IPv${family}: a large transfer finds out what the way takes`, async () => {
    const [pod, outside] = [cluster.station('node1-a'), cluster.station('outside')]
    const { ok, error } = await pod.check('tcp', outside.address(family), ECHO_PORT, 1_000_000)
    assert.ok(ok, error)
    assert.ok((await cluster.node('node1').metric('causeway_dropped_packets_total', { reason: 'too_big' })) > 0)
  })
}
