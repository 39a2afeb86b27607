import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { recordedSysctls, restoreSysctls } from './former-sysctls.ts'

/** A node with two settings, and a state directory that is not there yet. */
function node() {
  const folder = mkdtempSync(join(tmpdir(), 'cw-sysctls-'))
  const values = new Map([
    ['forward', '0'],
    ['filter', '2'],
  ])
  const kernel = {
    bootId: 'one',
    sysctl: (name: string) => values.get(name),
    setSysctl: (name: string, value: string) => void values.set(name, value),
  }
  return {
    state: join(folder, 'state'),
    values,
    kernel,
    now: () => Object.fromEntries(values),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  }
}

test('what the daemon changed gets the value it had before the first change', () => {
  using at = node()
  const sysctls = recordedSysctls(at.kernel, at.state)
  sysctls.setSysctl('forward', '1')
  at.values.set('forward', '5')
  sysctls.setSysctl('forward', '1')
  recordedSysctls(at.kernel, at.state).setSysctl('filter', '0')
  assert.deepEqual(at.now(), { forward: '1', filter: '0' })
  restoreSysctls(at.kernel, at.state)
  assert.deepEqual(at.now(), { forward: '0', filter: '2' })
})

test('what somebody else has changed since, and what is gone, is left alone', () => {
  using at = node()
  const sysctls = recordedSysctls(at.kernel, at.state)
  sysctls.setSysctl('forward', '1')
  sysctls.setSysctl('filter', '0')
  at.values.set('filter', '1')
  at.values.delete('forward')
  restoreSysctls(at.kernel, at.state)
  assert.deepEqual(at.now(), { filter: '1' })
})

test('a former value is on disk before the new one is set', () => {
  using at = node()
  const dying = { ...at.kernel, setSysctl: () => assert.fail('killed') }
  assert.throws(() => recordedSysctls(dying, at.state).setSysctl('forward', '1'))
  at.values.set('forward', '1')
  restoreSysctls(at.kernel, at.state)
  assert.equal(at.values.get('forward'), '0')
})

for (const [what, text] of [
  ['of another boot', '{"bootId": "two", "changed": {"filter": {"was": "9", "set": "2"}}}'],
  ['that is torn', '{"bootId"'],
] as const) {
  test(`a record ${what} says nothing`, () => {
    using at = node()
    recordedSysctls(at.kernel, at.state).setSysctl('forward', '1')
    writeFileSync(join(at.state, 'sysctls.json'), text)
    restoreSysctls(at.kernel, at.state)
    assert.deepEqual(at.now(), { forward: '1', filter: '2' })
    recordedSysctls(at.kernel, at.state).setSysctl('filter', '0')
    restoreSysctls(at.kernel, at.state)
    assert.deepEqual(at.now(), { forward: '1', filter: '2' })
  })
}

test('where nothing was changed there is nothing to put back', () => {
  using at = node()
  restoreSysctls(at.kernel, at.state)
  assert.deepEqual(at.now(), { forward: '0', filter: '2' })
})
