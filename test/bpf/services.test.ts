/** Services for packets of pods: how they go on, what comes back, and what is refused. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { serviceKeyLayout, serviceValueLayout } from '../../daemon/datapath/shared.gen.ts'
import { codec, u32, u64 } from '../../daemon/kernel/bpf/layout.ts'
import { ipv4, type Layer, packet, payload, PROTOCOL } from '../support/packet.ts'
import { packetText } from '../support/packet-text.ts'
import { icmp, icmpv6, sctp, tcp, udp } from '../support/packet-transport.ts'
import { effects, flows } from './effects.ts'
import { TestNode, type Verdict } from './node.ts'
import { BACKEND_PORT, clearServices, makeService, removeBackend, SERVICE_PORT, translations } from './service-maps.ts'
import { assertUnreserved, serviceNode, sourcePort } from './service-node.ts'
import { A, B, type Both, FAMILIES, type Family, fromPod, fromRouter, HOST, ip, NATIVE, toPod } from './world.ts'

const VIP: Both = { 4: '10.96.0.1', 6: 'fd00:96::1' }
const OTHER_VIP: Both = { 4: '10.96.0.2', 6: 'fd00:96::2' }
const CLIENT_PORT = 1024

const at = serviceNode()
const { passes, make } = at

const serve = (address: string, protocol: 'tcp' | 'udp', ...backends: readonly string[]): number[] =>
  make({ address, protocol, backends })

interface Ports {
  readonly sport: number
  readonly dport: number
}
type Kind = (ports: Ports) => Layer
const KINDS: Readonly<Record<'tcp' | 'udp', Kind>> = { tcp: ports => tcp({ ...ports, flags: 'S' }), udp }
const answerOf = (protocol: 'tcp' | 'udp'): Kind => (protocol === 'tcp' ? ports => tcp({ ...ports, flags: 'SA' }) : udp)

/**
 * Opens the client's flow to a service; the port it goes on from. TCP never keeps its own: a connection past the service to
 * the same backend may have that.
 */
function opened(f: Family, protocol: 'tcp' | 'udp', vip: Both = VIP): number {
  const { verdict, bytes } = at.node.send('pod_out', 'a', [fromPod(A), ip(f, A, vip), requestOf(KINDS[protocol])])
  assert.notEqual(verdict, 'drop')
  const port = sourcePort(bytes, f)
  if (protocol === 'tcp') {
    assertUnreserved(port)
    assert.notEqual(port, CLIENT_PORT)
  }
  return port
}

const requestOf = (kind: Kind): Layer => kind({ sport: CLIENT_PORT, dport: SERVICE_PORT })
const end = (f: Family, address: string, port: number): string =>
  f === 4 ? `${address}:${port}` : `[${address}]:${port}`

