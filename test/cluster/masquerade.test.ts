/** Pods that leave the cluster with their node's address, in a lab: what is told of them, and ranges that change meanwhile. */
import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Cluster, ECHO_PORT, FAMILIES } from '../support/cluster.ts'
import type { Crowd } from '../../deploy/lab/crowds.ts'
import type { ClusterStation } from '../support/cluster-station.ts'
import { eventually } from '../support/eventually.ts'

const CONNECTIONS = 100
const CLOSED_PORT = 9
/** Some exchanges of each connection. */
const WHILE_MS = 1000

const directory = mkdtempSync(join(tmpdir(), 'causeway-masquerade-'))
const agentFile = join(directory, 'config')
let cluster: Cluster
let pod: ClusterStation
let outside: ClusterStation
before(async () => {
  keep([])
  cluster = await Cluster.start('clmasq', { set: [`masquerade={agentFile: ${agentFile}}`] })
  pod = cluster.station('node1-a')
  outside = cluster.station('outside')
})
after(async () => {
  await cluster?.[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})

/** Makes these the ranges that know pods' addresses. */
function keep(ranges: readonly string[]): void {
  write(JSON.stringify({ nonMasqueradeCIDRs: ranges }))
}
function write(text: string): void {
  writeFileSync(`${agentFile}.new`, text)
  renameSync(`${agentFile}.new`, agentFile)
}
async function isKept(range: string): Promise<boolean> {
  return (await cluster.node('node1').table('nativeRanges')).some(row => row.prefix === range)
}
async function problems(): Promise<readonly { readonly place: string }[]> {
  const status = (await cluster.node('node1').get('/v1/status')) as { readonly problems: { readonly place: string }[] }
  return status.problems
}

for (const family of FAMILIES)
  test(`IPv${family}: a port that nobody listens at outside is told to the pod's socket at once`, async () => {
    for (const protocol of ['tcp', 'udp']) {
      const { ok, ms, error } = await pod.check(protocol, outside.address(family), CLOSED_PORT, 1, '--timeout', 3000)
      assert.equal(ok, false)
      assert.match(error ?? '', /refused/i, protocol)
      assert.ok(ms < 1500, `${protocol}: ${ms} ms`)
    }
  })

/** Stops connections, all of which must have lived, and spoken, all the time. */
async function stopWhole(crowds: readonly Crowd[]): Promise<void> {
  for (const crowd of crowds) {
    const { opened, answered, failures } = await crowd.stop()
    assert.deepEqual(failures, [])
    assert.equal(opened, CONNECTIONS / 2)
    assert.ok(answered > opened, `${answered} exchanges`)
  }
}
const openCrowds = async (): Promise<Crowd[]> =>
  await Promise.all(FAMILIES.map(family => pod.crowd('hold', CONNECTIONS / 2, outside.address(family), ECHO_PORT)))

test('ranges change while connections run, and none breaks', async () => {
  const crowds = await openCrowds()
  const ranges = FAMILIES.map(family => `${outside.address(family)}/${family === 4 ? 32 : 128}`)
  keep(ranges)
  for (const range of ranges) await eventually(() => isKept(range))
  for (const family of FAMILIES) {
    // Now pods' own addresses go out, to which the host outside knows no way.
    await eventually(async () => !(await pod.check('tcp', outside.address(family), ECHO_PORT, 1, '--timeout', 500)).ok)
  }
  await delay(WHILE_MS)
  write('nonMasqueradeCIDRs: [')
  await eventually(async () => (await problems()).some(({ place }) => place === `${agentFile}:1`))
  for (const range of ranges) assert.ok(await isKept(range))
  keep([])
  for (const range of ranges) await eventually(async () => !(await isKept(range)))
  for (const family of FAMILIES)
    await eventually(async () => (await pod.check('tcp', outside.address(family), ECHO_PORT, 1, '--timeout', 500)).ok)
  await delay(WHILE_MS)
  await stopWhole(crowds)
})

test('the daemon is killed and starts again while connections run, and none breaks', async () => {
  const crowds = await openCrowds()
  const node = cluster.node('node1')
  await node.endDaemon('SIGKILL')
  await delay(WHILE_MS)
  await node.startDaemon()
  for (const family of FAMILIES) {
    const { ok, error } = await pod.check('tcp', outside.address(family), ECHO_PORT, 1, '--timeout', 3000)
    assert.ok(ok, error)
  }
  await delay(WHILE_MS)
  await stopWhole(crowds)
})
