import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { compareGoldens, updateGoldens } from './goldens.ts'
import type { VerifierFigures } from './guest/results.ts'
import type { Kernel } from './kernel-cache.ts'

const cost = (instructions: number, stackBytes = 64) => ({ instructions, stackBytes })
const FIGURES: VerifierFigures = { pod_out: { off: cost(1000), on: cost(3000, 200), 'pairs 1': cost(3100) } }

/** A tree with the goldens of these figures on 6.12, and what a guest with others leaves. */
function place(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'causeway-goldens-'))
  t.after(() => rmSync(root, { recursive: true }))
  mkdirSync(join(root, 'docs/reference'), { recursive: true })
  const kernel = (expression: string, version: string): Kernel => {
    return { expression, version, release: version, vmlinux: '', root: '' }
  }
  const guest = (expression: string, version: string, file: string, figures: object) => {
    writeFileSync(join(root, file), JSON.stringify(figures))
    return { kernel: kernel(expression, version), folder: root }
  }
  return {
    root,
    verifier: (expression: string, version: string, figures: VerifierFigures) =>
      guest(expression, version, 'verifier.json', figures),
    path: (what: string, ratio: number) => guest('6.12', '6.12.9-1', 'path.json', { [what]: ratio }),
  }
}

test('the page tells each program off, on and at its most, kernel by kernel', t => {
  const { root, verifier } = place(t)
  updateGoldens(root, verifier('newest', '7.3.4-1', FIGURES))
  updateGoldens(root, verifier('6.12', '6.12.9-1', FIGURES))
  updateGoldens(root, verifier('6.1', '6.1.9-1', FIGURES))
  const text = readFileSync(join(root, 'docs/reference/verifier.md'), 'utf8')
  assert.match(text, /^# What .*\n\nMeasured/)
  assert.deepEqual(text.match(/^##? .*$/gm)?.slice(1), ['## 6.1: 6.1.9-1', '## 6.12: 6.12.9-1', '## newest: 7.3.4-1'])
  assert.match(text, /^\| pod_out \| 1000 \| 3000 \| 3100 \| pairs 1 \| 200 \|$/m)
})

const rises: readonly (readonly [what: string, figures: VerifierFigures, why: RegExp | undefined])[] = [
  ['the same', FIGURES, undefined],
  ['less', { pod_out: { off: cost(1), on: cost(1), 'pairs 1': cost(1) } }, undefined],
  ['a tenth more', { pod_out: { off: cost(1100), on: cost(3300, 200), 'pairs 1': cost(3410) } }, undefined],
  [
    'more',
    { pod_out: { off: cost(1101), on: cost(3000, 200), 'pairs 1': cost(3100) } },
    /pod_out: off: 1000 before, 1101 now$/,
  ],
  [
    'more stack',
    { pod_out: { off: cost(1000), on: cost(3000, 256), 'pairs 1': cost(3100) } },
    /stack: 200 before, 256 now/,
  ],
  ['another program', { ...FIGURES, pod_in: { off: cost(5) } }, /pod_in is new: .*--update/],
  ['no program', {}, /pod_out is gone: .*--update/],
]
for (const [what, figures, why] of rises)
  test(`on the same package ${what} ${why === undefined ? 'passes' : 'fails'}`, t => {
    const { root, verifier } = place(t)
    updateGoldens(root, verifier('6.12', '6.12.9-1', FIGURES))
    const { failures, notices } = compareGoldens(root, verifier('6.12', '6.12.9-1', figures))
    assert.deepEqual(notices, [])
    assert.equal(failures.length, why === undefined ? 0 : 1)
    if (why !== undefined) assert.match(failures[0]?.why ?? '', why)
  })

for (const [expression, version] of [
  ['6.12', '6.12.10-1'],
  ['newest', '7.3.4-1'],
] as const)
  test(`a rise on ${expression} ${version} informs`, t => {
    const { root, verifier } = place(t)
    updateGoldens(root, verifier('6.12', '6.12.9-1', FIGURES))
    updateGoldens(root, verifier('newest', '7.3.4-1', FIGURES))
    const more = { pod_out: { off: cost(9000), on: cost(9000), 'pairs 1': cost(9000) } }
    const { failures, notices } = compareGoldens(root, verifier(expression, version, more))
    assert.deepEqual([failures.length, notices.length], [0, 1])
    assert.match(notices[0] ?? '', /pod_out: off: 1000 before, 9000 now/)
  })

test('a kernel without a section informs', t => {
  const { root, verifier } = place(t)
  assert.deepEqual(compareGoldens(root, verifier('6.1', '6.1.9-1', FIGURES)), {
    failures: [],
    notices: ['docs/reference/verifier.md has no section for 6.1'],
  })
})

for (const [what, ratio, fails] of [
  ['IPv4, round trips', 0.9, false],
  ['IPv4, round trips', 0.883, false],
  ['IPv4, round trips', 0.88, true],
  ['IPv4, round trips', 0.917, false],
  ['IPv4, round trips', 0.92, true],
  ['IPv6, stream', 0.866, false],
  ['IPv6, stream', 0.862, true],
  ['IPv6, stream', 0.934, false],
  ['IPv6, stream', 0.94, true],
] as const)
  test(`a path (${what}) of ${ratio} after 0.900 ${fails ? 'fails' : 'passes'}`, t => {
    const { root, path } = place(t)
    updateGoldens(root, path(what, 0.9))
    assert.equal(compareGoldens(root, path(what, ratio)).failures.length, fails ? 1 : 0)
  })