for (const f of FAMILIES)
  for (const protocol of ['tcp', 'udp'] as const)
    suite(`IPv${f}, ${protocol}, from a pod to a service`, () => {
      const kind = KINDS[protocol]
      const answer = answerOf(protocol)

      test('of a pod of the node: it is given the backend, which answers as the service', () => {
        serve(VIP[f], protocol, B[f])
        const port = opened(f, protocol)
        passes(['pod_out', 'a'], [fromPod(A), ip(f, A, VIP), requestOf(kind), payload(9)], 'redirect', [
          toPod(B),
          ip(f, A, B, 63),
          kind({ sport: port, dport: BACKEND_PORT }),
          payload(9),
        ])
        passes(
          ['pod_out', 'b'],
          [fromPod(B), ip(f, B, A), answer({ sport: BACKEND_PORT, dport: port }), payload(7)],
          'redirect',
          [toPod(A), ip(f, VIP, A, 63), answer({ sport: SERVICE_PORT, dport: CLIENT_PORT }), payload(7)],
        )
        const established = protocol === 'tcp' ? '' : 'ESTABLISHED '
        assert.deepEqual(flows(at.node), [
          `flow ${protocol} ${end(f, A[f], port)} > ${end(f, B[f], BACKEND_PORT)} ${established}REPLIED TRANSLATED 2/1`,
        ])
      })

      test('of a pod elsewhere: it goes there, and what comes back is from the service', () => {
        serve(VIP[f], protocol, NATIVE[f])
        const port = opened(f, protocol)
        passes(
          ['uplink_in', 'uplink'],
          [fromRouter, ip(f, NATIVE, A), answer({ sport: BACKEND_PORT, dport: port })],
          'redirect',
          [toPod(A), ip(f, VIP, A, 63), answer({ sport: SERVICE_PORT, dport: CLIENT_PORT })],
        )
      })

      test('of the node: its stack gets it for itself, and its answer is from the service', () => {
        serve(VIP[f], protocol, HOST[f])
        const port = opened(f, protocol)
        passes(['pod_out', 'a'], [fromPod(A), ip(f, A, VIP), requestOf(kind)], 'stack', [
          fromPod(A),
          ip(f, A, HOST),
          kind({ sport: port, dport: BACKEND_PORT }),
        ])
        passes(['pod_in', 'a'], [toPod(A), ip(f, HOST, A), answer({ sport: BACKEND_PORT, dport: port })], 'stack', [
          toPod(A),
          ip(f, VIP, A),
          answer({ sport: SERVICE_PORT, dport: CLIENT_PORT }),
        ])
      })

      test('of its own: it sees the service as the client, and itself as served by it', () => {
        serve(VIP[f], protocol, A[f])
        passes(['pod_out', 'a'], [fromPod(A), ip(f, A, VIP), requestOf(kind)], 'redirect', [
          toPod(A),
          ip(f, VIP, A, 63),
          kind({ sport: CLIENT_PORT, dport: BACKEND_PORT }),
        ])
        passes(
          ['pod_out', 'a'],
          [fromPod(A), ip(f, A, VIP), answer({ sport: BACKEND_PORT, dport: CLIENT_PORT })],
          'redirect',
          [toPod(A), ip(f, VIP, A, 63), answer({ sport: SERVICE_PORT, dport: CLIENT_PORT })],
        )
      })

      test('that nobody serves: dropped with that reason, and the pod is told so in the service’s name', () => {
        serve(VIP[f], protocol)
        const sent = [fromPod(A), ip(f, A, VIP), requestOf(kind), payload(40)]
        const refused = { sport: SERVICE_PORT, dport: CLIENT_PORT, flags: 'RA', seq: 0, ack: 1 + 1 + 40 }
        const answers = { tcp: [toPod(A), ip(f, VIP, A), tcp(refused), payload(40)], udp: unreachable(f, sent) }
        passes(['pod_out', 'a'], sent, 'redirect', answers[protocol])
        assert.deepEqual(effects(at.node), [
          'count DROPPED pod_out NO_BACKEND 1',
          `event drop pod_out NO_BACKEND ${protocol} ${end(f, A[f], CLIENT_PORT)} > ${end(f, VIP[f], SERVICE_PORT)}`,
        ])
      })

      test('at a port that it has not: dropped with that reason, never sent on', () => {
        serve(VIP[f], protocol, B[f])
        const { verdict } = at.node.send('pod_out', 'a', [fromPod(A), ip(f, A, VIP), kind({ sport: 1, dport: 81 })])
        assert.deepEqual(
          [verdict, ...effects(at.node)],
          [
            'drop',
            'count DROPPED pod_out SERVICE_PORT 1',
            `event drop pod_out SERVICE_PORT ${protocol} ${end(f, A[f], 1)} > ${end(f, VIP[f], 81)}`,
          ],
        )
      })

      test('and by another service to the same backend from the same port: both go on, told apart by their ports', () => {
        serve(VIP[f], protocol, B[f])
        serve(OTHER_VIP[f], protocol, B[f])
        const ports = [VIP, OTHER_VIP].map(vip => [vip, opened(f, protocol, vip)] as const)
        assert.notEqual(ports[0]?.[1], ports[1]?.[1])
        for (const [vip, dport] of ports)
          passes(['pod_out', 'b'], [fromPod(B), ip(f, B, A), answer({ sport: BACKEND_PORT, dport })], 'redirect', [
            toPod(A),
            ip(f, vip, A, 63),
            answer({ sport: SERVICE_PORT, dport: CLIENT_PORT }),
          ])
      })

      test('and past it to the same backend from the port that it goes on from: both go on, told apart by their ports', () => {
        serve(VIP[f], protocol, B[f])
        const taken = opened(f, protocol)
        const direct = [fromPod(A), ip(f, A, B), kind({ sport: taken, dport: BACKEND_PORT })]
        const sport = sourcePort(at.node.send('pod_out', 'a', direct).bytes, f)
        assert.notEqual(sport, taken)
        assert.equal(sourcePort(at.node.send('pod_out', 'a', direct).bytes, f), sport)
        passes(['pod_out', 'b'], [fromPod(B), ip(f, B, A), answer({ sport: BACKEND_PORT, dport: sport })], 'redirect', [
          toPod(A),
          ip(f, B, A, 63),
          answer({ sport: BACKEND_PORT, dport: taken }),
        ])
      })
    })

