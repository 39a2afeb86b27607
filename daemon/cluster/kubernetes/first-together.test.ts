import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FirstTogether } from './first-together.ts'
import type { RowTarget } from './row-sink.ts'

function recorder(name: string, told: string[]): RowTarget<string> {
  return {
    put: row => told.push(`${name} put ${row}`),
    delete: row => told.push(`${name} delete ${row}`),
    replace: rows => told.push(`${name} replace ${rows.join(' ')}`),
  }
}

test('nothing is taken in before everything has been listed; changes since come after it', () => {
  const told: string[] = []
  const together = new FirstTogether()
  const [a, b] = ['a', 'b'].map(name => together.add(recorder(name, told))) as [RowTarget<string>, RowTarget<string>]
  b.replace(['1'])
  b.put('2')
  b.delete('1')
  assert.deepEqual(told, [])
  a.replace(['3'])
  assert.deepEqual(told, ['a replace 3', 'b replace 1', 'b put 2', 'b delete 1'])
  a.put('4')
  b.replace(['5'])
  assert.deepEqual(told.slice(4), ['a put 4', 'b replace 5'])
})

test('one that is listed again before the others has its last state', () => {
  const told: string[] = []
  const together = new FirstTogether()
  const [a, b] = ['a', 'b'].map(name => together.add(recorder(name, told))) as [RowTarget<string>, RowTarget<string>]
  a.replace(['1'])
  a.put('2')
  a.replace(['3'])
  b.replace([])
  assert.deepEqual(told, ['a replace 3', 'b replace '])
})
