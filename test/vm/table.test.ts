import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Kernel } from './kernel-cache.ts'
import type { SuiteResult } from './run-suite.ts'
import { countFailures, failuresText, tableText } from './table.ts'

function result(expression: string, release: string, failed: number): SuiteResult {
  const kernel: Kernel = { expression, release, version: `${release}-1`, vmlinux: '', root: '' }
  const failures = Array.from({ length: failed }, (_, i) => ({ name: `test ${i}`, why: 'it broke\nbadly' }))
  return { kernel, suite: 'programs', passed: 415, skipped: 0, failures, seconds: 61.27, folder: '/x' }
}
const RESULTS = [result('6.12', '6.12.118', 0), result('newest', '7.3.4', 1), result('5.10', '5.10.200', 2)]
const MISSING = [{ expression: '6.18', reason: 'the mirror offers no kernel 6.18', mirrorAway: false }]

test('the table has a line for each suite of each kernel, and one for each kernel that is not there', () => {
  assert.equal(
    tableText(RESULTS, MISSING),
    [
      'kernel  package     suite     passed  failed  skipped  seconds',
      '6.12    6.12.118-1  programs     415       0        0     61.3',
      'newest  7.3.4-1     programs     415       1        0     61.3',
      '5.10    5.10.200-1  programs     415       2        0     61.3',
      '6.18: skipped: the mirror offers no kernel 6.18',
    ].join('\n'),
  )
})

test('failures are told with their kernel and where its files are', () => {
  assert.equal(
    failuresText(RESULTS.slice(0, 2)),
    ['newest (7.3.4), programs; see /x', '  ✖ test 0', '      it broke', '      badly'].join('\n'),
  )
})

test('a kernel below the floor only informs', () => {
  assert.equal(countFailures(RESULTS), 1)
  assert.match(failuresText(RESULTS.slice(2)), /^5\.10 .* below the floor: for information; see/)
})