for (const f of FAMILIES)
  suite(`IPv${f}, a flow to a service`, () => {
    /** The port that the last packet to the service went on from. */
    let onward = 0
    const chosen = (flags?: string): string => {
      const ports = { sport: CLIENT_PORT, dport: SERVICE_PORT }
      const layer = flags === undefined ? udp(ports) : tcp({ ...ports, flags })
      const { verdict, bytes } = at.node.send('pod_out', 'a', [fromPod(A), ip(f, A, VIP), layer])
      onward = sourcePort(bytes, f)
      return verdict === 'redirect' ? packetText(bytes) : verdict
    }
    /** From the backend, back to the client. */
    const reply = (flags: string): Verdict =>
      at.node.send('pod_out', 'b', [fromPod(B), ip(f, B, A), tcp({ sport: BACKEND_PORT, dport: onward, flags })])
        .verdict
    const to = (backend: Both): RegExp => new RegExp(`${backend[f].replaceAll('.', '\\.')}\\b`)

    test('of TCP stays with its backend when that takes no new ones', () => {
      const [id = 0] = serve(VIP[f], 'tcp', B[f])
      assert.match(chosen('S'), to(B))
      assert.equal(reply('SA'), 'redirect')
      serve(VIP[f], 'tcp', NATIVE[f])
      removeBackend(at.node.object('pod'), id)
      assert.match(chosen('A'), to(B))
      assert.match(chosen('S'), to(B)) // sent again
    })

    test('of TCP from the same port after the one before has ended is given a backend anew', () => {
      serve(VIP[f], 'tcp', B[f])
      assert.match(chosen('S'), to(B))
      reply('SA')
      chosen('FA')
      reply('FA')
      serve(VIP[f], 'tcp', NATIVE[f])
      assert.match(chosen('A'), to(B))
      assert.match(chosen('S'), to(NATIVE))
    })

    test('of UDP is given another backend once its own is gone', () => {
      const [id = 0] = serve(VIP[f], 'udp', B[f])
      assert.match(chosen(), to(B))
      serve(VIP[f], 'udp', NATIVE[f])
      assert.match(chosen(), to(B))
      removeBackend(at.node.object('pod'), id)
      assert.match(chosen(), to(NATIVE))
    })

    const directly = (sport: number, flags: string): number => {
      const layers = [fromPod(A), ip(f, A, B), tcp({ sport, dport: BACKEND_PORT, flags })]
      return sourcePort(at.node.send('pod_out', 'a', layers).bytes, f)
    }

    test('leaves its port to no flow past it that the backend would take for the one before', () => {
      serve(VIP[f], 'tcp', B[f])
      chosen('S')
      const taken = onward
      reply('RA')
      assert.notEqual(directly(taken, 'S'), taken)
    })

    test('is given no port that a flow past it has had a moment ago', () => {
      serve(VIP[f], 'tcp', B[f])
      chosen('S')
      const first = onward
      clearServices(at.node.object('pod'))
      at.node.reset()
      serve(VIP[f], 'tcp', B[f])
      directly(first, 'S')
      at.node.send('pod_out', 'b', [fromPod(B), ip(f, B, A), tcp({ sport: BACKEND_PORT, dport: first, flags: 'RA' })])
      chosen('S')
      assert.notEqual(onward, first)
    })

    test('leaves its port to others once conntrack knows nothing of it, who then are nobody’s but their own', () => {
      serve(VIP[f], 'tcp', B[f])
      chosen('S')
      const taken = onward
      for (const [key, value] of at.node.conntrack.entries()) at.node.conntrack.update(key, { ...value, expires: 0n })
      assert.deepEqual(
        ['S', 'A', 'PA', 'FA'].map(flags => directly(taken, flags)),
        Array(4).fill(taken),
      )
      const back = tcp({ sport: BACKEND_PORT, dport: taken, flags: 'SA' })
      passes(['pod_out', 'b'], [fromPod(B), ip(f, B, A), back], 'redirect', [toPod(A), ip(f, B, A, 63), back])
      assert.deepEqual(translations(at.node.object('pod')), [])
    })

    test('has two translations, one each way', () => {
      serve(VIP[f], 'tcp', B[f])
      chosen('S')
      const [client, vip] = [end(f, A[f], CLIENT_PORT), end(f, VIP[f], SERVICE_PORT)]
      const [onwards, backend] = [end(f, A[f], onward), end(f, B[f], BACKEND_PORT)]
      assert.deepEqual(
        translations(at.node.object('pod')),
        [`${client} > ${vip} → ${onwards} > ${backend}`, `${backend} > ${onwards} < ${vip} > ${client}`].sort(),
      )
    })
  })

