/** Ports of flows that leave the cluster where most are taken: to one destination, from one of the node's addresses. */
import assert from 'node:assert/strict'
import { beforeEach, suite, test } from 'node:test'
import { codec } from '../../daemon/kernel/bpf/layout.ts'
import { fromMapped16, toMapped16 } from '../../daemon/kernel/ip.ts'
import {
  CrowdSize,
  CtFlags,
  type CtKey,
  MasqueradeFlags,
  type NatKey,
  natKeyLayout,
  NatFlags,
  natValueLayout,
} from '../../daemon/datapath/shared.gen.ts'
import { Random } from '../support/random.ts'
import { tcp } from '../support/packet-transport.ts'
import { counts } from './effects.ts'
import { away, giveAddresses, hold, SECOND, uplink } from './outside.ts'
import { CROWD_SIZE, TestNode } from './node.ts'
import { serviceNode, sourcePort } from './service-node.ts'
import {
  A,
  B,
  type Both,
  FAMILIES,
  type Family,
  fromPod,
  fromRouter,
  HOST,
  ip,
  OUTSIDE,
  type PodFacts,
} from './world.ts'

const FIRST = CrowdSize.CROWD_PORT_FIRST
const ALL = Array.from({ length: 65_536 - FIRST }, (_, i) => FIRST + i)
const FOREVER = 1n << 60n
const SERVER_PORT = 443
/** Ports that flows try to keep where they must find others. */
const ASKED = Array.from({ length: 12 }, (_, i) => 50_000 + i)
/** Below this expiry forgets a crowd: an eighth of all ports. */
const LEAST = ALL.length / 8

const at = serviceNode({
  constants: { masquerade_flags: MasqueradeFlags.MASQUERADE_IPV4 | MasqueradeFlags.MASQUERADE_IPV6 },
  conntrackEntries: 16_384,
  sizes: { translations: 32_768 },
})
beforeEach(() => giveAddresses(at.node, HOST))

/** Makes connections of a pod, one from each of so many ports, live ones that the programs have translated. */
function connect(f: Family, pod: PodFacts, ports: readonly number[], host: Both = HOST): void {
  const [source, host16, destination] = [toMapped16(pod[f]), toMapped16(host[f]), toMapped16(OUTSIDE[f])]
  const fromA = Buffer.compare(host16, destination) < 0
  const value = { packetsA: 1n, packetsB: 1n, bytesA: 60n, bytesB: 60n, created: 1n, expires: FOREVER, end: 0 }
  const flags = CtFlags.CT_TRANSLATED | CtFlags.CT_ESTABLISHED | CtFlags.CT_REPLIED | (fromA ? CtFlags.CT_ORIGIN_A : 0)
  const key = (port: number): CtKey => ({
    a: fromA ? host16 : destination,
    b: fromA ? destination : host16,
    portA: fromA ? port : SERVER_PORT,
    portB: fromA ? SERVER_PORT : port,
    protocol: 6,
  })
  at.node.conntrack.updateBatch(ports.map(port => [key(port), { ...value, flags }] as const))
  using map = at.node.object('pod').map('translations', codec(natKeyLayout, natValueLayout))
  const nat = { protocol: 6, sourcePort: SERVER_PORT, destinationPort: SERVER_PORT }
  const rest = { flags: NatFlags.NAT_EGRESS, created: 1n, backend: 0, ifindex: 0 }
  const back = { source: destination, destination: source, sourcePort: SERVER_PORT }
  map.updateBatch(
    ports.flatMap(port => {
      const out: NatKey = { ...nat, source, destination, sourcePort: port }
      const reply: NatKey = { ...nat, source: destination, destination: host16, destinationPort: port }
      return [
        [out, { ...rest, source: host16, destination, sourcePort: port, destinationPort: SERVER_PORT }],
        [reply, { ...rest, ...back, destinationPort: port, flags: rest.flags | NatFlags.NAT_REPLY }],
      ] as const
    }),
  )
}

/**
 * All ports but those free are taken. What is marked is not looked at, so only those that are asked for are really
 * connections; marks that are missing make the programs look.
 */
