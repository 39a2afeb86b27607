import assert from 'node:assert/strict'
import { test } from 'node:test'
import { wrongAnswers } from './check.ts'

const addresses = ['10.0.0.1', 'fd00::1', '10.0.0.2', 'fd00::2']

test('each of those meant has to answer, of the family that was asked, and nobody else', () => {
  const each = { addresses, one: false }
  assert.equal(wrongAnswers(each, 4, ['10.0.0.2', '10.0.0.1']), undefined)
  assert.equal(wrongAnswers(each, 6, ['fd00::2', 'fd00::1']), undefined)
  assert.equal(wrongAnswers(each, 4, ['10.0.0.1']), '10.0.0.2 never answered')
  assert.equal(wrongAnswers(each, 4, ['10.0.0.1', '10.0.0.2', '10.0.0.3']), '10.0.0.3 answered, who should not')
})

test('where one has to answer it is always the same one', () => {
  const one = { addresses, one: true }
  assert.equal(wrongAnswers(one, 4, ['10.0.0.2']), undefined)
  assert.equal(wrongAnswers(one, 4, ['10.0.0.2', '10.0.0.1']), '2 answered instead of one: 10.0.0.2, 10.0.0.1')
  assert.equal(wrongAnswers(one, 4, ['10.0.0.9']), '10.0.0.9 answered, who should not')
  assert.equal(wrongAnswers(one, 4, []), '0 answered instead of one: ')
})
