import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeLog } from '../../test/support/fake-log.ts'
import { Attempts } from './attempts.ts'

test('a failure is logged once, kept until the next success, and logged again when it is another', async () => {
  const log = new FakeLog()
  const attempts = new Attempts('the look failed', log)
  const fail = (message: string) => (): never => {
    throw new Error(message)
  }
  const steps: readonly (readonly [() => void, boolean, string | undefined, number])[] = [
    [() => {}, true, undefined, 0],
    [fail('ENOBUFS'), false, 'the look failed: ENOBUFS', 1],
    [fail('ENOBUFS'), false, 'the look failed: ENOBUFS', 1],
    [fail('ENOENT'), false, 'the look failed: ENOENT', 2],
    [() => {}, true, undefined, 2],
    [fail('ENOENT'), false, 'the look failed: ENOENT', 3],
  ]
  for (const [act, succeeds, failure, logged] of steps) {
    assert.equal(await attempts.make(act), succeeds)
    assert.deepEqual([attempts.failure, log.lines.length], [failure, logged])
  }
  assert.equal(log.lines[0], 'error the look failed; it will be tried again error=ENOBUFS')
})
