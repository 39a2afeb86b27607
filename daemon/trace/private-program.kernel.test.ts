import assert from 'node:assert/strict'
import { after, before, beforeEach, suite, test } from 'node:test'
import { compilePrograms, CROWD_SIZE, TestNode } from '../../test/bpf/node.ts'
import { giveAddresses, away } from '../../test/bpf/outside.ts'
import { clearServices, makeService } from '../../test/bpf/service-maps.ts'
import { A, B, FAMILIES, type Family, fromPod, HOST, ip, NATIVE, OUTSIDE, type PodFacts } from '../../test/bpf/world.ts'
import { packet } from '../../test/support/packet.ts'
import { tcp } from '../../test/support/packet-transport.ts'
import {
  affinityKeyLayout,
  affinityValueLayout,
  MasqueradeFlags,
  natKeyLayout,
  natValueLayout,
} from '../datapath/shared.gen.ts'
import { OBJECT_DIRECTORY, OBJECT_OF } from '../datapath/objects.ts'
import { codec } from '../kernel/bpf/layout.ts'
import { toMapped16 } from '../kernel/ip.ts'
import { mustRead, tupleOfPacket } from './outcome.ts'
import { readFrame, type TracePacket } from './frame.ts'
import { type LiveSet, OtherBuild, PrivateProgram, type RunResult, type TracedProgram } from './private-program.ts'

const PORT = 5000
const masquerade_flags = MasqueradeFlags.MASQUERADE_IPV4 | MasqueradeFlags.MASQUERADE_IPV6
const SERVICE = { 4: '10.96.0.1', 6: 'fd00:96::1' }

