import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { FakeClock, settle } from '../../test/support/fake-clock.ts'
import { askByTcp, HealthOfGateways } from './health.ts'

/** Gateways of a fake network, of which those in `silent` answer after the time-out only, which is none. */
function network() {
  const clock = new FakeClock()
  const silent = new Set<string>()
  const asked: string[] = []
  const health = new HealthOfGateways({
    clock,
    intervalMs: 300,
    timeoutMs: 500,
    inRow: 3,
    ask: (address, timeoutMs) => {
      asked.push(address)
      const { promise, resolve } = Promise.withResolvers<boolean>()
      if (silent.has(address)) clock.after(timeoutMs, () => resolve(false))
      else resolve(true)
      return promise
    },
  })
  const stop = new AbortController()
  const ended = health.run(stop.signal)
  return {
    clock,
    silent,
    asked,
    health,
    async [Symbol.asyncDispose]() {
      stop.abort()
      await clock.advance(1000)
      await ended
    },
  }
}

test('a gateway that falls silent is dead after three questions, in less than one and a half seconds', async () => {
  await using net = network()
  net.health.ask(new Map([['node2', '10.0.0.2']]))
  assert.equal(net.health.of('node2'), 'untested')
  await net.clock.advance(300)
  assert.equal(net.health.of('node2'), 'alive')
  net.silent.add('10.0.0.2')
  const began = net.clock.now()
  while (net.health.of('node2') === 'alive' && net.clock.now() < began + 10_000) await net.clock.advance(10)
  assert.equal(net.health.of('node2'), 'dead')
  assert.ok(net.clock.now() - began <= 1410, `${net.clock.now() - began} ms`)
})

test('one question without an answer is none; three answers bring a dead one back', async () => {
  await using net = network()
  net.health.ask(new Map([['node2', '10.0.0.2']]))
  await net.clock.advance(300)
  net.silent.add('10.0.0.2')
  await net.clock.advance(300)
  net.silent.delete('10.0.0.2')
  await net.clock.advance(3000)
  assert.equal(net.health.of('node2'), 'alive')
  net.silent.add('10.0.0.2')
  await net.clock.advance(3000)
  assert.equal(net.health.of('node2'), 'dead')
  net.silent.delete('10.0.0.2')
  await net.clock.advance(550)
  assert.equal(net.health.of('node2'), 'dead')
  await net.clock.advance(1200)
  assert.equal(net.health.of('node2'), 'alive')
})

test('of one that was never heard of the first silence is enough', async () => {
  await using net = network()
  net.silent.add('10.0.0.2')
  net.health.ask(new Map([['node2', '10.0.0.2']]))
  await net.clock.advance(800)
  assert.equal(net.health.of('node2'), 'dead')
})

test('who follows is told of each change, and of no answer that changes nothing', async () => {
  await using net = network()
  net.health.ask(new Map([['node2', '10.0.0.2']]))
  let changes = 0
  const follow = (): void => void net.health.changed.changed().then(() => (changes++, follow()))
  follow()
  await net.clock.advance(3000)
  assert.equal(changes, 1)
})

test('only who is to be asked is asked, and another address is another gateway', async () => {
  await using net = network()
  net.health.ask(new Map([['node2', '10.0.0.2']]))
  await net.clock.advance(300)
  net.health.ask(new Map([['node2', '10.0.0.7']]))
  assert.equal(net.health.of('node2'), 'untested')
  net.asked.length = 0
  await net.clock.advance(650)
  assert.deepEqual(new Set(net.asked), new Set(['10.0.0.7']))
})

test('a connection that is taken or refused is an answer; none is none', async () => {
  const server = createServer(socket => socket.destroy()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const at = server.address()
  assert.ok(typeof at === 'object' && at !== null)
  assert.equal(await askByTcp('127.0.0.1', at.port, 1000), true)
  server.close()
  await once(server, 'close')
  assert.equal(await askByTcp('127.0.0.1', at.port, 1000), true, 'refused')
  // No connection can be opened to a broadcast address: an error that is no answer.
  assert.equal(await askByTcp('255.255.255.255', 9, 1000), false)
  await settle()
})
