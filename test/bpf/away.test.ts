/** Packets of pods that leave the node: by the overlay, by the kernel's routes, and what the host's stack is left with. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, suite, test } from 'node:test'
import { extension, ipv6, type Layer, packet, payload, PROTOCOL } from '../support/packet.ts'
import { packetText } from '../support/packet-text.ts'
import { tcp, udp } from '../support/packet-transport.ts'
import { counts, flows, forwardedBy } from './effects.ts'
import { compilePrograms, TestNode, type Verdict } from './node.ts'
import {
  A,
  BLACKHOLE,
  type Both,
  FAMILIES,
  type Family,
  fromPod,
  ip,
  NATIVE,
  OUTSIDE,
  OVERLAID,
  OVERLAID_ON_6,
  UNREACHABLE,
} from './world.ts'

let node: TestNode
before(async () => {
  await compilePrograms()
  node = new TestNode()
})
after(() => node[Symbol.dispose]())
beforeEach(() => node.reset())

/** An IP packet of so many bytes. */
function sized(family: Family, dst: Both, length: number, hops = 64): Layer[] {
  return [ip(family, A, dst, hops), udp({ sport: 1024, dport: 53 }), payload(length - (family === 4 ? 28 : 48))]
}

interface Case {
  readonly what: string
  readonly dst: Both
  readonly length?: number
  readonly hops?: number
  readonly verdict: Verdict
}
const cases: readonly Case[] = [
  { what: 'a pod of another node, through the overlay', dst: OVERLAID, verdict: 'redirect' },
  { what: 'a pod of another node, through an overlay over IPv6', dst: OVERLAID_ON_6, verdict: 'redirect' },
  { what: 'a pod of another node, natively', dst: NATIVE, verdict: 'redirect' },
  { what: 'the outside', dst: OUTSIDE, verdict: 'redirect' },
  { what: 'the overlay, as long as fits', dst: OVERLAID, length: 1450, verdict: 'redirect' },
  { what: 'the overlay, one byte too long', dst: OVERLAID, length: 1451, verdict: 'stack' },
  { what: 'the outside, as long as fits', dst: OUTSIDE, length: 1500, verdict: 'redirect' },
  { what: 'the outside, one byte too long', dst: OUTSIDE, length: 1501, verdict: 'stack' },
  { what: 'the overlay, on its last hop', dst: OVERLAID, hops: 1, verdict: 'stack' },
  { what: 'the outside, on its last hop', dst: OUTSIDE, hops: 1, verdict: 'stack' },
]

for (const family of FAMILIES)
  suite(`IPv${family}`, () => {
    for (const { what, dst, length = 100, hops = 64, verdict } of cases)
      test(`${what}: ${verdict}`, () => {
        const result = node.send('pod_out', 'a', [fromPod(A), ...sized(family, dst, length, hops)])
        const left = verdict === 'redirect' ? hops - 1 : hops
        assert.equal(packetText(result.bytes), packetText(packet(fromPod(A), ...sized(family, dst, length, left))))
        assert.equal(result.verdict, verdict)
        assert.equal(forwardedBy(node, 'HOOK_POD_OUT'), verdict === 'redirect' ? 1 : 0)
        assert.deepEqual(counts(node), [])
        assert.equal(flows(node).length, 1)
      })

    test('a route that swallows is a recorded drop, since the host would not answer either', () => {
      assert.equal(node.send('pod_out', 'a', [fromPod(A), ...sized(family, BLACKHOLE, 100)]).verdict, 'drop')
      assert.deepEqual(counts(node), ['count DROPPED pod_out NO_ROUTE 1'])
      assert.equal(forwardedBy(node, 'HOOK_POD_OUT'), 0)
    })

    test('a route that refuses is a recorded drop, and the host answers', () => {
      assert.equal(node.send('pod_out', 'a', [fromPod(A), ...sized(family, UNREACHABLE, 100)]).verdict, 'stack')
      assert.deepEqual(counts(node), ['count DROPPED pod_out NO_ROUTE 1'])
      assert.equal(forwardedBy(node, 'HOOK_POD_OUT'), 0)
    })

    test('a large packet that is cut into segments is judged by their length', () => {
      const sent = (dst: Both): Layer[] => [
        fromPod(A),
        ip(family, A, dst),
        tcp({ sport: 1024, dport: 80, flags: 'A', headerLength: 32 }),
        payload(3000),
      ]
      const headers = (family === 4 ? 20 : 40) + 32
      const by = (dst: Both, gsoSize: number): Verdict => node.send('pod_out', 'a', sent(dst), { gsoSize }).verdict
      assert.equal(by(OVERLAID, 1450 - headers), 'redirect')
      assert.equal(by(OVERLAID, 1451 - headers), 'stack')
      assert.equal(by(OUTSIDE, 1500 - headers), 'redirect')
      assert.equal(by(OUTSIDE, 1501 - headers), 'stack')
    })
  })

test('the jumbo header of a large packet is none of its segments', () => {
  const sent = (dst: Both): Layer[] => [
    fromPod(A),
    ipv6({ src: A[6], dst: dst[6], payloadLength: 0 }),
    extension(PROTOCOL.hopByHop),
    tcp({ sport: 1024, dport: 80, flags: 'A', headerLength: 32 }),
    payload(3000),
  ]
  const headers = 40 + 32
  const by = (dst: Both, gsoSize: number): Verdict => node.send('pod_out', 'a', sent(dst), { gsoSize }).verdict
  assert.equal(by(OVERLAID, 1450 - headers), 'redirect')
  assert.equal(by(OVERLAID, 1451 - headers), 'stack')
  assert.equal(by(OUTSIDE, 1500 - headers), 'redirect')
  assert.equal(by(OUTSIDE, 1501 - headers), 'stack')
})

test('where there is no overlay, routes alone decide', () => {
  using native = new TestNode({ constants: { overlay_ifindex: 0 } })
  for (const family of FAMILIES)
    assert.equal(
      native.send('pod_out', 'a', [fromPod(A), ...sized(family, OVERLAID, 1500)]).verdict,
      'redirect',
      `IPv${family}`,
    )
})
