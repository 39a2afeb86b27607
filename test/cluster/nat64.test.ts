/** Pods without an IPv4 address in a lab: they reach what has IPv4 alone by the addresses that stand for it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Cluster, ECHO_PORT } from '../support/cluster.ts'
import type { ClusterStation } from '../support/cluster-station.ts'

const CLOSED_PORT = 9
/** Whole segments by the thousand, in each direction. */
const BULK_BYTES = 64 << 20
/** A datagram that fills the way out, and one beyond it: 1500 less the headers of IPv6 and UDP. */
const LARGEST_DATAGRAM = 1500 - 48

let cluster: Cluster
let pod: ClusterStation
/** Stands for the IPv4 address of the host outside. */
let outside: string
before(async () => {
  cluster = await Cluster.start('clnat64', { set: ['families=[ipv6]', 'masquerade={nat64: {}}'] })
  pod = cluster.station('node1-a')
  outside = `64:ff9b::${cluster.station('outside').address(4)}`
})
after(async () => {
  await cluster?.[Symbol.asyncDispose]()
})

test('the pod has IPv6 alone', () => {
  assert.throws(() => pod.address(4), /has no IPv4 address/)
})

test('TCP, in bulk both ways', async () => {
  const { ok, error } = await pod.check('tcp', outside, ECHO_PORT, BULK_BYTES, '--timeout', 60_000)
  assert.equal(error, undefined)
  assert.equal(ok, true)
})

test('UDP, up to what the way takes', async () => {
  for (const bytes of [1, 1200, LARGEST_DATAGRAM]) {
    const { ok, error } = await pod.check('udp', outside, ECHO_PORT, bytes)
    assert.equal(error, undefined, `${bytes} bytes`)
    assert.equal(ok, true)
  }
})

test('echo requests', async () => {
  const { ok, error } = await pod.check('icmp', outside, 100)
  assert.equal(error, undefined)
  assert.equal(ok, true)
})

test('a port that nobody listens at is told to the pod’s socket at once', async () => {
  for (const protocol of ['tcp', 'udp']) {
    const { ok, ms, error } = await pod.check(protocol, outside, CLOSED_PORT, 1, '--timeout', 3000)
    assert.equal(ok, false)
    assert.match(error ?? '', /refused/i, protocol)
    assert.ok(ms < 1500, `${protocol}: ${ms} ms`)
  }
})

test('the node is no host outside, and the pod is told at once', async () => {
  const node = cluster.station('node1').address(4)
  const { ok, ms, error } = await pod.check('tcp', `64:ff9b::${node}`, ECHO_PORT, 1, '--timeout', 3000)
  assert.equal(ok, false)
  assert.match(error ?? '', /denied|prohibited/i)
  assert.ok(ms < 1500, `${ms} ms`)
})

test('one prefix is in use on each node', async () => {
  for (const node of cluster.nodes) assert.deepEqual(await node.table('nat64Prefixes'), [{ prefix: '64:ff9b::/96' }])
})