suite('a program that is loaded once more', () => {
  let node: TestNode
  let live: LiveSet
  let program: PrivateProgram
  before(async () => {
    await compilePrograms()
    node = new TestNode({ constants: { masquerade_flags } })
    giveAddresses(node, HOST)
    live = {
      constants: { overlay_ifindex: node.devices.overlay, overlay_mtu: 1450, overlay_port: 4789, masquerade_flags },
      programFd: name => node.object(OBJECT_OF[name as TracedProgram]).programFd(name),
      mapFd: name => node.object('pod').mapFd(name),
    }
    program = await PrivateProgram.load(OBJECT_DIRECTORY, live, 'pod_out')
  })
  after(() => {
    program?.[Symbol.dispose]()
    node?.[Symbol.dispose]()
  })
  beforeEach(() => {
    clearServices(node.object('pod'))
    node.reset()
  })

  const frameOf = (family: Family, pod: PodFacts, to: { 4: string; 6: string }, flags = 'S', dport = 80): Uint8Array =>
    packet(fromPod(pod), ip(family, pod, to), tcp({ sport: PORT, dport, flags }))

  function trace(frame: Uint8Array, pod = A): { readonly result: RunResult; readonly left: TracePacket } {
    program.flow.begin(tupleOfPacket(mustRead(frame).packet))
    const result = node.within(() => program.run(frame, pod === A ? node.devices.a : node.devices.b))
    return { result, left: mustRead(result.frame).packet }
  }

  /** All that the live maps hold which a packet could change. */
  function held(): string {
    using translations = node.object('pod').map('translations', codec(natKeyLayout, natValueLayout))
    using affinities = node.object('pod').map('affinities', codec(affinityKeyLayout, affinityValueLayout))
    const maps = [node.conntrack, translations, affinities, node.metrics, node.forwarded, node.crowds, node.shares]
    const text = (value: unknown): unknown => (typeof value === 'bigint' ? `${value}` : value)
    return JSON.stringify(
      maps.map(map => [...map.entries()].map(entry => JSON.stringify(entry, (_, v) => text(v))).sort()),
    )
  }

  for (const family of FAMILIES) {
    test(`keeps over IPv${family} the port of who leaves the cluster where it is free`, () => {
      const before = held()
      const { result, left } = trace(frameOf(family, A, OUTSIDE))
      assert.deepEqual([result.verdict, result.settled], ['redirect', true])
      assert.deepEqual([left.source, left.sourcePort, left.destination], [HOST[family], PORT, OUTSIDE[family]])
      assert.equal(held(), before)
      assert.deepEqual(node.takeEvents(), [])
    })

    test(`gives over IPv${family} another port where a neighbour's flow has it in the live maps`, () => {
      node.send(...away(B), frameOf(family, B, OUTSIDE))
      node.takeEvents()
      const before = held()
      const { result, left } = trace(frameOf(family, A, OUTSIDE))
      assert.equal(result.settled, true)
      assert.equal(left.source, HOST[family])
      assert.notEqual(left.sourcePort, PORT)
      assert.equal(held(), before)
      assert.deepEqual(node.takeEvents(), [])
    })

    test(`sends over IPv${family} what belongs to an open flow the way that the flow has`, () => {
      // Of the neighbour's port it knows, so the flow goes on from another that nobody could guess.
      node.send(...away(B), frameOf(family, B, OUTSIDE))
      const first = readFrame(node.send(...away(A), frameOf(family, A, OUTSIDE)).bytes)?.packet
      assert.notEqual(first?.sourcePort, PORT)
      const before = held()
      const { left } = trace(frameOf(family, A, OUTSIDE, 'A'))
      assert.deepEqual([left.source, left.sourcePort], [first?.source, first?.sourcePort])
      assert.equal(held(), before)
    })

    test(`gives a client over IPv${family} the backend that it has by its affinity`, () => {
      makeService(node.object('pod'), {
        address: SERVICE[family],
        port: 80,
        protocol: 'tcp',
        backends: [B[family], NATIVE[family]],
        affinitySeconds: 600,
      })
      const given = readFrame(node.send(...away(A), frameOf(family, A, SERVICE)).bytes)?.packet
      assert.ok([B[family], NATIVE[family]].includes(given?.destination ?? ''))
      const before = held()
      for (let i = 0; i < 8; i++) {
        const other = packet(fromPod(A), ip(family, A, SERVICE), tcp({ sport: PORT + 1 + i, dport: 80, flags: 'S' }))
        assert.equal(trace(other).left.destination, given?.destination)
      }
      assert.equal(held(), before)
    })
  }

  test('knows that no port is left for who has its share of those to a destination', () => {
    const crowd = { source: toMapped16(HOST[4]), destination: toMapped16(OUTSIDE[4]), destinationPort: 80, protocol: 6 }
    const value = new Uint8Array(CROWD_SIZE).fill(0xff)
    // Which half holds, ports, counting, owners.
    value.set(new Uint8Array(Uint32Array.of(0, 64_512, 0, 1, 0, 0).buffer))
    node.crowds.update(crowd, value)
    node.shares.update({ crowd, owner: toMapped16(A[4]) }, { ports: 64_512, counting: 0 })
    const before = held()
    const { result } = trace(frameOf(4, A, OUTSIDE))
    assert.deepEqual([result.verdict, result.drops.map(({ reason }) => reason)], ['drop', [18]])
    // Of who has none yet the marks are hints only.
    assert.deepEqual([trace(frameOf(4, B, OUTSIDE), B).left.sourcePort], [PORT])
    assert.equal(held(), before)
    for (const [pod, verdict] of [
      [A, 'drop'],
      [B, 'redirect'],
    ] as const)
      assert.equal(node.send(...away(pod), frameOf(4, pod, OUTSIDE)).verdict, verdict, 'what becomes of such packets')
  })

  test('tells of a drop and counts it nowhere else', () => {
    const before = held()
    const forged = packet(fromPod(A), ip(4, B, OUTSIDE), tcp({ sport: PORT, dport: 80, flags: 'S' }))
    const { result } = trace(forged)
    assert.equal(result.verdict, 'drop')
    assert.deepEqual(
      result.drops.map(({ reason }) => reason),
      [4],
    )
    assert.deepEqual(
      result.events.map(({ reason }) => reason),
      [4],
    )
    assert.equal(held(), before)
    assert.deepEqual(node.takeEvents(), [])
  })

  test('is refused when it is another one than the live one', async () => {
    const other: LiveSet = { ...live, programFd: () => live.programFd('pod_in') }
    await assert.rejects(PrivateProgram.load(OBJECT_DIRECTORY, other, 'pod_out'), OtherBuild)
  })
})
