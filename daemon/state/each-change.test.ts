import assert from 'node:assert/strict'
import { test } from 'node:test'
import { settle } from '../../test/support/fake-clock.ts'
import { eachChange } from './each-change.ts'
import { Table } from './table.ts'

test('it acts at once, after each transaction, once more for changes during an act, and ends with the signal', async () => {
  const tables = ['a', 'b'].map(name => new Table<string>(name, row => row))
  const [a, b] = tables
  const stop = new AbortController()
  const acts: string[] = []
  let gate: Promise<void> | undefined
  const act = (): Promise<void> | void => {
    acts.push([...tables].flatMap(table => [...table]).join(''))
    return gate
  }
  const following = eachChange(tables, act, stop.signal)
  await settle()
  a?.put('1')
  b?.put('2')
  await settle()
  assert.deepEqual(acts.splice(0), ['', '12'])
  const open = Promise.withResolvers<void>()
  gate = open.promise
  a?.put('3')
  await settle()
  a?.put('4')
  b?.put('5')
  await settle()
  assert.deepEqual(acts.splice(0), ['132'])
  gate = undefined
  open.resolve()
  await settle()
  assert.deepEqual(acts.splice(0), ['13425'])
  stop.abort()
  await following
  a?.put('6')
  await settle()
  assert.deepEqual(acts, [])
})

test('a table that never changes gathers no callbacks while another one does', async () => {
  const busy = new Table<string>('busy', row => row)
  let watched = 0
  const quiet = { changed: () => forever }
  // A promise that counts who waits for it.
  const forever = Object.assign(new Promise<void>(() => {}), {
    then: () => (watched++, forever),
  })
  const stop = new AbortController()
  const following = eachChange([busy, quiet], () => {}, stop.signal)
  for (let i = 0; i < 100; i++) {
    busy.put('x')
    await settle()
  }
  stop.abort()
  await following
  assert.equal(watched, 1)
})

test('what the act throws ends it', async () => {
  await assert.rejects(
    eachChange([], () => assert.fail('broken'), new AbortController().signal),
    /broken/,
  )
})
