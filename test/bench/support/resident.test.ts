import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readResident, residentMbOfBareNode } from './resident.ts'

test('the resident size is read in units of 10⁶ bytes', () => {
  assert.equal(readResident('Name:\tnode\nVmHWM:\t 99999 kB\nVmRSS:\t   15625 kB\nRssAnon:\t 1 kB\n'), 16)
  assert.throws(() => readResident('Name:\tnode\nState:\tZ (zombie)\n'), /it has ended/)
})

test('a bare Node has one', async () => {
  const mb = await residentMbOfBareNode()
  assert.ok(mb > 20 && mb < 200, `${mb} MB`)
})
