import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Availability, Held } from './availability.ts'

const said = (reason: Availability['reason'], empty: boolean): Availability => {
  return { reason, message: reason, empty, lasting: true, most: 16 }
}

test('a shortage is said at once, and is over at once when something is free', () => {
  const held = new Held()
  assert.equal(held.put('a', said('AddressesComing', true), 0).reason, 'AddressesComing')
  assert.equal(held.put('a', said('SubnetsFull', true), 1000).reason, 'SubnetsFull')
  assert.equal(held.put('a', said('AddressesComing', false), 2000).reason, 'AddressesComing')
})

test('a call that finds out whether it is over does not end it, half a minute without one does', () => {
  const held = new Held()
  const at = (reason: Availability['reason'], ms: number): string => held.put('a', said(reason, true), ms).reason
  assert.equal(at('SubnetsFull', 0), 'SubnetsFull')
  assert.equal(at('AddressesComing', 120_000), 'SubnetsFull')
  assert.equal(at('SubnetsFull', 121_000), 'SubnetsFull')
  assert.equal(at('AddressesComing', 240_000), 'SubnetsFull')
  assert.equal(at('AddressesComing', 269_999), 'SubnetsFull')
  assert.equal(at('AddressesComing', 270_000), 'AddressesComing')
})

test('another reason takes the place of the one before', () => {
  const held = new Held()
  held.put('a', said('SubnetsFull', true), 0)
  assert.equal(held.put('a', said('Denied', true), 1000).reason, 'Denied')
  held.delete('a')
  assert.equal(held.get('a'), undefined)
})
