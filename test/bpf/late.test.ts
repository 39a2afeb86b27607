/** Packets for pods of this node that have gone: connections with them are reset. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, suite, test } from 'node:test'
import { toMapped16 } from '../../daemon/kernel/ip.ts'
import { eth, type Layer, packet, payload } from '../support/packet.ts'
import { packetText } from '../support/packet-text.ts'
import { tcp, udp } from '../support/packet-transport.ts'
import { effects } from './effects.ts'
import { compilePrograms, type Prelude, type ProgramName, TestNode } from './node.ts'
import {
  A,
  type Both,
  FAMILIES,
  fromPod,
  fromRouter,
  ip,
  OUTSIDE,
  OVERLAID,
  OVERLAY_MAC,
  ROUTER,
  toPod,
  UNREACHABLE,
  UPLINK_MAC,
  VNI,
} from './world.ts'

/** Of a range of this node, which ends in an unreachable route. */
const GONE = UNREACHABLE
const inTunnel = eth({ src: OVERLAY_MAC, dst: OVERLAY_MAC })

interface Way {
  readonly program: ProgramName
  readonly on: 'a' | 'uplink' | 'overlay'
  readonly prelude?: Prelude
  readonly from: Both
  readonly frame: Layer
  readonly back: Layer
  /** Of the answer. */
  readonly hops: number
  /** What becomes of a packet that is not answered. */
  readonly otherwise: string
}

const WAYS: readonly Way[] = [
  { program: 'pod_out', on: 'a', from: A, frame: fromPod(A), back: toPod(A), hops: 64, otherwise: 'stack' },
  {
    program: 'uplink_in',
    on: 'uplink',
    from: OUTSIDE,
    frame: fromRouter,
    back: eth({ src: UPLINK_MAC, dst: ROUTER.mac }),
    hops: 64,
    otherwise: 'pass',
  },
  {
    program: 'overlay_in',
    on: 'overlay',
    prelude: { underlay: 4, vni: VNI },
    from: OVERLAID,
    frame: inTunnel,
    back: inTunnel,
    hops: 63,
    otherwise: 'drop',
  },
]

suite('a packet for a pod that has gone', () => {
  let node: TestNode
  before(async () => {
    await compilePrograms()
    node = new TestNode()
    for (const family of FAMILIES) node.departed.update(toMapped16(GONE[family]), 1n)
  })
  after(() => node[Symbol.dispose]())
  beforeEach(() => node.reset())

  for (const { program, on, prelude, from, frame, back, hops, otherwise } of WAYS)
    for (const f of FAMILIES) {
      const send = (to: Both, ...layers: readonly Layer[]) =>
        node.send(program, on, [frame, ip(f, from, to), ...layers], prelude)

      for (const flags of ['A', 'AP', 'FA', 'S'])
        test(`${program}, IPv${f}: TCP with ${flags} is reset`, () => {
          const { verdict, bytes } = send(GONE, tcp({ sport: 1024, dport: 80, flags, seq: 7, ack: 9 }), payload(4))
          const length = 4 + (/[SF]/.test(flags) ? 1 : 0)
          const reset = flags === 'S' ? { flags: 'RA', seq: 0, ack: 7 + length } : { flags: 'R', seq: 9, ack: 0 }
          assert.equal(
            packetText(bytes),
            packetText(packet(back, ip(f, GONE, from, hops), tcp({ sport: 80, dport: 1024, ...reset }), payload(4))),
          )
          assert.equal(verdict, 'redirect')
          assert.ok(effects(node).includes(`count DROPPED ${program} NO_ENDPOINT 1`))
        })

      test(`${program}, IPv${f}: a reset is answered with none, nor is a datagram`, () => {
        assert.equal(send(GONE, tcp({ sport: 1024, dport: 80, flags: 'R' })).verdict, 'drop')
        assert.equal(send(GONE, udp({ sport: 1024, dport: 80 })).verdict, otherwise)
      })

      test(`${program}, IPv${f}: of an address that no pod has had nothing changes`, () => {
        const { [f]: last } = GONE
        const never: Both = { 4: '10.99.0.2', 6: 'fd00:99::2' }
        assert.notEqual(never[f], last)
        assert.equal(send(never, tcp({ sport: 1024, dport: 80 })).verdict, otherwise)
      })
    }
})
