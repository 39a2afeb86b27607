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
  assert.equal(health.report().ready, true)
  datapath.fail('program refused')
  assert.deepEqual(health.report(), { ready: false, waiting: ['datapath: program refused'] })
})

test('a condition may be asked instead of told', () => {
  const health = new Health()
  let reason: string | undefined = 'its first look'
  health.ask('cluster source', () => reason)
  assert.deepEqual(health.report(), { ready: false, waiting: ['cluster source: its first look'] })
  reason = undefined
  assert.deepEqual(health.report(), { ready: true, waiting: [] })
})

test('the version is the one of the package', () => {
  assert.match(buildInfo().version, /^\d+\.\d+\.\d+/)
})
