/**
 * Packets that are cut off, lie about themselves, or are noise. Whatever comes in, a verdict is one that is defined, what
 * is dropped is counted, and nothing leaves a pod but what it may send. A test of noise says how to get the same again.
 */
import assert from 'node:assert/strict'
import { after, before, beforeEach, suite, test } from 'node:test'
import { bytesOf } from '../../daemon/kernel/ip.ts'
import {
  arp,
  eth,
  ETHERTYPE,
  extension,
  fragment6,
  ipv4,
  ipv6,
  type Layer,
  mac,
  packet,
  payload,
  PROTOCOL,
} from '../support/packet.ts'
import { icmp, icmpv6, ndp, protocol, quote, sctp, tcp, udp } from '../support/packet-transport.ts'
import { Random } from '../support/random.ts'
import { counts } from './effects.ts'
import { compilePrograms, type Prelude, type ProgramName, TestNode, type Verdict } from './node.ts'
import type { Devices } from './devices.ts'
import {
  A,
  B,
  BLACKHOLE,
  FAMILIES,
  fromPod,
  fromRouter,
  HOST,
  ip,
  OUTSIDE,
  OVERLAID,
  OVERLAY_MAC,
  toPod,
  VNI,
} from './world.ts'

let node: TestNode
before(async () => {
  await compilePrograms()
  node = new TestNode()
})
after(() => node[Symbol.dispose]())
beforeEach(() => node.reset())

const transports: readonly (readonly [string, readonly Layer[]])[] = [
  ['tcp', [tcp({ sport: 1, dport: 2, flags: 'S', headerLength: 40 })]],
  ['udp', [udp({ sport: 1, dport: 2 })]],
  ['sctp', [sctp({ sport: 1, dport: 2 })]],
]
/** Whole frames of A's, by name. */
const frames: readonly (readonly [string, readonly Layer[]])[] = [
  ...FAMILIES.flatMap(f =>
    transports.map(([name, t]) => [`IPv${f} ${name}`, [fromPod(A), ip(f, A, B), ...t]] as const),
  ),
  ['IPv4 echo', [fromPod(A), ip(4, A, B), icmp({ type: 8 })]],
  ['IPv6 echo', [fromPod(A), ip(6, A, B), icmpv6({ type: 128 })]],
  [
    'IPv4 options',
    [fromPod(A), ipv4({ src: A[4], dst: B[4], options: new Uint8Array(40) }), udp({ sport: 1, dport: 2 })],
  ],
  ['IPv4 fragment', [fromPod(A), ipv4({ src: A[4], dst: B[4], more: true }), udp({ sport: 1, dport: 2 })]],
  ['IPv4 error', [fromPod(A), ip(4, A, B), icmp({ type: 3 }), quote(ip(4, B, A), udp({ sport: 1, dport: 2 }))]],
  ['IPv6 error', [fromPod(A), ip(6, A, B), icmpv6({ type: 1 }), quote(ip(6, B, A), udp({ sport: 1, dport: 2 }))]],
  [
    'IPv6 extensions',
    [
      fromPod(A),
      ip(6, A, B),
      extension(PROTOCOL.hopByHop, 8),
      extension(PROTOCOL.routing, 24),
      fragment6({ id: 1, more: true }),
      extension(PROTOCOL.authentication, 24),
      extension(PROTOCOL.destination, 16),
      tcp({ sport: 1, dport: 2, flags: 'S' }),
    ],
  ],
  ['ARP', [fromPod(A), arp({ senderMac: A.mac, sender: A[4], target: B[4] })]],
  [
    'solicitation',
    [
      fromPod(A),
      ipv6({ src: A[6], dst: B[6], hopLimit: 255 }),
      ndp({ type: 'solicitation', target: B[6], mac: A.mac }),
    ],
  ],
  [
    'advertisement',
    [
      fromPod(A),
      ipv6({ src: A[6], dst: HOST[6], hopLimit: 255 }),
      ndp({ type: 'advertisement', target: A[6], mac: A.mac }),
    ],
  ],
]

/** No device hands on less. */
const SHORTEST = 14

suite('cut off at every byte', () => {
  for (const [what, layers] of frames)
    test(`${what}: a pod's frame that ends too early is malformed`, () => {
      const whole = packet(...layers)
      for (let length = SHORTEST; length < whole.length; length++)
        assert.equal(node.send('pod_out', 'a', whole.subarray(0, length)).verdict, 'drop', `${length} bytes`)
      assert.deepEqual(counts(node), [`count DROPPED pod_out MALFORMED ${whole.length - SHORTEST}`])
      assert.notEqual(node.send('pod_out', 'a', whole).verdict, 'drop')
    })

  for (const [what, layers] of frames.filter(([name]) => name.startsWith('IP')))
    test(`${what}: the same at an uplink passes`, () => {
      const whole = packet(fromRouter, ...layers.slice(1))
      for (let length = SHORTEST; length < whole.length; length++)
        assert.equal(node.send('uplink_in', 'uplink', whole.subarray(0, length)).verdict, 'pass', `${length} bytes`)
      assert.deepEqual(counts(node), [])
    })

  /** Shortest transport headers. */
  const needed = { tcp: 20, udp: 8, sctp: 8 } as const
  for (const family of FAMILIES)
    for (const [name, length] of Object.entries(needed))
      test(`IPv${family} ${name}: a header shorter than it must be is malformed though the packet's length is right`, () => {
        const number = PROTOCOL[name as keyof typeof needed]
        for (let bytes = 0; bytes < length; bytes++) {
          // Padding behind the packet is no part of it.
          const sent = packet(fromPod(A), ip(family, A, B), protocol(number), payload(bytes))
          for (const frame of [sent, Uint8Array.from([...sent, ...new Uint8Array(40)])])
            assert.equal(node.send('pod_out', 'a', frame).verdict, 'drop', `${bytes} bytes`)
        }
        assert.deepEqual(counts(node), [`count DROPPED pod_out MALFORMED ${2 * length}`])
      })
})

