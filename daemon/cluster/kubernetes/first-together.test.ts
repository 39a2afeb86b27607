import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FirstTogether } from './first-together.ts'
import type { RowTarget } from './row-sink.ts'

function recorder(name: string, told: string[]): RowTarget<string> {
  return {
    get: of => `${name} has ${of}`,
    put: (of, row) => told.push(`${name} put ${of}=${row}`),
    delete: of => told.push(`${name} delete ${of}`),
    replace: rows => told.push(`${name} replace ${[...rows].map(row => row.join('=')).join(' ')}`),
  }
}
const rows = (...names: readonly string[]): ReadonlyMap<string, string> => new Map(names.map(of => [of, 'row']))

test('nothing is taken in before everything has been listed, then all of it as it is by then', () => {
  const told: string[] = []
  const together = new FirstTogether()
  const [a, b] = ['a', 'b'].map(name => together.add(recorder(name, told))) as [RowTarget<string>, RowTarget<string>]
  b.put('0', 'before its list')
  b.replace(rows('1'))
  b.put('2', 'new')
  b.delete('1')
  assert.deepEqual([b.get('1'), b.get('2'), a.get('3')], [undefined, 'new', undefined])
  assert.deepEqual(told, [])
  a.replace(rows('3'))
  assert.deepEqual(told, ['a replace 3=row', 'b replace 2=new'])
  a.put('4', 'new')
  b.delete('2')
  b.replace(rows('5'))
  assert.deepEqual(told.slice(2), ['a put 4=new', 'b delete 2', 'b replace 5=row'])
  assert.equal(a.get('4'), 'a has 4')
})

test('one that is listed again before the others has its last state', () => {
  const told: string[] = []
  const together = new FirstTogether()
  const [a, b] = ['a', 'b'].map(name => together.add(recorder(name, told))) as [RowTarget<string>, RowTarget<string>]
  a.replace(rows('1'))
  a.put('2', 'new')
  a.replace(rows('3'))
  b.replace(rows())
  assert.deepEqual(told, ['a replace 3=row', 'b replace '])
})
