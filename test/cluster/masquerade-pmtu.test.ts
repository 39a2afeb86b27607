/** A router between a pod's node and the host outside that takes shorter packets than the node knows of. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { inNamespace, mustRun } from '../../deploy/lab/command.ts'
import { UPLINK } from '../../deploy/lab/topology.ts'
import { Cluster, ECHO_PORT, FAMILIES } from '../support/cluster.ts'
import type { ClusterStation } from '../support/cluster-station.ts'

const MTU = 1300
/** Segments of full length in both directions. */
const BYTES = 64_000

let cluster: Cluster
let pod: ClusterStation
let outside: ClusterStation
before(async () => {
  cluster = await Cluster.start('clpmtu', { nodes: 2, far: 1 })
  pod = cluster.station('node2-a')
  outside = cluster.station('outside')
  const { router } = cluster.lab.layout
  // A route, not the device: a veth device drops what comes to it longer than it sends.
  for (const family of FAMILIES) {
    const to = [outside.address(family), 'dev', UPLINK]
    const route = ['ip', `-${family}`, 'route', 'add', ...to, 'mtu', 'lock', `${MTU}`]
    await mustRun(inNamespace(router.netns, route))
  }
})
after(async () => await cluster?.[Symbol.asyncDispose]())

for (const family of FAMILIES)
  test(`IPv${family}: the router's message reaches the pod, whose connection then goes on with shorter segments`, async () => {
    const to = outside.address(family)
    const known = async (): Promise<string> => await pod.run(['ip', 'route', 'get', to])
    assert.doesNotMatch(await known(), /\bmtu 1300\b/)
    const { ok, error } = await pod.check('tcp', to, ECHO_PORT, BYTES, '--timeout', 5000)
    assert.ok(ok, error)
    assert.match(await known(), /\bmtu 1300\b/)
  })