suite('lies', () => {
  const body = [udp({ sport: 1, dport: 2 }), payload(4)]
  const chain = (n: number): Layer[] => Array.from({ length: n }, () => extension(PROTOCOL.destination))
  const lies: readonly (readonly [string, readonly Layer[], Verdict])[] = [
    ['a version that is not 4', [ipv4({ src: A[4], dst: B[4], version: 5 }), ...body], 'drop'],
    ['a header of 16 bytes', [ipv4({ src: A[4], dst: B[4], headerLength: 16 }), ...body], 'drop'],
    ['a header longer than the packet', [ipv4({ src: A[4], dst: B[4], headerLength: 60 }), ...body], 'drop'],
    ['a length of 0', [ipv4({ src: A[4], dst: B[4], totalLength: 0 }), ...body], 'drop'],
    ['a length shorter than the header', [ipv4({ src: A[4], dst: B[4], totalLength: 19 }), ...body], 'drop'],
    ['a length beyond the frame', [ipv4({ src: A[4], dst: B[4], totalLength: 33 }), ...body], 'drop'],
    ['a version that is not 6', [ipv6({ src: A[6], dst: B[6], version: 4 }), ...body], 'drop'],
    ['a payload beyond the frame', [ipv6({ src: A[6], dst: B[6], payloadLength: 13 }), ...body], 'drop'],
    ['a payload of 0', [ipv6({ src: A[6], dst: B[6], payloadLength: 0 }), ...body], 'drop'],
    ['a source that is IPv4 mapped', [ipv6({ src: `::ffff:${A[4]}`, dst: B[6] }), ...body], 'drop'],
    ['a destination that is IPv4 mapped', [ipv6({ src: A[6], dst: `::ffff:${B[4]}` }), ...body], 'drop'],
    ['a TCP header of 16 bytes', [ip(4, A, B), tcp({ sport: 1, dport: 2, headerLength: 16 }), payload(8)], 'drop'],
    ['eight extension headers', [ip(6, A, B), ...chain(8), ...body], 'redirect'],
    ['nine extension headers', [ip(6, A, B), ...chain(9), ...body], 'drop'],
    [
      'an extension header longer than the packet',
      [ip(6, A, B), extension(PROTOCOL.routing, 8), protocol(60), payload(Uint8Array.of(17, 200, 0, 0, 0, 0, 0, 0))],
      'drop',
    ],
    ['extension headers of 1 KiB', [ip(6, A, B), extension(PROTOCOL.destination, 1024), ...body], 'drop'],
  ]
  for (const [what, layers, verdict] of lies)
    test(`${what}: ${verdict}`, () => {
      const sent = packet(fromPod(A), ...layers)
      assert.equal(node.send('pod_out', 'a', sent).verdict, verdict)
      assert.deepEqual(counts(node), verdict === 'drop' ? ['count DROPPED pod_out MALFORMED 1'] : [])
    })
})

