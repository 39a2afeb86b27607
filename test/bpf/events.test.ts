/** Events and their limits, and the expiry of flows. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { codec, perCpu, u32 } from '../../daemon/kernel/bpf/layout.ts'
import { possibleCpus } from '../../daemon/kernel/bpf/map-info.ts'
import { eventBudgetLayout, FlowMoment, Hook } from '../../daemon/datapath/shared.gen.ts'
import { Departed } from '../../daemon/datapath/departed.ts'
import { fromMapped16 } from '../../daemon/kernel/ip.ts'
import { ipv4, payload } from '../support/packet.ts'
import { tcp, udp } from '../support/packet-transport.ts'
import { counts, eventText, flows } from './effects.ts'
import { compilePrograms, TestNode, type Verdict } from './node.ts'
import { A, B, fromPod, ip } from './world.ts'

before(compilePrograms)

const A_B = `${A[4]}:1024 > ${B[4]}:80`

/** A handshake, data and the end of a connection of A's to B. */
function connection(node: TestNode): void {
  const ports = { sport: 1024, dport: 80 }
  const back = { sport: 80, dport: 1024 }
  const send = (by: 'a' | 'b', flags: string): void => {
    const [src, dst] = by === 'a' ? [A, B] : [B, A]
    node.send('pod_out', by, [fromPod(src), ip(4, src, dst), tcp({ ...(by === 'a' ? ports : back), flags })])
  }
  for (const [by, flags] of [
    ['a', 'S'],
    ['b', 'SA'],
    ['a', 'A'],
    ['a', 'PA'],
    ['a', 'FA'],
    ['b', 'FA'],
    ['a', 'A'],
  ] as const)
    send(by, flags)
}

function spoof(node: TestNode): Verdict {
  return node.send('pod_out', 'a', [fromPod(A), ipv4({ src: '10.9.9.9', dst: B[4] }), udp({ sport: 1, dport: 2 })])
    .verdict
}

test('a connection is told by its first packet, its first answer and its end, with what went before', () => {
  using node = new TestNode()
  connection(node)
  const events = node.takeEvents()
  assert.deepEqual(events.map(eventText), [
    `event first pod_out tcp ${A_B}`,
    `event reply pod_out tcp ${B[4]}:80 > ${A[4]}:1024 reply`,
    `event end pod_out tcp ${B[4]}:80 > ${A[4]}:1024 reply`,
  ])
  const totals = events.map(e => [e.packets, e.bytes, e.replyPackets, e.replyBytes].map(Number))
  assert.deepEqual(totals, [
    [1, 54, 0, 0],
    [1, 54, 1, 54],
    [4, 4 * 54, 2, 2 * 54],
  ])
  const [first] = events
  assert.deepEqual([first?.ifindex, first?.length, first?.ethertype, first?.tcpFlags], [node.devices.a, 54, 0x0800, 2])
})

for (const [what, flowEvents, told] of [
  ['none', 0, []],
  ['first packets', FlowMoment.FLOW_FIRST, ['first']],
  ['ends', FlowMoment.FLOW_END, ['end']],
] as const)
  test(`${what} of flows are told where the configuration says so, drops always`, () => {
    using node = new TestNode({ constants: { flow_events: flowEvents } })
    connection(node)
    spoof(node)
    assert.deepEqual(
      node.takeEvents().map(event => eventText(event).split(' ')[1]),
      [...told, 'drop'],
    )
  })

test('drop events beyond the budget of a CPU are counted, not told; drops are all counted', () => {
  using node = new TestNode({ constants: { drop_events_burst: 5, drop_events_per_second: 1 } })
  const began = performance.now()
  const sent = 6 * possibleCpus()
  for (let i = 0; i < sent; i++) spoof(node)
  const told = node.takeEvents().length
  const most = possibleCpus() * (5 + Math.floor((performance.now() - began) / 1000))
  assert.ok(told >= 5 && told <= most, `${told} told, at most ${most} are due`)
  const lost = sent - told
  assert.deepEqual(counts(node).sort(), [
    `count DROPPED pod_out SPOOFED_ADDRESS ${sent}`,
    ...(lost > 0 ? [`count EVENTS_LOST pod_out SPOOFED_ADDRESS ${lost}`] : []),
  ])
})

test('what a CPU has waited of the time to its next drop event is not lost by a look', () => {
  using node = new TestNode({ constants: { drop_events_burst: 5, drop_events_per_second: 1 } })
  using budgets = node.object('pod').map('event_budgets', codec(u32, perCpu(eventBudgetLayout, possibleCpus())))
  const refilledNs = process.hrtime.bigint() - 1_500_000_000n
  budgets.update(
    0,
    Array.from({ length: possibleCpus() }, () => ({ refilledNs, tokens: 0n })),
  )
  spoof(node)
  assert.equal(node.takeEvents().length, 1)
  const moved = (budgets.lookup(0) ?? []).map(budget => budget.refilledNs - refilledNs).filter(by => by !== 0n)
  assert.equal(moved.length, 1)
  assert.equal(Number(moved[0]) % 1e9, 0)
})

