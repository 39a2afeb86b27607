/** ICMP errors about flows by NAT64, both ways, with what they quote (RFC 7915 sections 4.2, 4.3, 5.2 and 5.3). */
import assert from 'node:assert/strict'
import { beforeEach, suite, test } from 'node:test'
import { extension, ipv4, ipv6, type Layer, packet, payload, PROTOCOL } from '../support/packet.ts'
import { packetText } from '../support/packet-text.ts'
import { icmp, icmpv6, quote } from '../support/packet-transport.ts'
import { counts } from './effects.ts'
import { back4, back6, far, KINDS, LONG, nat64Node, PORT, sent4, sent6, tooBig4, tooBig6 } from './nat64-ways.ts'
import { away, uplink } from './outside.ts'
import { A, fromPod, fromRouter, HOST, OUTSIDE, ROUTER, toPod } from './world.ts'

const at = nat64Node()
/** A TCP checksum lies beyond what may be quoted and is left as it is. */
const quotable = Object.entries(KINDS).filter(([kind]) => kind !== 'tcp')

beforeEach(() => {
  for (const layer of Object.values(KINDS))
    at.node.send(...away(A), [fromPod(A), sent6(), layer(6, PORT), payload(LONG)])
})

/** A pod's packet as it left and as the pod sent it; the other end's as it came and as the pod got it. */
const left = (layer: Layer): Layer => quote(sent4({ tos: 0x40 }), layer, payload(20))
const asSent = (layer: Layer): Layer => quote(sent6({ hopLimit: 63, flow: 0x40 << 20 }), layer, payload(20))
const gotten = (layer: Layer): Layer => quote(back6(), layer, payload(20))
const asCame = (layer: Layer): Layer => quote(back4({ ttl: 63, id: 0, dontFragment: true }), layer, payload(20))

const fromOutside = (source: string, ...layers: readonly Layer[]): Layer[] => [
  fromRouter,
  ipv4({ src: source, dst: HOST[4] }),
  ...layers,
]
const forPod = (source: string, ...layers: readonly Layer[]): Layer[] => [
  toPod(A),
  ipv6({ src: far(source), dst: A[6], hopLimit: 63 }),
  ...layers,
]
const ofPod = (...layers: readonly Layer[]): Layer[] => [fromPod(A), ipv6({ src: A[6], dst: far() }), ...layers]

/** Sends a pod's error and compares every byte but the number of the packet, which is by chance. */
function leaves(sent: readonly Layer[], ...comes: readonly Layer[]): void {
  const { bytes, verdict } = at.node.send(...away(A), sent)
  const id = new DataView(bytes.buffer, bytes.byteOffset).getUint16(18)
  const want = packet(fromPod(A), ipv4({ src: HOST[4], dst: OUTSIDE[4], ttl: 63, id }), ...comes)
  assert.equal(packetText(bytes), packetText(want))
  assert.deepEqual(Buffer.from(bytes), Buffer.from(want))
  assert.equal(verdict, 'redirect')
}

/** Type, code and what follows the checksum, of a layer alone. */
function name(layer: Layer): string {
  const [type, code, , , ...word] = layer({ bytes: new Uint8Array(), kind: PROTOCOL.none }).bytes
  return `${type}/${code} ${Buffer.from(word).readUInt32BE()}`
}

suite('what is quoted', () => {
  for (const [kind, layer] of quotable)
    for (const [who, source] of [
      ['a router', ROUTER[4]],
      ['the other end', OUTSIDE[4]],
    ] as const)
      test(`an error of ${who} about ${kind} reaches the pod about the packet that it knows`, () => {
        at.becomes(
          uplink,
          fromOutside(source, icmp({ type: 11 }), left(layer(4, PORT))),
          forPod(source, icmpv6({ type: 3 }), asSent(layer(6, PORT))),
        )
      })

  test('a TCP segment is quoted up to what of it is translated', () => {
    const syn = KINDS.tcp(4, PORT)
    const { bytes, verdict } = at.node.send(...uplink, fromOutside(ROUTER[4], icmp({ type: 11 }), left(syn)))
    assert.equal(verdict, 'redirect')
    const frame = new DataView(bytes.buffer, bytes.byteOffset)
    assert.deepEqual([frame.getUint16(102), frame.getUint16(104)], [PORT, 443])
  })

  for (const [kind, layer] of quotable)
    test(`a pod’s error about ${kind} reaches the other end about the packet that it knows`, () => {
      leaves(ofPod(icmpv6({ type: 3 }), gotten(layer(6, PORT, true))), icmp({ type: 11 }), asCame(layer(4, PORT, true)))
    })
})

