import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromMapped16, toMapped16 } from '../kernel/ip.ts'
import { MemoryMap } from '../kernel/memory/map.ts'
import { conntrackKey, type EgressFlow, readEgressFlows } from './egress-flows.ts'
import { CtFlags, type CtKey, type CtValue, NatFlags, type NatKey, type NatValue } from './shared.gen.ts'

const NOW = 1_000_000_000_000n
const { CT_ESTABLISHED, CT_FIN_A, CT_FIN_B, CT_RST, CT_TRANSLATED } = CtFlags
const { NAT_EGRESS, NAT_REPLY } = NatFlags

function maps() {
  return {
    translations: new MemoryMap<NatKey, NatValue>('translations', 10_000),
    conntrack: new MemoryMap<CtKey, CtValue>('conntrack', 10_000),
  }
}
type Maps = ReturnType<typeof maps>

const at = (address: string, port: number) => ({ address: toMapped16(address), port })
type End = ReturnType<typeof at>
const key = (from: End, to: End, protocol = 6): NatKey => ({
  source: from.address,
  destination: to.address,
  sourcePort: from.port,
  destinationPort: to.port,
  protocol,
})
const value = (from: End, to: End, flags: number): NatValue => {
  return { ...key(from, to), flags, created: 0n, backend: 0, ifindex: 0 }
}
const entry = (flags: number, expires = NOW + 1n): CtValue => {
  return { flags, expires, created: NOW - 5n, packetsA: 0n, packetsB: 0n, bytesA: 0n, bytesB: 0n, end: 0 }
}

/** A pod's flow as the programs write it: both translations and its flow in conntrack. */
function open({ translations, conntrack }: Maps, ends: readonly [pod: End, egress: End, to: End], flow?: CtValue) {
  const [pod, egress, to] = ends
  translations.update(key(pod, to), value(egress, to, NAT_EGRESS))
  translations.update(key(to, egress), value(to, pod, NAT_EGRESS | NAT_REPLY))
  if (flow) conntrack.update(conntrackKey(key(egress, to)), flow)
}

async function read(from: Maps): Promise<string[]> {
  const texts: string[] = []
  const text = (f: EgressFlow): string =>
    `${fromMapped16(f.pod)}:${f.podPort} as ${fromMapped16(f.egress)}:${f.egressPort} to ${fromMapped16(f.destination)}:${f.destinationPort} ${f.state} ${f.created}`
  await readEgressFlows(from, flow => texts.push(text(flow)), NOW)
  return texts
}

const POD = at('10.1.0.2', 40_000)
const EGRESS = at('192.0.2.7', 40_001)
const SERVER = at('198.51.100.9', 443)
const FLOW = '10.1.0.2:40000 as 192.0.2.7:40001 to 198.51.100.9:443'
const STARTED = `${NOW - 5n}`

for (const [what, flow, state] of [
  ['that nothing has answered', entry(CT_TRANSLATED), 'opening'],
  ['that is established', entry(CT_TRANSLATED | CT_ESTABLISHED), 'established'],
  ['that one side has closed', entry(CT_TRANSLATED | CT_ESTABLISHED | CT_FIN_B), 'closing'],
  ['that both sides have closed', entry(CT_TRANSLATED | CT_ESTABLISHED | CT_FIN_A | CT_FIN_B), undefined],
  ['that was reset', entry(CT_TRANSLATED | CT_ESTABLISHED | CT_RST), undefined],
  ['that has expired', entry(CT_TRANSLATED | CT_ESTABLISHED, NOW), undefined],
  ['whose tuple is known to conntrack as it came', entry(CT_ESTABLISHED), undefined],
  ['that conntrack does not know', undefined, undefined],
] as const)
  test(`a flow ${what} is ${state ?? 'none'}`, async () => {
    const from = maps()
    open(from, [POD, EGRESS, SERVER], flow)
    assert.deepEqual(await read(from), state === undefined ? [] : [`${FLOW} ${state} ${STARTED}`])
  })

test('the flow is found whichever of its ends has the smaller address, and by the port where they are one', async () => {
  const alive = entry(CT_TRANSLATED)
  for (const to of [at('1.1.1.1', 443), at('203.0.113.1', 443), at('192.0.2.7', 443), at('fd00::1', 443)]) {
    const from = maps()
    open(from, [POD, EGRESS, to], alive)
    assert.equal((await read(from)).length, 1)
  }
})

test("translations of services are nobody's ports", async () => {
  const from = maps()
  from.translations.update(key(SERVER, EGRESS), value(SERVER, POD, NAT_REPLY))
  from.conntrack.update(conntrackKey(key(EGRESS, SERVER)), entry(CT_TRANSLATED | CT_ESTABLISHED))
  assert.deepEqual(await read(from), [])
})

test('others have their turn while many are read', async () => {
  const from = maps()
  for (let i = 0; i < 1500; i++) open(from, [at('10.1.0.2', i), at('192.0.2.7', i), SERVER], entry(CT_TRANSLATED))
  let read = 0
  const reading = readEgressFlows(from, () => read++, NOW)
  const before = await new Promise<number>(resolve => {
    setImmediate(() => resolve(read))
  })
  await reading
  assert.equal(read, 1500)
  assert.ok(before > 0 && before < 1500, `${before} flows were read in one turn`)
})
