/**
 * Ports of connections that are over: their server may remember them (TIME-WAIT), and must take whoever comes next with one
 * of them for somebody new. There is one port here that can be given.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Layer, packet } from '../support/packet.ts'
import { tcp } from '../support/packet-transport.ts'
import { effects } from './effects.ts'
import { BACKEND_PORT, clearTranslations, SERVICE_PORT } from './service-maps.ts'
import { serviceNode, sourcePort } from './service-node.ts'
import { lifetime } from './steps.ts'
import { A, B, type Both, FAMILIES, type Family, fromPod, ip, toPod } from './world.ts'

const VIPS: readonly Both[] = [
  { 4: '10.96.0.1', 6: 'fd00:96::1' },
  { 4: '10.96.0.2', 6: 'fd00:96::2' },
]
const ONLY_PORT = 1024
const CLIENT_PORT = 2048
/** Of all that the first connection's client sends. */
const END = 5000

const at = serviceNode({ constants: { reserved_ports_first: ONLY_PORT + 1, reserved_ports_last: 65_535 } })

/** MSS, SACK, timestamps and window scale, as Linux has them. */
const OPTIONS = Uint8Array.of(2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7)
/** The same without timestamps. */
const STRIPPED = Uint8Array.of(2, 4, 5, 180, 4, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 7)

/** Flows and what they go on as. */
function forgetAll(): void {
  at.node.reset()
  clearTranslations(at.node.object('pod'))
}

function serve(f: Family): void {
  for (const vip of VIPS) at.make({ address: vip[f], protocol: 'tcp', backends: [B[f]] })
}

interface Segment {
  readonly flags: string
  readonly seq?: number
  readonly options?: Uint8Array
}
const asked = (f: Family, vip: number, { flags, seq = END - 1, options }: Segment): Layer[] => {
  const header = tcp({ sport: CLIENT_PORT + vip, dport: SERVICE_PORT, flags, seq, ...(options && { options }) })
  return [fromPod(A), ip(f, A, VIPS[vip] ?? A), header]
}
const ask = (f: Family, vip: number, segment: Segment) => at.node.send('pod_out', 'a', asked(f, vip, segment))
function answer(f: Family, flags: string): void {
  const header = tcp({ sport: BACKEND_PORT, dport: ONLY_PORT, flags })
  assert.equal(at.node.send('pod_out', 'b', [fromPod(B), ip(f, B, A), header]).verdict, 'redirect')
}

/** A connection to the first service that is over. */
function open(f: Family, ...closing: readonly ('client' | 'server' | 'reset')[]): void {
  serve(f)
  assert.equal(sourcePort(ask(f, 0, { flags: 'S', seq: 1 }).bytes, f), ONLY_PORT)
  answer(f, 'SA')
  ask(f, 0, { flags: 'A' })
  for (const who of closing) {
    if (who === 'server') answer(f, 'FA')
    else ask(f, 0, { flags: who === 'client' ? 'FA' : 'RA' })
  }
}

/** What the second service's connection goes on as, by its first segment; undefined when it is dropped for want of a port. */
function second(f: Family, seq: number): Uint8Array | undefined {
  const { verdict, bytes } = ask(f, 1, { flags: 'S', seq, options: OPTIONS })
  if (verdict === 'redirect') return bytes
  assert.ok(effects(at.node).includes('count DROPPED pod_out NAT_PORTS 1'))
  return undefined
}

function assertComes(bytes: Uint8Array | undefined, f: Family, seq: number, options: Uint8Array): void {
  assert.ok(bytes)
  const header = tcp({ sport: ONLY_PORT, dport: BACKEND_PORT, flags: 'S', seq, options })
  assert.deepEqual(hexOf(bytes), hexOf(packet(toPod(B), ip(f, A, B, 63), header)))
}
const hexOf = (bytes: Uint8Array): string[] =>
  Buffer.from(bytes)
    .toString('hex')
    .match(/.{1,8}/g) ?? []

for (const f of FAMILIES) {
  test(`IPv${f}: a connection that goes on keeps its port from others`, () => {
    open(f)
    assert.equal(second(f, END + 1), undefined)
    forgetAll()
    open(f, 'server')
    assert.equal(second(f, END + 1), undefined)
  })

  test(`IPv${f}: one that its client has closed first, or reset, leaves it at once`, () => {
    for (const closing of [['client', 'server'], ['reset'], ['server', 'reset']] as const) {
      forgetAll()
      open(f, ...closing)
      assertComes(second(f, 1), f, 1, OPTIONS)
    }
  })

  test(`IPv${f}: one that its server remembers leaves it to whom the server takes for new, without timestamps`, () => {
    const began = process.hrtime.bigint()
    open(f, 'server', 'client')
    const [[, flow] = []] = [...at.node.conntrack.entries()]
    assert.ok(flow)
    assert.equal(lifetime(flow, began), '60 s')
    assert.equal(flow.end, END)
    assert.equal(second(f, END), undefined)
    assertComes(second(f, END + 1), f, END + 1, STRIPPED)
  })

  test(`IPv${f}: the same client's next one to the same service goes as it came`, () => {
    open(f, 'server', 'client')
    const { bytes } = ask(f, 0, { flags: 'S', seq: 1, options: OPTIONS })
    assertComes(bytes, f, 1, OPTIONS)
  })
}

test('timestamps are found among whatever options there are, and what is broken stays as it is', () => {
  const timestamps = [8, 10, 1, 2, 3, 4, 5, 6, 7, 8]
  const nothing = Array<number>(10).fill(1)
  const cases: readonly (readonly [readonly number[], readonly number[]])[] = [
    [timestamps, nothing],
    [
      [1, 1, 1, ...timestamps],
      [1, 1, 1, ...nothing],
    ],
    [
      [...Array<number>(30).fill(1), ...timestamps],
      [...Array<number>(30).fill(1), ...nothing],
    ],
    [
      [0, ...timestamps],
      [0, ...timestamps],
    ],
    [
      [3, 0, ...timestamps],
      [3, 0, ...timestamps],
    ],
    [
      [3, 99, ...timestamps],
      [3, 99, ...timestamps],
    ],
    [[], []],
  ]
  for (const [sent, got] of cases) {
    forgetAll()
    open(4, 'server', 'client')
    const { bytes } = ask(4, 1, { flags: 'S', seq: END + 1, options: Uint8Array.from(sent) })
    assertComes(bytes, 4, END + 1, Uint8Array.from(got))
  }
})