function fill(
  f: Family,
  free: readonly number[],
  { host = HOST, owners = 1, ports = ALL.length - free.length, unmarked = [] as readonly number[] } = {},
): void {
  const words = new BigUint64Array(CrowdSize.CROWD_WORDS).fill(2n ** 64n - 1n)
  for (const port of [...free, ...unmarked]) {
    const word = Math.floor((port - FIRST) / 64)
    words[word] = (words[word] ?? 0n) & ~(1n << BigInt(port % 64))
  }
  const value = new Uint8Array(CROWD_SIZE)
  // Which half holds, ports, those found so far, owners.
  new Uint32Array(value.buffer).set([0, ports, 0, owners])
  for (const half of [2, 1]) value.set(new Uint8Array(words.buffer), CROWD_SIZE - half * words.byteLength)
  const key = { source: toMapped16(host[f]), destination: toMapped16(OUTSIDE[f]), destinationPort: SERVER_PORT }
  at.node.crowds.update({ ...key, protocol: 6 }, value)
  const asked = ASKED.filter(port => !free.includes(port))
  connect(f, A, [...asked, ...unmarked], host)
}

/** Opens a connection; the port it goes on from, undefined when it is dropped for want of one. */
function opens(f: Family, pod: PodFacts, port: number, node = at.node): number | undefined {
  const sent = node.send(...away(pod), [
    fromPod(pod),
    ip(f, pod, OUTSIDE),
    tcp({ sport: port, dport: SERVER_PORT, flags: 'S' }),
  ])
  if (sent.verdict === 'redirect') return sourcePort(sent.bytes, f)
  assert.equal(sent.verdict, 'drop')
  return undefined
}

/** The server resets a connection. */
function resets(f: Family, port: number): void {
  const reset = tcp({ sport: SERVER_PORT, dport: port, flags: 'RA' })
  assert.equal(at.node.send(...uplink, [fromRouter, ip(f, OUTSIDE, HOST), reset]).verdict, 'redirect')
}

const ascending = (ports: readonly (number | undefined)[]): number[] => ports.map(Number).sort((x, y) => x - y)

/** Makes connections void that have not ended. */
function forget(which: (port: number) => boolean): void {
  for (const [key, value] of at.node.conntrack.entries())
    if (which(key.portA === SERVER_PORT ? key.portB : key.portA))
      at.node.conntrack.update(key, { ...value, expires: 1n })
}

