import assert from 'node:assert/strict'
import { test } from 'node:test'
import { missingCapabilities, requireCapabilities } from './capabilities.ts'

const cases: Readonly<Record<string, readonly string[]>> = {
  'CapEff:\t000001ffffffffff': [],
  'CapPrm:\t000001ffffffffff\nCapEff:\t0000000000201000\n': [],
  'CapEff:\t0000000000001000': ['SYS_ADMIN'],
  'CapEff:\t0000000000200000': ['NET_ADMIN'],
  'CapEff:\t0000000000000000': ['NET_ADMIN', 'SYS_ADMIN'],
}
for (const [status, missing] of Object.entries(cases))
  test(`${JSON.stringify(status)} lacks ${missing.join(', ') || 'nothing'}`, () => {
    assert.deepEqual(
      missingCapabilities(status).map(c => c.name),
      missing,
    )
  })

test('what is missing is named with what it is for and how to give it', () => {
  requireCapabilities([])
  assert.throws(() => requireCapabilities(missingCapabilities('CapEff:\t0000000000001000')), {
    code: 'CAPABILITIES',
    message: /^CAP_SYS_ADMIN is missing: it enters pods' .*\n.*capabilities\.add: \[NET_ADMIN, SYS_ADMIN\]$/,
  })
})
