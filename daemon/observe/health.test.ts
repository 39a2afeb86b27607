import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildInfo } from './build.ts'
import { Health } from './health.ts'

test('the daemon is ready while every condition holds, and says what it waits for', () => {
  const health = new Health()
  assert.deepEqual(health.report(), { ready: true, waiting: [] })
  const cluster = health.condition('cluster source', 'reading')
  const datapath = health.condition('datapath')
  assert.deepEqual(health.report().waiting, ['cluster source: reading', 'datapath'])
  cluster.pass()
  datapath.pass()
  assert.equal(health.ready, true)
  datapath.fail('program refused')
  assert.deepEqual(health.report(), { ready: false, waiting: ['datapath: program refused'] })
})

test('whoever waits for readiness is woken, or told that the wait is over', async () => {
  const health = new Health()
  const condition = health.condition('x')
  const waiting = health.untilReady(new AbortController().signal)
  condition.pass()
  await waiting
  condition.fail('again')
  const stop = new AbortController()
  const refused = assert.rejects(health.untilReady(stop.signal), /enough/)
  stop.abort(new Error('enough'))
  await refused
})

test('the version is the one of the package', () => {
  assert.match(buildInfo().version, /^\d+\.\d+\.\d+/)
})
