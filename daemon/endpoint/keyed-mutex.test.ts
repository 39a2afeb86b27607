import assert from 'node:assert/strict'
import { test } from 'node:test'
import { abortable } from '../abort.ts'
import { KeyedMutex } from './keyed-mutex.ts'

const never = new AbortController().signal

/** Operations that log their begin and end their when told. */
function scene() {
  const log: string[] = []
  const gates = new Map<string, () => void>()
  const locks = new KeyedMutex()
  const run = (key: string, name: string, signal = never): Promise<void> =>
    locks.run(key, signal, async () => {
      log.push(name)
      await new Promise<void>(resolve => gates.set(name, resolve))
      log.push(`${name} ended`)
    })
  const end = async (name: string): Promise<void> => {
    gates.get(name)?.()
    await new Promise(resolve => setImmediate(resolve))
  }
  return { locks, log, run, end }
}

test('operations of one key run one after another in order of arrival, those of others beside them', async () => {
  const { log, run, end } = scene()
  const all = [run('a', 'a1'), run('a', 'a2'), run('b', 'b1'), run('a', 'a3')]
  assert.deepEqual(log, ['a1', 'b1'])
  await end('a1')
  assert.deepEqual(log, ['a1', 'b1', 'a1 ended', 'a2'])
  for (const name of ['a2', 'a3', 'b1']) await end(name)
  await Promise.all(all)
})

test('one that gives up waiting lets nobody overtake', async () => {
  const { log, run, end, locks } = scene()
  const abort = new AbortController()
  const first = run('a', 'a1')
  const second = assert.rejects(run('a', 'a2', abort.signal), /gave up/)
  const third = run('a', 'a3')
  abort.abort(new Error('gave up'))
  await second
  const fourth = run('a', 'a4')
  assert.deepEqual(log, ['a1'])
  for (const name of ['a1', 'a3', 'a4']) await end(name)
  await Promise.all([first, third, fourth])
  assert.deepEqual(log, ['a1', 'a1 ended', 'a3', 'a3 ended', 'a4', 'a4 ended'])
  assert.equal(locks.busy('a'), false)
})

test('a failed operation gives the turn on', async () => {
  const locks = new KeyedMutex()
  await assert.rejects(locks.run('a', never, () => Promise.reject(new Error('failed'))))
  assert.equal(await locks.run('a', never, async () => 'next'), 'next')
})

test('an interruption ends what may be interrupted, running or waiting, and nothing else', async () => {
  const locks = new KeyedMutex()
  const running = locks.runInterruptible('a', never, signal => abortable(new Promise<never>(() => {}), signal))
  const waiting = locks.runInterruptible('a', never, async () => 'ran')
  const through = locks.run('a', never, async () => 'went through')
  const ended = [assert.rejects(running, /enough/), assert.rejects(waiting, /enough/)]
  locks.interrupt('a', new Error('enough'))
  assert.equal(await through, 'went through')
  assert.equal(await locks.runInterruptible('a', never, async signal => signal.aborted), false)
  await Promise.all(ended)
})

test('idle comes when the last operation has ended', async () => {
  const { locks, run, end, log } = scene()
  const all = [run('a', 'a1'), run('b', 'b1')]
  const idle = locks.idle().then(() => log.push('idle'))
  await end('a1')
  assert.equal(log.includes('idle'), false)
  await end('b1')
  await Promise.all([...all, idle])
  assert.equal(log.at(-1), 'idle')
})