suite('what an error says', () => {
  const udp4 = left(KINDS.udp(4, PORT))
  const udp6 = asSent(KINDS.udp(6, PORT))
  const pointer = (at4: number): number => at4 << 8
  for (const [says, becomes] of [
    [icmp({ type: 3, code: 0 }), icmpv6({ type: 1, code: 0 })],
    [icmp({ type: 3, code: 1 }), icmpv6({ type: 1, code: 0 })],
    [icmp({ type: 3, code: 2 }), icmpv6({ type: 4, code: 1, sequence: 6 })],
    [icmp({ type: 3, code: 3 }), icmpv6({ type: 1, code: 4 })],
    [tooBig4(1400), tooBig6(1420)],
    [tooBig4(900), tooBig6(1280)],
    [tooBig4(0), tooBig6(1280)],
    [icmp({ type: 3, code: 5 }), icmpv6({ type: 1, code: 0 })],
    [icmp({ type: 3, code: 9 }), icmpv6({ type: 1, code: 1 })],
    [icmp({ type: 3, code: 10 }), icmpv6({ type: 1, code: 1 })],
    [icmp({ type: 3, code: 11 }), icmpv6({ type: 1, code: 0 })],
    [icmp({ type: 3, code: 12 }), icmpv6({ type: 1, code: 0 })],
    [icmp({ type: 3, code: 13 }), icmpv6({ type: 1, code: 1 })],
    [icmp({ type: 3, code: 15 }), icmpv6({ type: 1, code: 1 })],
    [icmp({ type: 11, code: 1 }), icmpv6({ type: 3, code: 1 })],
    [icmp({ type: 12, code: 0, id: pointer(9) }), icmpv6({ type: 4, code: 0, sequence: 6 })],
    [icmp({ type: 12, code: 2, id: pointer(18) }), icmpv6({ type: 4, code: 0, sequence: 24 })],
  ] as const)
    test(`of IPv4: ${name(says)} becomes ${name(becomes)}`, () => {
      at.becomes(uplink, fromOutside(ROUTER[4], says, udp4), forPod(ROUTER[4], becomes, udp6))
    })

  const udpBack6 = gotten(KINDS.udp(6, PORT, true))
  const udpBack4 = asCame(KINDS.udp(4, PORT, true))
  for (const [says, becomes] of [
    [icmpv6({ type: 1, code: 0 }), icmp({ type: 3, code: 1 })],
    [icmpv6({ type: 1, code: 1 }), icmp({ type: 3, code: 10 })],
    [icmpv6({ type: 1, code: 2 }), icmp({ type: 3, code: 1 })],
    [icmpv6({ type: 1, code: 3 }), icmp({ type: 3, code: 1 })],
    [icmpv6({ type: 1, code: 4 }), icmp({ type: 3, code: 3 })],
    [tooBig6(1400), tooBig4(1380)],
    [tooBig6(1000), tooBig4(1260)],
    [icmpv6({ type: 3, code: 0 }), icmp({ type: 11, code: 0 })],
    [icmpv6({ type: 4, code: 1 }), icmp({ type: 3, code: 2 })],
    [icmpv6({ type: 4, code: 0, sequence: 7 }), icmp({ type: 12, code: 0, id: pointer(8) })],
    [icmpv6({ type: 4, code: 0, sequence: 30 }), icmp({ type: 12, code: 0, id: pointer(16) })],
  ] as const)
    test(`of IPv6: ${name(says)} becomes ${name(becomes)}`, () => {
      leaves(ofPod(says, udpBack6), becomes, udpBack4)
    })
})

suite('what the other family does not have is dropped', () => {
  const reason = (hook: string): void =>
    assert.deepEqual(
      counts(at.node).filter(line => line.startsWith('count DROPPED')),
      [`count DROPPED ${hook} NAT64_FORM 1`],
    )
  for (const says of [
    icmp({ type: 3, code: 14 }),
    icmp({ type: 3, code: 16 }),
    icmp({ type: 4 }),
    icmp({ type: 5 }),
    icmp({ type: 12, code: 1 }),
    icmp({ type: 12, code: 0, id: 5 << 8 }),
  ])
    test(`of IPv4: ${name(says)}`, () => {
      assert.equal(at.node.send(...uplink, fromOutside(ROUTER[4], says, left(KINDS.udp(4, PORT)))).verdict, 'drop')
      reason('uplink_in')
    })

  for (const says of [
    icmpv6({ type: 1, code: 5 }),
    icmpv6({ type: 4, code: 2 }),
    icmpv6({ type: 4, code: 0, sequence: 40 }),
    icmpv6({ type: 2, id: 1 }),
    icmpv6({ type: 100 }),
  ])
    test(`of IPv6: ${name(says)}`, () => {
      assert.equal(at.node.send(...away(A), ofPod(says, gotten(KINDS.udp(6, PORT, true)))).verdict, 'drop')
      reason('pod_out')
    })

  test('what is quoted with extension headers', () => {
    const quoted = quote(back6(), extension(PROTOCOL.destination), KINDS.udp(6, PORT, true), payload(20))
    assert.equal(at.node.send(...away(A), ofPod(icmpv6({ type: 3 }), quoted)).verdict, 'drop')
    reason('pod_out')
  })
})
