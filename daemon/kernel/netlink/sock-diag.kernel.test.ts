/** Sockets of this very process, over loopback, are listed and ended. */
import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { test } from 'node:test'
import { fromMapped16 } from '../ip.ts'
import { boundSockets, endUdpSockets } from './sock-diag.ts'

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

/** The sockets that have that port on this side, as text. */
async function boundTo(port: number): Promise<string[]> {
  const texts: string[] = []
  for await (const { protocol, local, localPort, remote, remotePort, onlyIpv6 } of boundSockets(HERE))
    if (localPort === port)
      texts.push(
        `${protocol} ${fromMapped16(local)} to ${fromMapped16(remote)} ${remotePort}${onlyIpv6 ? ' only' : ''}`,
      )
  return texts.sort()
}

for (const [host, ipv6Only, listener] of [
  ['127.0.0.1', false, 'TCP 127.0.0.1 to 0.0.0.0 0'],
  ['0.0.0.0', false, 'TCP 0.0.0.0 to 0.0.0.0 0'],
  ['::', false, 'TCP :: to :: 0'],
  ['::', true, 'TCP :: to :: 0 only'],
] as const)
  test(`a socket that listens at ${host}${ipv6Only ? ' for IPv6 only' : ''} is listed, and those that it has taken`, async () => {
    const server = createServer().listen({ host, port: 0, ipv6Only })
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    assert.deepEqual(await boundTo(port), [listener])
    const taken = once(server, 'connection')
    const loopback = ipv6Only ? '::1' : '127.0.0.1'
    const client = connect(port, loopback)
    const [peer] = (await taken) as [{ remotePort: number; destroy(): void }]
    assert.deepEqual(await boundTo(port), [listener, `TCP ${loopback} to ${loopback} ${peer.remotePort}`].sort())
    assert.deepEqual(await boundTo(peer.remotePort), [`TCP ${loopback} to ${loopback} ${port}`])
    peer.destroy()
    client.destroy()
    server.close()
  })

test('sockets of UDP are listed, with whom they are connected to', async () => {
  await using socket = await connected('udp4', '127.0.0.1')
  assert.deepEqual(await boundTo(socket.address().port), [`UDP 127.0.0.1 to 127.0.0.1 ${PORT}`])
})

test('a namespace that is gone is named', async () => {
  assert.throws(() => endUdpSockets('/run/netns/none', { address: '127.0.0.1', port: PORT }, () => true), /none/)
  await assert.rejects(boundSockets('/run/netns/none').next(), /none/)
})
