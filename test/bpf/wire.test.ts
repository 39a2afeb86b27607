/**
 * What goes out on the wire, and how: frames that really travel through attached programs are caught behind the uplink. A
 * verdict tells neither the device nor the tunnel.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { textOf } from '../../daemon/kernel/ip.ts'
import { eventually } from '../support/eventually.ts'
import { eth, type Layer, packet, payload } from '../support/packet.ts'
import { PacketSocket } from '../support/packet-socket.ts'
import { packetText } from '../support/packet-text.ts'
import { udp } from '../support/packet-transport.ts'
import { compilePrograms, TestNode } from './node.ts'
import {
  A,
  type Both,
  FAMILIES,
  type Family,
  fromPod,
  HOST,
  ip,
  NATIVE,
  NATIVE_NODE,
  OUTSIDE,
  OVERLAID,
  OVERLAID_ON_6,
  OVERLAY_MAC,
  ROUTER,
  TUNNEL_END,
  UPLINK_MAC,
  VNI,
} from './world.ts'

const VXLAN_PORT = 4789

/** A frame behind the uplink, taken out of its tunnel when it came in one: `MAC > MAC, ADDRESS > ADDRESS, network N`. */
interface Arrival {
  readonly tunnel?: string
  readonly frame: string
}

function arrival(frame: Uint8Array): Arrival {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
  const family = view.getUint16(12) === 0x0800 ? 4 : 6
  const [addresses, size, header, protocolAt] = family === 4 ? [26, 4, 20, 23] : [22, 16, 40, 20]
  const transport = 14 + header
  const inTunnel = frame[protocolAt] === 17 && view.getUint16(transport + 2) === VXLAN_PORT
  if (!inTunnel) return { frame: packetText(frame) }
  const address = (n: number): string => textOf(frame.subarray(addresses + n * size, addresses + (n + 1) * size))
  const network = view.getUint32(transport + 8 + 4) >> 8
  const [macs] = packetText(frame).split('\n')
  return {
    tunnel: `${macs}, ${address(0)} > ${address(1)}, network ${network}`,
    frame: packetText(frame.subarray(transport + 16)),
  }
}

const overUnderlay = (family: Family): string =>
  `eth ${UPLINK_MAC} > ${TUNNEL_END.mac}, ${HOST[family]} > ${TUNNEL_END[family]}, network ${VNI}`

suite('on the wire', () => {
  let node: TestNode
  let pod: PacketSocket
  let host: PacketSocket
  let wire: PacketSocket
  const stack = new DisposableStack()
  before(async () => {
    await compilePrograms()
    node = stack.use(new TestNode())
    node.attach({ ingress: 'pod_out' }, 'a')
    node.attach({ egress: 'overlay_out' }, 'overlay')
    pod = stack.use(new PacketSocket(node.netns, 'a-peer'))
    host = stack.use(new PacketSocket(node.netns, 'overlay'))
    wire = stack.use(new PacketSocket(node.netns, 'up-peer'))
  })
  after(() => stack.dispose())

  /** Content that tells the test's frames from all others. */
  let tests = 0
  const marked = (family: Family, src: Both, dst: Both, hops: number): Layer[] => [
    ip(family, src, dst, hops),
    udp({ sport: 1024, dport: 53 }),
    payload(`frame of test ${tests}`),
  ]
  async function caught(): Promise<Arrival> {
    const find = (): Uint8Array | undefined =>
      wire.frames().find(frame => Buffer.from(frame).includes(`frame of test ${tests}`))
    await eventually(() => find() !== undefined)
    return arrival(find() ?? new Uint8Array())
  }

  for (const family of FAMILIES) {
    for (const [underlay, dst] of [
      [4, OVERLAID],
      [6, OVERLAID_ON_6],
    ] as const) {
      test(`IPv${family}: a pod's packet to a pod behind a tunnel over IPv${underlay} goes through it`, async () => {
        tests++
        pod.send(packet(fromPod(A), ...marked(family, A, dst, 64)))
        assert.deepEqual(await caught(), {
          tunnel: overUnderlay(underlay),
          frame: packetText(packet(fromPod(A), ...marked(family, A, dst, 63))),
        })
      })
      test(`IPv${family}: the host's packet to a pod behind a tunnel over IPv${underlay} goes through it`, async () => {
        tests++
        host.send(packet(eth({ src: OVERLAY_MAC, dst: OVERLAY_MAC }), ...marked(family, HOST, dst, 64)))
        const inner = eth({ src: '02:ca:05:e0:00:fe', dst: OVERLAY_MAC })
        assert.deepEqual(await caught(), {
          tunnel: overUnderlay(underlay),
          frame: packetText(packet(inner, ...marked(family, HOST, dst, 64))),
        })
      })
    }
    test(`IPv${family}: a pod's packet to the outside goes to the router as it is`, async () => {
      tests++
      pod.send(packet(fromPod(A), ...marked(family, A, OUTSIDE, 64)))
      const outer = eth({ src: UPLINK_MAC, dst: ROUTER.mac })
      assert.deepEqual(await caught(), { frame: packetText(packet(outer, ...marked(family, A, OUTSIDE, 63))) })
    })
    test(`IPv${family}: for a pod's packet to a pod by a native route its next hop is resolved`, async () => {
      tests++
      pod.send(packet(fromPod(A), ...marked(family, A, NATIVE, 64)))
      const asked = family === 4 ? `arp request .* > ${NATIVE_NODE[4]} ` : `solicitation ${NATIVE_NODE[6]} `
      assert.match(await wire.text(new RegExp(asked)), new RegExp(`^eth ${UPLINK_MAC} > `))
    })
  }
})