for (const f of FAMILIES)
  suite(`IPv${f}, an echo request to a service's address`, () => {
    const echo = (request: boolean): Layer =>
      f === 4
        ? icmp({ type: request ? 8 : 0, id: 7, sequence: 3 })
        : icmpv6({ type: request ? 128 : 129, id: 7, sequence: 3 })
    test('is answered by the node', () => {
      serve(VIP[f], 'tcp', B[f])
      const sent = [fromPod(A), ip(f, A, VIP), echo(true), payload(30)]
      passes(['pod_out', 'a'], sent, 'redirect', [toPod(A), ip(f, VIP, A), echo(false), payload(30)])
      assert.deepEqual(flows(at.node), [])
    })
    test('is sent on where the address is nobody’s service', () => {
      const sent = [fromPod(A), ip(f, A, NATIVE), echo(true), payload(30)]
      passes(['pod_out', 'a'], sent, 'redirect', [fromPod(A), ip(f, A, NATIVE, 63), echo(true), payload(30)])
    })
  })

for (const f of FAMILIES)
  for (const [what, summed] of [
    ['with its checksum', true],
    ['whose checksum a device is to finish', false],
  ] as const)
    test(`IPv${f}: SCTP ${what} is sent on to another port, and its answers back`, () => {
      make({ address: VIP[f], protocol: 'sctp', backends: [B[f]] })
      for (const length of [0, 1, 4, 100, 1452]) {
        const content = payload(length)
        const header = (sport: number, dport: number): Layer => sctp({ sport, dport, summed })
        passes(['pod_out', 'a'], [fromPod(A), ip(f, A, VIP), header(1024, SERVICE_PORT), content], 'redirect', [
          toPod(B),
          ip(f, A, B, 63),
          header(1024, BACKEND_PORT),
          content,
        ])
        passes(['pod_out', 'b'], [fromPod(B), ip(f, B, A), header(BACKEND_PORT, 1024), content], 'redirect', [
          toPod(A),
          ip(f, VIP, A, 63),
          header(SERVICE_PORT, 1024),
          content,
        ])
      }
    })

