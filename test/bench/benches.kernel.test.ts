/** Every bench runs to its end and prints what people and programs expect of it; how fast is not the question here. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { warmThreadPool } from '../../daemon/kernel/netns/thread-pool.ts'
import type { Result } from './bench.ts'
import { benches } from './benches.ts'

before(() => warmThreadPool())

/** Figures that stand without a peer. */
const ALONE =
  /^forwarding --test-run|^ipam-sim|^k8s-scale|^maglev-table|^maglev-xdp .* map |^map-sync .*(over raw$|tables of|endpoint changed)|resident$/
/** Of a change that concerns nobody here there may be nothing. */
const MAYBE_NOTHING = /^k8s-scale one |^ipam-sim .*(p99|last address|throttled|without an address)/

for (const bench of benches)
  test(`${bench.name} prints figures beside its peers`, async t => {
    const results: Result[] = []
    for await (const result of bench.run({ rounds: 1, brief: true, say: () => {}, signal: t.signal }))
      results.push(result)
    assert.ok(results.length > 0)
    for (const result of results) {
      const { ours, unit, samples, ratio, peer, target, ok } = result
      const text = JSON.stringify(result)
      assert.equal(result.bench, bench.name)
      assert.ok(
        (ours > 0 || MAYBE_NOTHING.test(`${result.bench} ${result.case}`)) &&
          Number.isFinite(ours) &&
          unit !== '' &&
          samples > 0,
        text,
      )
      assert.equal(typeof ok, target === undefined ? 'undefined' : 'boolean', text)
      if (!ALONE.test(`${result.bench} ${result.case}`)) assert.ok(peer !== undefined && Number(ratio) > 0, text)
    }
    assert.equal(new Set(results.map(r => `${r.case} ${r.peer}`)).size, results.length)
  })
