/** A daemon that is told to stop amid a node's work, as by an upgrade while pods come and go. */
import assert from 'node:assert/strict'
import { before, test, type TestContext } from 'node:test'
import { warmThreadPool } from '../../daemon/kernel/netns/thread-pool.ts'
import { eventually } from '../support/eventually.ts'
import { sweepRealNodes } from '../support/life/real-node.ts'
import { RealWorld } from '../support/life/real-world.ts'
import { keyOf } from '../support/life/world.ts'

/** Waiting for something that is not to come takes 10 s; the rest is for a busy machine. */
const GOOD_TIME_MS = 5000

before(async () => {
  await warmThreadPool()
  await sweepRealNodes()
})

test('SIGTERM amid ADDs and DELs ends the daemon in good time, and every verb ends well', async (t: TestContext) => {
  const pods = Array.from({ length: 20 }, (_, i) => `pod-${i}`)
  await using world = await RealWorld.start({ lane: 7, patient: () => true })
  let [coming, going] = [pods.slice(10), pods.slice(0, 10)]
  await Promise.all(going.map(pod => world.add(pod)))
  for (let round = 0; round < 4; round++) {
    const took = await stopAmid(world, coming, going)
    t.diagnostic(`stopped within ${took.toFixed()} ms`)
    if (!world.alive) await world.restart()
    const wanted = coming.map(keyOf).sort().join()
    await eventually(async () => (await holders(world)) === wanted, { timeoutMs: 30_000 })
    ;[coming, going] = [going, coming]
  }
  assert.deepEqual((await world.observe()).leftovers, [])
})

/** Begins all verbs, stops the daemon when the first has been answered, and resolves to how long that took. */
async function stopAmid(world: RealWorld, coming: readonly string[], going: readonly string[]): Promise<number> {
  const verbs = [...going.map(pod => world.del(pod)), ...coming.map(pod => world.add(pod))]
  await Promise.race(verbs)
  const began = performance.now()
  await world.node.daemon.stop()
  const took = performance.now() - began
  assert.ok(took < GOOD_TIME_MS, `the daemon took ${took.toFixed()} ms to stop`)
  const refused = (await Promise.all(verbs)).filter(({ outcome }) => outcome !== 'ok' && outcome !== 'queued')
  assert.deepEqual(refused, [])
  return took
}

async function holders(world: RealWorld): Promise<string> {
  return [...new Set((await world.observe()).leases.map(lease => lease.owner))].sort().join()
}