suite('noise', () => {
  const ROUNDS = 3000

  interface Target {
    readonly program: ProgramName
    readonly on: keyof Devices
    readonly frames: readonly Uint8Array[]
    readonly verdicts: readonly Verdict[]
    readonly prelude?: Prelude
  }
  const as = (outer: Layer, ...inner: readonly (readonly Layer[])[]): Uint8Array[] =>
    inner.map(layers => packet(outer, ...layers))
  const inward = FAMILIES.flatMap(f => transports.map(([, t]) => [ip(f, OUTSIDE, A), ...t]))
  const targets: readonly Target[] = [
    {
      program: 'pod_out',
      on: 'a',
      frames: frames.map(([, layers]) => packet(...layers)),
      verdicts: ['stack', 'redirect', 'drop'],
    },
    { program: 'pod_in', on: 'a', frames: as(toPod(A), ...inward), verdicts: ['stack', 'drop'] },
    {
      program: 'uplink_in',
      on: 'uplink',
      frames: as(fromRouter, ...inward),
      verdicts: ['pass', 'stack', 'redirect', 'drop'],
    },
    {
      program: 'overlay_in',
      on: 'overlay',
      frames: as(
        eth({ src: '02:00:00:00:0f:01', dst: OVERLAY_MAC }),
        ...FAMILIES.map(f => [ip(f, OVERLAID, A), ...(transports[0]?.[1] ?? [])]),
      ),
      verdicts: ['stack', 'redirect', 'drop'],
      prelude: { underlay: 4, vni: VNI },
    },
    {
      program: 'overlay_out',
      on: 'overlay',
      frames: as(
        eth({ src: OVERLAY_MAC, dst: OVERLAY_MAC }),
        ...FAMILIES.map(f => [ip(f, OUTSIDE, OVERLAID), ...(transports[1]?.[1] ?? [])]),
      ),
      verdicts: ['stack', 'drop'],
    },
  ]

  for (const { program, on, frames: whole, verdicts, prelude = {} } of targets)
    test(`${program} gives defined verdicts and counts its drops`, () => {
      const random = new Random()
      let dropped = 0
      for (let round = 0; round < ROUNDS; round++) {
        const sent = disturb(random.pick(whole), random)
        const unrouted = toBlackhole(sent) ? noRoute() : undefined
        const result = node.send(program, on, sent, prelude)
        const told = `round ${round}, ${random.replay}: ${Buffer.from(sent).toString('hex')}`
        assert.ok(verdicts.includes(result.verdict), `${result.verdict} in ${told}`)
        if (result.verdict === 'drop') dropped += unrouted === undefined || unrouted === noRoute() ? 1 : 0
        else if (program === 'pod_out') assert.ok(mayLeave(result.verdict, result.bytes), told)
        if (round % 500 === 0) node.takeEvents()
      }
      // What has no route is counted too, although the host's stack gets it: to answer.
      const counted = counts(node)
        .filter(line => line.startsWith('count DROPPED') && !line.includes(' pod_out NO_ROUTE '))
        .map(line => Number(line.split(' ').pop()))
      assert.equal(
        counted.reduce((a, b) => a + b, 0),
        dropped,
        random.replay,
      )
    })
})

function noRoute(): string {
  return counts(node).find(line => line.includes(' pod_out NO_ROUTE ')) ?? ''
}

/** Whether the route to the packet's destination swallows it: such a drop is counted among those without a route. */
function toBlackhole(bytes: Uint8Array): boolean {
  const type = ((bytes[12] ?? 0) << 8) | (bytes[13] ?? 0)
  const network = type === 0x0800 ? bytesOf(BLACKHOLE[4]).subarray(0, 3) : bytesOf(BLACKHOLE[6]).subarray(0, 8)
  return network.every((byte, i) => bytes[(type === 0x0800 ? 30 : 38) + i] === byte)
}

/**
 * Whether a pod's frame may leave like this. What the host's stack gets is as it was sent: from the pod's MAC and its
 * address, or what the pod says about itself on its link. What is redirected is the pod's packet, or the answer to it.
 */
function mayLeave(verdict: Verdict, frame: Uint8Array): boolean {
  const at = (offset: number, want: Uint8Array): boolean => want.every((byte, i) => frame[offset + i] === byte)
  if (verdict === 'stack' && !at(6, mac(A.mac))) return false
  const type = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0)
  const answer = verdict === 'redirect' && at(0, mac(A.mac)) && at(6, mac(A.hostMac))
  if (type === ETHERTYPE.arp)
    return answer || (at(22, mac(A.mac)) && [A[4], '0.0.0.0'].some(address => at(28, bytesOf(address))))
  if (type === ETHERTYPE.ipv4) return at(26, bytesOf(A[4]))
  return at(22, bytesOf(A[6])) || answer || (verdict === 'stack' && staysOnLink(frame))
}

/** Neighbour discovery from a link-local address or none, to the link or the host. */
function staysOnLink(frame: Uint8Array): boolean {
  const linkLocal = (offset: number): boolean => frame[offset] === 0xfe && ((frame[offset + 1] ?? 0) & 0xc0) === 0x80
  const discovery = frame[20] === PROTOCOL.icmpv6 && (frame[54] === 135 || frame[54] === 136)
  const nobody = frame.subarray(22, 38).every(byte => byte === 0) && frame[54] === 135
  const group = frame[38] === 0xff && ((frame[39] ?? 0) & 0xf) <= 2
  const host = bytesOf(HOST[6]).every((byte, i) => frame[38 + i] === byte)
  return discovery && (linkLocal(22) || nobody) && (linkLocal(38) || group || host)
}

/** Changes a few bytes, most of them in the headers, or cuts, or appends. */
function disturb(whole: Uint8Array, random: Random): Uint8Array {
  const out = Uint8Array.from(whole)
  for (let n = random.below(4); n >= 0; n--) out[6 + random.below(Math.min(out.length - 6, 90))] = random.below(256)
  switch (random.below(10)) {
    case 0:
      return out.subarray(0, Math.max(SHORTEST, random.below(out.length)))
    case 1:
      return Uint8Array.from([...out, ...random.bytes(random.below(200))])
    case 2:
      return Uint8Array.from([...out.subarray(0, SHORTEST), ...random.bytes(random.below(120))])
    default:
      return out
  }
}
