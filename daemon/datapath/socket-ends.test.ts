import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeLog } from '../../test/support/fake-log.ts'
import { toMapped16 } from '../kernel/ip.ts'
import { MemoryMap } from '../kernel/memory/map.ts'
import type { CarriedBackend, CarriedKey } from './service-carried.ts'
import { ServiceScope, type SocketPeer, type SocketPeerKey } from './shared.gen.ts'
import { SocketEnds } from './socket-ends.ts'

const VIP = toMapped16('10.96.0.1')
const FRONTEND: CarriedKey = { address: '10.96.0.1', port: 53, protocol: 17, scope: ServiceScope.SERVICE_INSIDE }
const backend = (last: number): CarriedBackend => ({ address: `10.1.0.${last}`, port: 5353, id: last })

interface Ended {
  readonly ends: SocketEnds
  /** `NETNS REMOTE PORT: COOKIES`, of the namespaces that were asked. */
  readonly asked: string[]
  readonly speaks: (cookie: bigint, last: number, believed?: Partial<SocketPeer>) => void
}

function withSockets(failing = ''): Ended {
  const peers = new MemoryMap<SocketPeerKey, SocketPeer>('socket_peers', 100)
  const asked: string[] = []
  const cookies = [1n, 2n, 3n, 4n]
  const ends = new SocketEnds({
    peers: () => peers,
    namespaces: () => ['host', 'pod'],
    end: (netns, { address, port }, meant) => {
      if (netns === failing) throw new Error('it is gone')
      const ended = cookies.filter(meant)
      asked.push(`${netns} ${address} ${port}: ${ended.join(' ')}`)
      return netns === 'pod' ? ended.length : 0
    },
    log: new FakeLog(),
  })
  return {
    ends,
    asked,
    speaks: (cookie, last, believed = {}) => {
      const { address, port } = backend(last)
      peers.update({ cookie, address: toMapped16(address), port }, { address: VIP, port: 53, ...believed })
    },
  }
}

test('sockets that believe to speak to the service are ended in every namespace, no others', async () => {
  const { ends, asked, speaks } = withSockets()
  speaks(1n, 1)
  speaks(2n, 2)
  speaks(3n, 1, { port: 54 })
  speaks(4n, 1)
  ends.add([{ frontend: FRONTEND, backends: [backend(1), backend(3)] }])
  await ends.settled()
  assert.deepEqual(asked, ['host 10.1.0.1 5353: 1 4', 'pod 10.1.0.1 5353: 1 4'])
  assert.equal(ends.ended, 2)
})

test('nobody is asked where no socket has such a backend, nor for connections or clients outside', async () => {
  const { ends, asked, speaks } = withSockets()
  speaks(1n, 1)
  ends.add([
    { frontend: FRONTEND, backends: [backend(2)] },
    { frontend: { ...FRONTEND, protocol: 6 }, backends: [backend(1)] },
    { frontend: { ...FRONTEND, scope: ServiceScope.SERVICE_OUTSIDE }, backends: [backend(1)] },
  ])
  await ends.settled()
  assert.deepEqual(asked, [])
})

test('a namespace that goes meanwhile keeps the others from nothing', async () => {
  const { ends, asked, speaks } = withSockets('host')
  speaks(1n, 1)
  ends.add([{ frontend: FRONTEND, backends: [backend(1)] }])
  await ends.settled()
  assert.deepEqual(asked, ['pod 10.1.0.1 5353: 1'])
})
