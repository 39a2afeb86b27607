import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readStatistics } from './verifier-statistics.ts'

const PROCESSED =
  'processed 12930 insns (limit 1000000) max_states_per_insn 9 total_states 871 peak_states 654 mark_read 0\n'

for (const [what, lines] of [
  ['one function', 'stack depth 112\n'],
  ['several functions in one line', 'stack depth 80+112+24\n'],
  [
    'functions in lines of their own',
    'stack depth max 352\nsubprog 0 (pod_out) main insns_self 2428 insns_total 8096 stack 112\nsubprog 1 (drop) global insns_self 180 insns_total 180 stack 80\n',
  ],
] as const)
  test(`the figures of ${what} are read`, () => {
    const log = `verification time 316607 usec\n${lines}${PROCESSED}`
    assert.deepEqual(readStatistics(log), { instructions: 12_930, stackBytes: 112 })
  })

for (const log of ['', '0: (b7) r0 = 0\n', `verification time 3 usec\n${PROCESSED}`])
  test(`a log without them (${JSON.stringify(log.slice(0, 12))}) tells nothing`, () => {
    assert.equal(readStatistics(log), undefined)
  })
