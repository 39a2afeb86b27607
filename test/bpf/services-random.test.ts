/**
 * Random services, written as the daemon writes them, and packets of random clients: what the programs do with each is
 * what kube-proxy does.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServiceTarget } from '../../daemon/datapath/service-target.ts'
import { textOf } from '../../daemon/kernel/ip.ts'
import { frontendsOf } from '../../daemon/service/frontends.ts'
import { createTables } from '../../daemon/state/tables.ts'
import { type Asked, kubeProxy, type ModelNode, type Outcome } from '../support/kube-proxy-model.ts'
import { type Layer, packet, payload } from '../support/packet.ts'
import { packetText } from '../support/packet-text.ts'
import { sctp, tcp, udp } from '../support/packet-transport.ts'
import { Random } from '../support/random.ts'
import { allAsked, type ServiceWorld, someService, someSlices } from '../support/random-services.ts'
import { PLAIN_BALANCING } from '../support/service-row.ts'
import { effects } from './effects.ts'
import { compilePrograms, TestNode } from './node.ts'
import { clearTranslations, serviceMaps } from './service-maps.ts'
import { sourcePort } from './service-node.ts'
import { back, type Client, onward, type Step } from './service-ways.ts'
import { A, B, type Both, type Family, fromPod, fromRouter, HOST, ip, NATIVE, OUTSIDE, OVERLAID } from './world.ts'

const ROUNDS = 60
const ASKED = 16
/** Of those asked, so many that a service answers, where there are as many. */
const SERVED = 12
/** Now and then the daemon is another one, that knows only what is in the maps. */
const RESTARTS = 0.1
const AFFINITIES = 0.3

const CLIENTS: readonly Both[] = [OUTSIDE, { 4: '198.51.100.10', 6: '2001:db8::a' }]
const BACKENDS: readonly (readonly [Both, string])[] = [
  [A, 'n1'],
  [B, 'n1'],
  [HOST, 'n1'],
  [NATIVE, 'n2'],
  [OVERLAID, 'n3'],
]
const WORLD: ServiceWorld = {
  cluster: ['10.96.0.1', 'fd00:96::1'],
  external: ['203.0.113.1', '2001:db8:1::1'],
  balancer: ['203.0.113.2', '2001:db8:2::1'],
  node: [HOST[4], HOST[6]],
  endpoints: Object.fromEntries(
    BACKENDS.flatMap(([at, node]) => [
      [at[4], node],
      [at[6], node],
    ]),
  ),
  nodes: ['n1', 'n2', 'n3'],
  zones: ['west', 'east'],
  clients: CLIENTS.flatMap(client => [client[4], client[6]]),
}
const ALL_ASKED = allAsked(WORLD)

const transport = { TCP: tcp, UDP: udp, SCTP: (ports: Ports) => sctp({ ...ports, summed: true }) } as const
interface Ports {
  readonly sport: number
  readonly dport: number
  readonly flags?: string
}

/** A node whose services are those of the last round. */
class Served implements Disposable {
  readonly node = new TestNode({ constants: { answers_per_second: 1_000_000, answers_burst: 1_000_000 } })
  readonly #stack = new DisposableStack()
  readonly #maps = serviceMaps(this.node.object('pod'), this.#stack)
  readonly #frontends = createTables().frontends
  #target = this.#newTarget()
  #port = 1024