test('a budget of nothing tells nothing', () => {
  using node = new TestNode({ constants: { drop_events_per_second: 0 } })
  for (let i = 0; i < 3; i++) spoof(node)
  assert.deepEqual(node.takeEvents(), [])
})

test('what finds no room in the ring buffer is counted as lost and changes no verdict', () => {
  using node = new TestNode({ eventBytes: 4096 })
  const verdicts = Array.from({ length: 100 }, (_, i) =>
    node.send('pod_out', 'a', [fromPod(A), ip(4, A, B), udp({ sport: i + 1, dport: 2 })]),
  )
  assert.ok(verdicts.every(v => v.verdict === 'redirect'))
  assert.equal(spoof(node), 'drop')
  const told = node.takeEvents().length
  assert.equal(told, Math.floor(4096 / (8 + 104)))
  assert.deepEqual(counts(node).sort(), [
    'count DROPPED pod_out SPOOFED_ADDRESS 1',
    `count EVENTS_LOST pod_out ${101 - told}`,
  ])
})

/** Makes all entries but those of a source port void. */
function expireAllBut(node: TestNode, port: number): void {
  for (const [key, value] of node.conntrack.entries())
    if (key.portA !== port && key.portB !== port) node.conntrack.update(key, { ...value, expires: 1n })
}

async function sweep(node: TestNode): Promise<{ live: number; expired: number }> {
  const { live, expired } = await node.expire()
  return { live: Number(live), expired: Number(expired) }
}

test('expiry removes what is void, counts both, and tells of flows that ended in silence', async () => {
  using node = new TestNode()
  for (let port = 1; port <= 3000; port++)
    node.send('pod_out', 'a', [fromPod(A), ip(4, A, B), udp({ sport: port, dport: 5000 }), payload(2)])
  node.takeEvents()
  assert.deepEqual(await sweep(node), { live: 3000, expired: 0 })
  expireAllBut(node, 7)
  assert.deepEqual(await sweep(node), { live: 1, expired: 2999 })
  assert.deepEqual(flows(node), [`flow udp ${A[4]}:7 > ${B[4]}:5000 1/0`])
  const events = node.takeEvents()
  assert.equal(events.length, 2999)
  const [first] = events.filter(e => e.sourcePort === 8)
  assert.equal(first && eventText(first), `event end expiry udp ${A[4]}:8 > ${B[4]}:5000`)
  assert.deepEqual([first?.packets, first?.bytes, first?.hook], [1n, 44n, Hook.HOOK_EXPIRY])
  assert.deepEqual(await sweep(node), { live: 1, expired: 0 })
})

test('expiry does not tell again of a connection whose end was seen', async () => {
  using node = new TestNode()
  connection(node)
  node.takeEvents()
  expireAllBut(node, 0)
  assert.deepEqual(await sweep(node), { live: 0, expired: 1 })
  assert.deepEqual(node.takeEvents(), [])
})

test('expiry ends what an address’s last holder had open, whichever end it was, and nothing of the next one’s', async () => {
  using node = new TestNode()
  const departed = new Departed(() => node.departed)
  const open = (from: 'a' | 'b', sport: number): void => {
    const [src, dst] = from === 'a' ? [A, B] : [B, A]
    node.send('pod_out', from, [fromPod(src), ip(4, src, dst), udp({ sport, dport: 5000 }), payload(2)])
  }
  open('a', 1)
  open('b', 2)
  await tick()
  departed.add(B[4])
  await tick()
  open('b', 3)
  assert.equal(departed.any, true)
  const ended = departed.beginRun()
  assert.deepEqual(await sweep(node), { live: 1, expired: 2 })
  assert.deepEqual(flows(node), [`flow udp ${B[4]}:3 > ${A[4]}:5000 1/0`])
  departed.add(A[4])
  ended()
  assert.equal(departed.any, true)
  assert.deepEqual([...node.departed.entries()].map(([address]) => fromMapped16(address)).sort(), [A[4], B[4]])
})

/** Entries are stamped by the coarse clock, which moves with the timer interrupt. */
async function tick(): Promise<void> {
  const began = process.hrtime.bigint()
  while (process.hrtime.bigint() - began < 20_000_000n) await new Promise(resolve => setImmediate(resolve))
}

test('expiry tells nothing where ends are not asked for', async () => {
  using node = new TestNode({ constants: { flow_events: FlowMoment.FLOW_FIRST } })
  node.send('pod_out', 'a', [fromPod(A), ip(6, A, B), udp({ sport: 1, dport: 2 })])
  node.takeEvents()
  expireAllBut(node, 0)
  assert.deepEqual(await sweep(node), { live: 0, expired: 1 })
  assert.deepEqual(node.takeEvents(), [])
})
