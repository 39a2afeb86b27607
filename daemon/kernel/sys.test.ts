import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errnoName, errnoValue, Memory } from './sys.ts'

test('an errno that has two names is called by the one that is tested for', () => {
  const names = ['ENOENT', 'EAGAIN', 'EWOULDBLOCK', 'EOPNOTSUPP', 'ENOTSUP', 'EDEADLK', 'EDEADLOCK']
  assert.deepEqual(
    names.map(name => errnoName(errnoValue(name))),
    ['ENOENT', 'EAGAIN', 'EAGAIN', 'EOPNOTSUPP', 'EOPNOTSUPP', 'EDEADLK', 'EDEADLK'],
  )
})

test('memory is zeroed and has an address', () => {
  using memory = new Memory(8)
  assert.deepEqual([...memory.bytes], [0, 0, 0, 0, 0, 0, 0, 0])
  assert.notEqual(memory.address, 0n)
})

test('memory that was given back has no bytes and no address', () => {
  const memory = new Memory(8)
  memory[Symbol.dispose]()
  memory[Symbol.dispose]()
  assert.equal(memory.bytes.length, 0)
  assert.throws(() => memory.view.setUint8(0, 1), RangeError)
  assert.deepEqual([memory.pointer, memory.address], [null, 0n])
})
