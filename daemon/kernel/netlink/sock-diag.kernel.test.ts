/** Sockets of this very process, over loopback, are listed and ended. */
import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import { endUdpSockets } from './sock-diag.ts'

const HERE = '/proc/thread-self/ns/net'
const PORT = 9

/** Connected, and with a port of its own. */
async function connected(type: 'udp4' | 'udp6', address: string): Promise<Socket> {
  const socket = createSocket(type)
  socket.connect(PORT, address)
  await once(socket, 'connect')
  return socket
}

for (const [what, type, address, remote] of [
  ['IPv4', 'udp4', '127.0.0.1', '127.0.0.1'],
  ['IPv6', 'udp6', '::1', '::1'],
  ['IPv6 that speaks IPv4', 'udp6', '::ffff:127.0.0.1', '127.0.0.1'],
] as const)
  test(`a socket of ${what} is told that its connection is over; those that speak to others are not`, async () => {
    await using ended = await connected(type, address)
    await using other = await connected('udp4', '127.0.0.2')
    const told = once(ended, 'error')
    let untouched = true
    other.once('error', () => (untouched = false))
    assert.equal(
      endUdpSockets(HERE, { address: remote, port: PORT }, () => true),
      1,
    )
    const [error] = (await told) as [NodeJS.ErrnoException]
    assert.equal(error.code, 'ECONNABORTED')
    assert.equal(
      endUdpSockets(HERE, { address: remote, port: PORT + 1 }, () => true),
      0,
    )
    assert.ok(untouched)
  })

test('sockets are chosen by cookie', async () => {
  await using socket = await connected('udp4', '127.0.0.1')
  const cookies: bigint[] = []
  const remote = { address: '127.0.0.1', port: PORT }
  assert.equal(
    endUdpSockets(HERE, remote, cookie => {
      cookies.push(cookie)
      return false
    }),
    0,
  )
  assert.equal(cookies.length, 1)
  const told = once(socket, 'error')
  assert.equal(
    endUdpSockets(HERE, remote, cookie => cookie === cookies[0]),
    1,
  )
  await told
})

test('a namespace that is gone is named', () => {
  assert.throws(() => endUdpSockets('/run/netns/none', { address: '127.0.0.1', port: PORT }, () => true), /none/)
})
