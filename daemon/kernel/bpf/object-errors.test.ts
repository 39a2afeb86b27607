import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VerifierError } from './object-errors.ts'

const OBJECTION = ['1: (71) r0 = *(u8 *)(r1 +0)', 'invalid access to packet, off=0 size=1, R1(id=0,off=0,r=0)']
const walked = Array.from({ length: 50 }, (_, i) => `${i}: (b7) r0 = ${i}`)
const PROCESSED = 'processed 2 insns (limit 1000000) max_states_per_insn 0'

function lastLines(log: readonly string[]): readonly string[] {
  return new VerifierError('pod.o', 'pod_out', 13, `${log.join('\n')}\n`).lastLines
}

test('of a log its end is shown', () => {
  const lines = lastLines([...walked, ...OBJECTION, PROCESSED])
  assert.equal(lines.length, 12)
  assert.deepEqual(lines.slice(-3), [...OBJECTION, PROCESSED])
})

test('of a log with an account the objection and the account are shown, not what led there', () => {
  const account = [
    'Verification failed: Memory Safety: Access outside bounds',
    'Reason:',
    '  The verifier cannot prove',
    'At:',
    '  pod_out',
  ]
  const history = ['Causal path:', ...walked, 'Suggestion:', '  Add a check', PROCESSED]
  const lines = lastLines([...walked, ...OBJECTION, '', ...account, '', ...history])
  assert.deepEqual(lines.slice(-OBJECTION.length - account.length), [...OBJECTION, ...account])
  assert.ok(lines.length < 15)
})
