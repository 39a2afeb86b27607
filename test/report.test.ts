/** The verdict of a whole run, and what people read of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Report } from './report.ts'
import type { FileResult } from './run-file.ts'

const green: FileResult = { file: '/p/a.test.ts', ms: 1234, passed: 3, failures: [], skipped: [], output: 'chatter' }
const red: FileResult = {
  ...green,
  file: '/p/b.test.ts',
  failures: [{ name: 'holds (line 7)', why: 'Error: x\n  at y' }],
}
const skips: FileResult = { ...green, passed: 0, skipped: [{ name: 'uses tcx', why: 'Linux 6.6 has tcx' }] }

function report(...files: readonly FileResult[]): { readonly status: number; readonly text: string } {
  let text = ''
  const report = new Report('/p', more => (text += more))
  for (const file of files) report.add(file)
  return { status: report.finish(), text }
}

const verdicts: readonly (readonly [name: string, files: readonly FileResult[], status: number, totals: string])[] = [
  ['files that pass', [green, green], 0, '6 passed, 0 failed, 0 skipped'],
  ['one failure among others', [green, red, green], 1, '9 passed, 1 failed, 0 skipped'],
  ['no file at all', [], 1, '0 passed, 0 failed, 0 skipped'],
  ['nothing but skips', [skips], 1, '0 passed, 0 failed, 1 skipped'],
]
for (const [name, files, status, totals] of verdicts)
  test(`${name}: status ${status}`, () => {
    const { status: is, text } = report(...files)
    assert.equal(is, status)
    assert.ok(text.includes(`\n${totals} in `), text)
  })

test('a file that passes is one line, its output is not shown', () => {
  assert.match(report(green).text, /^ {2}✔ a\.test\.ts {2}3 passed \(1\.2 s\)\n\nslowest files:\n/)
})

test('a failure is shown in full, with what the file printed', () => {
  const want = '  ✖ b.test.ts  1 failed (1.2 s)\n    ✖ holds (line 7)\n      Error: x\n        at y\nchatter\n'
  assert.ok(report(red).text.startsWith(want))
})

test('a skip says why', () => {
  const want = '  ✔ a.test.ts  0 passed, 1 skipped (1.2 s)\n    - uses tcx: Linux 6.6 has tcx\n'
  assert.ok(report(skips).text.startsWith(want))
})