  /** Makes this service, and no other, what the node serves. */
  serve(random: Random, ...made: Parameters<typeof frontendsOf>): void {
    const rows = frontendsOf(...made)
    const gone = [...this.#frontends.values()].filter(row => !rows.some(({ key }) => key === row.key))
    for (const row of gone) this.#frontends.delete(row.key)
    for (const row of rows) this.#frontends.put(row)
    const restarts = random.chance(RESTARTS)
    if (restarts) this.#target = this.#newTarget()
    void this.#target.updateBatch(rows)
    if (restarts) this.#target.prune(this.#frontends)
    else this.#target.deleteBatch(gone)
  }

  /** Forgets flows, whose packets would go where they went. */
  forget(): void {
    this.node.reset()
    clearTranslations(this.node.object('pod'))
    this.#port = 1024
  }

  /** A port of the client that nobody has had yet. */
  nextPort(): number {
    return this.#port++
  }

  [Symbol.dispose](): void {
    this.#stack.dispose()
    this.node[Symbol.dispose]()
  }

  #newTarget(): ServiceTarget {
    return new ServiceTarget({ maps: () => this.#maps, seed: '' })
  }
}

/** What a packet's fate is, and of a backend which: checked to the last byte, there and back. */
function fate(at: Served, asked: Asked): string {
  const f: Family = asked.address.includes(':') ? 6 : 4
  const at4or6 = asked.from === 'inside' ? A : CLIENTS.find(client => client[f] === asked.client)
  assert.ok(at4or6)
  const client: Client = { at: at4or6, from: asked.from }
  const service: Both = { 4: asked.address, 6: asked.address }
  const clientPort = at.nextPort()
  const kind = transport[asked.protocol]
  const [program, on] = asked.from === 'inside' ? (['pod_out', 'a'] as const) : (['uplink_in', 'uplink'] as const)
  const frame = asked.from === 'inside' ? fromPod(A) : fromRouter
  const request = kind({ sport: clientPort, dport: asked.port, flags: 'S' })
  const sent = packet(frame, ip(f, client.at, service), request, payload(8))
  at.node.reset()
  const { verdict, bytes } = at.node.send(program, on, sent)
  const dropped = effects(at.node).find(line => line.startsWith('count DROPPED'))
  if (dropped !== undefined) return `${dropped.split(' ')[3]} ${verdict}`
  const [destination, dport] = destinationOf(bytes, f)
  if (destination === asked.address && dport === asked.port) return 'untouched'
  const backend = BACKENDS.map(([each]) => each).find(each => each[f] === destination)
  assert.ok(backend, `sent to ${destination}`)
  const sport = sourcePort(bytes, f)
  const there = onward(f, client, service, backend)
  assertPacket([verdict, bytes], there, [kind({ sport, dport, flags: 'S' }), payload(8)])
  const here = back(f, client, service, backend)
  const answer = (ports: Ports): Layer[] => [kind({ ...ports, flags: 'SA' }), payload(5)]
  // A pod that is its own backend answers the service.
  const [first, device, prelude] = here.way
  const answered = at.node.send(first, device, [...here.sent, ...answer({ sport: dport, dport: sport })], prelude)
  assertPacket([answered.verdict, answered.bytes], here, answer({ sport: asked.port, dport: clientPort }))
  return `${destination} ${dport}`
}

function assertPacket([verdict, bytes]: readonly [string, Uint8Array], step: Step, transport: readonly Layer[]): void {
  assert.equal(packetText(bytes), packetText(packet(...step.comes, ...transport)))
  assert.equal(verdict, step.verdict)
}

/** Of a frame without options and extension headers. */
function destinationOf(frame: Uint8Array, f: Family): [string, number] {
  const view = new DataView(frame.buffer, frame.byteOffset)
  return f === 4
    ? [textOf(frame.subarray(30, 34)), view.getUint16(36)]
    : [textOf(frame.subarray(38, 54)), view.getUint16(56)]
}

/** Whether a packet's fate is what is to become of it. */
function isMeant(found: string, want: Outcome, owned: boolean): boolean {
  if (want === undefined) return found === (owned ? 'SERVICE_PORT drop' : 'untouched')
  if (want === 'reject') return found === 'NO_BACKEND redirect'
  return want === 'drop' ? /^(NO_BACKEND|SOURCE_RANGE) drop$/.test(found) : want.includes(found)
}

test(`packets to ${ROUNDS} random services, one after the other on one node, fare as with kube-proxy`, async () => {
  await compilePrograms()
  const random = new Random()
  using at = new Served()
  const met = new Set<string>()
  for (let round = 0; round < ROUNDS; round++) {
    const affinitySeconds = random.chance(AFFINITIES) ? 10_800 : 0
    const algorithm = random.pick(['maglev', 'random', 'least'] as const)
    const service = { ...someService(random, WORLD), algorithm, affinitySeconds }
    const slices = someSlices(random, WORLD)
    const node: ModelNode = { name: 'n1', zone: random.pick(['', ...WORLD.zones]), addresses: WORLD.node }
    at.serve(random, service, slices, node, PLAIN_BALANCING)
    at.forget()
    const wanted = new Map(ALL_ASKED.map(asked => [asked, kubeProxy(service, slices, node, asked)]))
    for (const asked of chosen(random, wanted)) {
      const want = wanted.get(asked)
      met.add(typeof want === 'object' ? 'backends' : `${want}`)
      const fates = [0, 1].map(() => fate(at, asked))
      const facts = (): string => {
        const inputs = JSON.stringify({ asked, want, service, slices, node }, undefined, 1)
        return `${random.replay}, round ${round}: ${fates.join(', ')} of ${inputs}`
      }
      const owned = !WORLD.node.includes(asked.address) && isOwned(asked, wanted)
      if (!fates.every(found => isMeant(found, want, owned))) assert.fail(facts())
      if (affinitySeconds > 0 && new Set(fates).size > 1) assert.fail(`affinity: ${facts()}`)
    }
  }
  // Without each of them the comparison would say little.
  assert.deepEqual([...met].sort(), ['backends', 'drop', 'reject', 'undefined'])
})

/** Whether a service is at the address at all, for such a client. */
function isOwned(asked: Asked, wanted: ReadonlyMap<Asked, Outcome>): boolean {
  return [...wanted].some(
    ([other, want]) => want !== undefined && other.address === asked.address && other.from === asked.from,
  )
}

function chosen(random: Random, wanted: ReadonlyMap<Asked, Outcome>): Asked[] {
  const served = ALL_ASKED.filter(asked => wanted.get(asked) !== undefined)
  const some = (count: number, all: readonly Asked[]) => Array.from({ length: count }, () => random.pick(all))
  return [...(served.length > 0 ? some(SERVED, served) : []), ...some(ASKED - SERVED, ALL_ASKED)]
}