test('a fragment of SCTP goes on where the port stays the same, and is dropped with that reason where not', () => {
  const fragment = (dport: number): Layer[] => [
    fromPod(A),
    ipv4({ src: A[4], dst: VIP[4], id: 7, more: true, protocol: PROTOCOL.sctp }),
    sctp({ sport: 1024, dport, summed: true }),
    payload(16),
  ]
  for (const port of [BACKEND_PORT, SERVICE_PORT]) make({ address: VIP[4], port, protocol: 'sctp', backends: [B[4]] })
  assert.equal(at.node.send('pod_out', 'a', fragment(BACKEND_PORT)).verdict, 'redirect')
  assert.equal(at.node.send('pod_out', 'a', fragment(SERVICE_PORT)).verdict, 'drop')
  assert.ok(effects(at.node).includes('count DROPPED pod_out NAT_PROTOCOL 1'))
})

test('of many clients that nobody serves some are told, as many as are allowed', () => {
  using strict = new TestNode({ constants: { answers_per_second: 1, answers_burst: 3 } })
  makeService(strict.object('pod'), { address: VIP[4], protocol: 'udp', backends: [] })
  const verdicts = Array.from({ length: 5 }, () => {
    return strict.send('pod_out', 'a', [fromPod(A), ip(4, A, VIP), udp({ sport: 1, dport: SERVICE_PORT })]).verdict
  })
  assert.deepEqual(verdicts, ['redirect', 'redirect', 'redirect', 'drop', 'drop'])
})

for (const f of FAMILIES)
  test(`a segment in mid-stream, options and all, to a service that nobody serves over IPv${f} is reset where it stands`, () => {
    serve(VIP[f], 'tcp')
    const ends = { sport: SERVICE_PORT, dport: CLIENT_PORT, headerLength: 32 }
    const sent = tcp({ sport: CLIENT_PORT, dport: SERVICE_PORT, seq: 7000, ack: 9000, headerLength: 32 })
    passes(['pod_out', 'a'], [fromPod(A), ip(f, A, VIP), sent, payload(10)], 'redirect', [
      toPod(A),
      ip(f, VIP, A),
      tcp({ ...ends, flags: 'R', seq: 9000, ack: 0 }),
      payload(10),
    ])
  })

test('a reset to a service that nobody serves is answered with nothing', () => {
  serve(VIP[4], 'tcp')
  const sent = [fromPod(A), ip(4, A, VIP), tcp({ sport: 1, dport: SERVICE_PORT, flags: 'R' })]
  passes(['pod_out', 'a'], sent, 'drop', sent)
})

/** The answer to a datagram of pod A to the service: port unreachable, with as much of it as tells the flow. */
function unreachable(f: Family, sent: readonly Layer[]): readonly Layer[] {
  const quoted = packet(...sent).subarray(14, 14 + (f === 4 ? 20 : 40) + 8)
  const message = f === 4 ? icmp({ type: 3, code: 3 }) : icmpv6({ type: 1, code: 4 })
  const header = f === 4 ? ipv4({ src: VIP[4], dst: A[4], ttl: 64, id: 0 }) : ip(6, VIP, A)
  return [toPod(A), header, message, payload(quoted)]
}

test('new flows are counted by service, packets of flows are not', () => {
  serve(VIP[4], 'tcp', B[4])
  using services = at.node.object('pod').map('services', codec(serviceKeyLayout, serviceValueLayout))
  using hits = at.node.object('pod').map('service_hits', codec(u32, u64))
  const [id] = [...services.entries()].map(([, value]) => value.id).filter(each => each > 0)
  assert.ok(id)
  const ask = (sport: number, flags: string): void =>
    void at.node.send('pod_out', 'a', [fromPod(A), ip(4, A, VIP), tcp({ sport, dport: SERVICE_PORT, flags })])
  for (const sport of [1, 2, 3]) ask(sport, 'S')
  ask(3, 'A')
  assert.equal(hits.lookup(id), 3n)
})