for (const f of FAMILIES)
  suite(`IPv${f}`, () => {
    test('the last free port is found, wherever it is; then none is, and that is told', () => {
      const free = [FIRST, 29_999, 30_000, 45_678, 60_999, 65_535]
      fill(f, free)
      const found = free.map((_, i) => opens(f, B, ASKED[i] ?? 0))
      assert.deepEqual(ascending(found), free)
      assert.equal(opens(f, B, 50_000), found[0], 'what is sent again is the same flow')
      assert.equal(opens(f, B, 50_010), undefined)
      assert.deepEqual(counts(at.node), ['count DROPPED pod_out NAT_PORTS 1'])
    })

    test('what is taken and not known to be is passed over', () => {
      fill(f, [61_234], { unmarked: Array.from({ length: 500 }, (_, i) => 61_235 + i) })
      assert.equal(opens(f, B, 50_000), 61_234)
      assert.equal(opens(f, B, 50_001), undefined)
    })

    test('a port that is free by itself is kept', () => {
      fill(f, [20_000, 40_000])
      assert.equal(opens(f, B, 40_000), 40_000)
      assert.equal(opens(f, B, 50_000), 20_000)
      assert.equal(opens(f, B, 50_001), undefined)
    })

    test('the next address is taken when one has no port left', () => {
      giveAddresses(at.node, HOST, SECOND)
      fill(f, [])
      fill(f, [61_000], { host: SECOND })
      assert.equal(opens(f, B, 50_000), 61_000)
      assert.equal(opens(f, B, 50_001), undefined)
    })

    test('a connection that ends leaves its port at once', () => {
      fill(f, [])
      assert.equal(opens(f, B, 50_000), undefined)
      resets(f, 50_007)
      assert.equal(opens(f, B, 50_000), 50_007)
      assert.equal(opens(f, B, 50_001), undefined)
    })

    test('of connections that began before it was known how many there are the ends count, and nobody is refused', () => {
      fill(f, [], { ports: 3 })
      for (const port of ASKED) resets(f, port)
      for (const port of ASKED) assert.notEqual(opens(f, B, port), undefined)
    })

    test('a port that a socket of the node has is not the last free one', async () => {
      fill(f, [20_000])
      await using _socket = await hold(at.node, 'tcp', HOST[f], 20_000)
      assert.equal(opens(f, B, 50_000), undefined)
    })

    test('expiry finds out what is taken: what has expired is free, what was not marked is', async () => {
      const taken = ALL.slice(0, LEAST + 10)
      fill(f, [])
      connect(f, A, taken)
      forget(port => port === 5000)
      assert.equal((await at.node.expire()).crowds, 1n)
      const found = [...at.node.shares.entries()].map(([key, { ports }]) => [fromMapped16(key.owner), ports])
      assert.deepEqual(found, [[A[f], LEAST + 10 - 1 + ASKED.length]])
      const given = ASKED.map(port => opens(f, B, port))
      assert.deepEqual(
        given.filter(port => port !== 5000 && taken.includes(port ?? 0)),
        [],
      )
      forget(port => port > 2000)
      await at.node.expire()
      assert.equal((await at.node.expire()).crowds, 0n, 'few are no crowd')
      forget(() => true)
      assert.equal(opens(f, B, 40_013), 40_013)
    })

    test('one pod does not have all ports: the last ones are for those that have few', () => {
      fill(f, [62_000, 62_001, 62_002], { owners: 2 })
      const [source, destination] = [toMapped16(HOST[f]), toMapped16(OUTSIDE[f])]
      const crowd = { source, destination, destinationPort: SERVER_PORT, protocol: 6 }
      const share = (pod: PodFacts, ports: number): void =>
        at.node.shares.update({ crowd, owner: toMapped16(pod[f]) }, { ports, counting: 0 })
      share(A, ALL.length / 2)
      share(B, ALL.length / 2 - 2)
      assert.equal(opens(f, A, 62_000), undefined)
      assert.notEqual(opens(f, B, 50_000), undefined)
      assert.notEqual(opens(f, B, 50_001), undefined)
      assert.equal(opens(f, B, 50_002), undefined, 'now it has its half')
    })

    test('what does not divide evenly is given too', () => {
      const owners = 5
      assert.notEqual(ALL.length % owners, 0)
      fill(f, [62_000], { owners })
      const [source, destination] = [toMapped16(HOST[f]), toMapped16(OUTSIDE[f])]
      const crowd = { source, destination, destinationPort: SERVER_PORT, protocol: 6 }
      const ports = Math.floor(ALL.length / owners)
      at.node.shares.update({ crowd, owner: toMapped16(B[f]) }, { ports, counting: 0 })
      assert.equal(opens(f, B, 50_000), 62_000)
    })

    test('ports come and go by chance: one is found whenever there is one, and no two flows have the same', () => {
      const random = new Random()
      const free = new Set(Array.from({ length: 12 }, () => random.pick(ALL.filter(port => !ASKED.includes(port)))))
      fill(f, [...free])
      const unused = new Set(free)
      const flows = new Map<number, number>()
      let opened = 0
      for (let turn = 0; turn < 600; turn++) {
        if (random.chance(0.45) && flows.size > 0) {
          const [from, given] = random.pick([...flows])
          resets(f, given)
          flows.delete(from)
          free.add(given)
          continue
        }
        const from = random.pick([...unused, ...ASKED])
        const given = opens(f, B, from)
        const told = `turn ${turn}: ${from} got ${given}, free are ${[...free].join(' ')}; ${random.replay}`
        const known = flows.get(from)
        if (known !== undefined) assert.equal(given, known, told)
        else if (unused.has(from)) assert.equal(given, from, told)
        else assert.equal(given !== undefined, free.size > 0, told)
        if (given === undefined || known !== undefined) continue
        assert.ok(free.delete(given), told)
        unused.delete(given)
        flows.set(from, given)
        opened++
      }
      assert.ok(opened > 100, `${opened}`)
    })
  })

test('where flows that keep their ports have most of them, that is seen', () => {
  // What is given by chance is 1024 to 2047, for the rest is reserved.
  const constants = { masquerade_flags: MasqueradeFlags.MASQUERADE_IPV4 }
  using node = new TestNode({ constants: { ...constants, reserved_ports_first: 2048, reserved_ports_last: 65_535 } })
  giveAddresses(node, HOST)
  for (let port = FIRST; port < FIRST + 100; port++) assert.equal(opens(4, A, port, node), port)
  assert.equal([...node.crowds.entries()].length, 0, 'a tenth')
  for (let port = FIRST + 100; port < 2048; port++) assert.equal(opens(4, A, port, node), port)
  for (let port = 10_000; port < 12_000; port++) assert.equal(opens(4, A, port, node), port)
  assert.equal([...node.crowds.entries()].length, 1)
})
