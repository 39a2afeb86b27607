import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Leftovers, SAGA_MS } from './leftovers.ts'
import type { SeenNic } from './model.ts'
import { nicOf, seenOf, stateOf } from './testdata.ts'

const FREE = { status: 'available', machine: '', index: -1, deletedWithMachine: false, node: 'a' } as const
const NODES = new Map([['a', stateOf()]])

function taken(nics: readonly SeenNic[], nodes = NODES, secondMs = SAGA_MS): readonly string[] {
  const leftovers = new Leftovers()
  leftovers.look(nics, nodes, 0)
  assert.ok(!leftovers.due)
  leftovers.look(nics, nodes, secondMs)
  return leftovers.take(() => true)
}

test('an interface of ours that nobody has and two looks far apart have found is deleted', () => {
  const left = seenOf('eni-7', FREE)
  assert.deepEqual(taken([left]), ['eni-7'])
  assert.deepEqual(taken([seenOf('eni-7', { ...FREE, node: 'gone' })]), ['eni-7'])
  assert.deepEqual(taken([left], NODES, SAGA_MS - 1), [])
  assert.deepEqual(taken([seenOf('eni-7')]), [])
  assert.deepEqual(taken([seenOf('eni-7', { ...FREE, token: '' })]), [])
})

test('one that its node knows of, or has asked for, is none', () => {
  const left = seenOf('eni-7', FREE)
  assert.deepEqual(taken([left], new Map([['a', stateOf({ nics: [nicOf('eni-7', { phase: 'made' })] })]])), [])
  const intent = { token: left.token, subnet: 's', length: 28, count: 1, sinceMs: 0 }
  assert.deepEqual(taken([left], new Map([['a', stateOf({ intents: [intent] })]])), [])
})

test('one that was not there in between is found anew', () => {
  const leftovers = new Leftovers()
  const left = [seenOf('eni-7', FREE)]
  leftovers.look(left, NODES, 0)
  leftovers.look([], NODES, 1000)
  leftovers.look(left, NODES, SAGA_MS)
  assert.deepEqual([leftovers.due, leftovers.count], [false, 1])
})

test('each is asked for when it may be, once, and again when it was not deleted', () => {
  const leftovers = new Leftovers()
  const left = [seenOf('eni-7', FREE), seenOf('eni-8', FREE)]
  const look = (ms: number): void => leftovers.look(left, NODES, ms)
  look(0)
  look(SAGA_MS)
  let budget = 1
  assert.deepEqual(
    leftovers.take(() => budget-- > 0),
    ['eni-7'],
  )
  assert.deepEqual(
    leftovers.take(() => true),
    ['eni-8'],
  )
  leftovers.settled('eni-7', false)
  leftovers.settled('eni-8', true)
  look(2 * SAGA_MS)
  assert.deepEqual(
    leftovers.take(() => true),
    ['eni-7'],
  )
})
