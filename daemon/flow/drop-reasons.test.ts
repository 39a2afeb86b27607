import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DropReason } from '../datapath/shared.gen.ts'
import { dropReason, dropReasons } from './drop-reasons.ts'

test('every drop reason of the datapath has a text, and every text a reason', () => {
  const values = Object.entries(DropReason).map(([name, value]) => [name.slice('DROP_'.length).toLowerCase(), value])
  assert.deepEqual([['none', 0], ...dropReasons.map(reason => [reason.name, reason.value])], values)
})

test('texts are whole sentences', () => {
  for (const { name, text, whatToDo } of dropReasons) {
    for (const sentence of [text, whatToDo]) assert.match(sentence, /^[A-Z].*\.$/, name)
  }
})

test('a reason this version does not know is named by its number', () =>
  assert.equal(dropReason(200).name, 'reason_200'))
