import assert from 'node:assert/strict'
import test from 'node:test'
import { collectDump } from './dump.ts'
import type { Received } from './message.ts'
import { NetlinkError } from './netlink-error.ts'

const INTERRUPTED = 0x10
const row = (type: number, flags = 0, sequence = 5): Received => ({ type, flags, sequence, body: new Uint8Array() })
const done = (errno = 0): Received => ({ ...row(3), body: new Uint8Array(Int32Array.of(-errno).buffer) })

function collect(...datagrams: ReturnType<Parameters<typeof collectDump>[0]>[]): unknown {
  return collectDump(() => datagrams.shift(), 5, 'list links')
}

test('a dump ends with DONE, however many datagrams it takes', () => {
  assert.deepEqual(collect([row(16), row(17)], [row(18)], [done()]), [row(16), row(17), row(18)])
})
test('answers to an earlier request are dropped', () => {
  assert.deepEqual(collect([row(16, 0, 4), { ...done(), sequence: 4 }], [row(17), done()]), [row(17)])
})
test('a dump that was interrupted is read to its end and not used', () => {
  const datagrams = [[row(16)], [row(17, INTERRUPTED)], [done()], [row(99)]]
  assert.equal(
    collectDump(() => datagrams.shift(), 5, ''),
    undefined,
  )
  assert.deepEqual(datagrams, [[row(99)]])
})
test('an interruption told with DONE counts', () => {
  assert.equal(collect([row(16)], [{ ...done(), flags: INTERRUPTED }]), undefined)
})
test('a dump of which part was lost is not used', () => {
  assert.equal(collect([row(16)], 'overrun', [done()]), undefined)
})
test('a dump without an end is not used', () => assert.equal(collect([row(16)]), undefined))
test('a dump that fails on its way throws', () => {
  assert.throws(
    () => collect([row(16)], [done(90)]),
    (e: unknown) => e instanceof NetlinkError && e.code === 'EMSGSIZE',
  )
})
