/** What is remembered of flows in front of the stack: how many, for how long, and what conntrack is told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeSteady, encodeSteady, STEADY_SIZE, SteadySize } from '../../daemon/datapath/shared.gen.ts'
import { bytes, codec, u32 } from '../../daemon/kernel/bpf/layout.ts'
import { eth, type Layer, packet } from '../support/packet.ts'
import { packetText } from '../support/packet-text.ts'
import { tcp } from '../support/packet-transport.ts'
import { BACKEND_PORT, clearTranslations, SERVICE_PORT } from './service-maps.ts'
import { serviceNode, sourcePort } from './service-node.ts'
import { type Both, fromRouter, HOST, ip, OUTSIDE, ROUTER, UPLINK_MAC } from './world.ts'

const VIP: Both = { 4: '203.0.113.1', 6: '2001:db8:1::1' }
const FAR: Both = { 4: '198.51.100.200', 6: '2001:db8::200' }
const CLIENT_PORT = 2048
const fromUs = eth({ src: UPLINK_MAC, dst: ROUTER.mac })
const { STEADY_WAYS } = SteadySize
const SECOND = 1_000_000_000n

/** All flows share one set. */
const at = serviceNode({ constants: { steady_sets: 1 } })

const asked = (sport: number, flags = 'A'): Layer[] => {
  return [fromRouter, ip(4, OUTSIDE, VIP), tcp({ sport, dport: SERVICE_PORT, flags })]
}

/** Opens a connection; the port that this node speaks to the backend from. */
function open(client: number): number {
  const by = (layers: readonly Layer[]): Uint8Array => at.node.send('uplink_in', 'uplink', layers).bytes
  const port = sourcePort(by(asked(client, 'S')), 4)
  by([fromRouter, ip(4, FAR, HOST), tcp({ sport: BACKEND_PORT, dport: port, flags: 'SA' })])
  by(asked(client))
  return port
}

function serve(): void {
  at.make({ address: VIP[4], protocol: 'tcp', scope: 'outside', backends: [FAR[4]] })
}

function turns(client: number, port: number): void {
  const { verdict, bytes: frame } = at.node.sendXdp(asked(client))
  const comes = packet(fromUs, ip(4, HOST, FAR, 63), tcp({ sport: port, dport: BACKEND_PORT }))
  assert.equal(packetText(frame), packetText(comes))
  assert.equal(verdict, 'turn')
}

/** Packets of the only flow. */
function counted(): number {
  const [[, flow] = []] = [...at.node.conntrack.entries()]
  return Number(flow?.packetsA) + Number(flow?.packetsB)
}

/** As if so many nanoseconds had passed for all that is remembered. */
function age(by: bigint): void {
  using steady = at.node.object('xdp').map('steady', codec(u32, bytes(STEADY_SIZE * STEADY_WAYS)))
  for (const [place, set] of steady.entries()) {
    const view = new DataView(set.buffer, set.byteOffset)
    for (let way = 0; way < STEADY_WAYS; way++) {
      const known = decodeSteady(view, way * STEADY_SIZE)
      if (known.until > 0n) encodeSteady(view, way * STEADY_SIZE, { ...known, until: known.until - by })
    }
    steady.update(place, set)
  }
}

test('more flows than there is room for all turn around, and every packet is counted', () => {
  serve()
  const flows = Array.from({ length: STEADY_WAYS + 4 }, (_, i) => [CLIENT_PORT + i, open(CLIENT_PORT + i)] as const)
  for (let i = 0; i < 3; i++) for (const [client, port] of flows) turns(client, port)
  for (const [client] of flows) assert.equal(at.node.sendXdp(asked(client, 'FA')).verdict, 'pass')
  const packets = [...at.node.conntrack.entries()].map(([, flow]) => Number(flow.packetsA) + Number(flow.packetsB))
  assert.deepEqual(packets, Array(flows.length).fill(3 + 3))
})

test('a flow that goes on is asked about again as often as conntrack is told of it, by what is remembered', () => {
  serve()
  const port = open(CLIENT_PORT)
  for (let i = 0; i < 3; i++) turns(CLIENT_PORT, port)
  // The first of them was asked about; two wait to be told.
  assert.equal(counted(), 3 + 1)
  age(SECOND / 5n)
  // Its translation is not looked up again, so that it may be gone here, which it never is from under a living flow.
  clearTranslations(at.node.object('pod'))
  turns(CLIENT_PORT, port)
  assert.equal(counted(), 3 + 3)
  at.node.sendXdp(asked(CLIENT_PORT, 'FA'))
  assert.equal(counted(), 3 + 4)
  assert.equal(at.node.sendXdp(asked(CLIENT_PORT)).verdict, 'pass')
})

test('one that conntrack knows no more goes the long way', () => {
  serve()
  const port = open(CLIENT_PORT)
  turns(CLIENT_PORT, port)
  for (const [key] of at.node.conntrack.entries()) at.node.conntrack.delete(key)
  turns(CLIENT_PORT, port)
  age(SECOND / 5n)
  assert.equal(at.node.sendXdp(asked(CLIENT_PORT)).verdict, 'pass')
})

test('of one that has sent nothing for long everything is asked anew', () => {
  serve()
  const port = open(CLIENT_PORT)
  turns(CLIENT_PORT, port)
  clearTranslations(at.node.object('pod'))
  age(11n * SECOND)
  assert.equal(at.node.sendXdp(asked(CLIENT_PORT)).verdict, 'pass')
})
