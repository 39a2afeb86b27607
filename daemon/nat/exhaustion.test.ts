import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { DropReason, EventKind, Hook } from '../datapath/shared.gen.ts'
import { Exhaustion, type Refused, type Tried } from './exhaustion.ts'
import { dropRecord } from './testdata/events.ts'

const text = ({ pod, protocol, destination, destinationPort }: Refused): string =>
  `${pod} ${protocol} ${destination} ${destinationPort}`
const FULL: readonly Tried[] = [{ egressAddress: '192.0.2.7', used: 64_512, total: 64_512 }]

function watched() {
  const clock = new FakeClock()
  return { clock, exhaustion: new Exhaustion(clock) }
}

for (const [what, given] of [
  ['of another reason', { reason: DropReason.DROP_NAT_FULL }],
  ['that a client from outside sent', { hook: Hook.HOOK_UPLINK_IN }],
  ['that was sent on', { kind: EventKind.EVENT_FLOW }],
] as const)
  test(`a packet ${what} is none that a port was missing for`, () => {
    const { exhaustion } = watched()
    exhaustion.see(dropRecord('10.1.0.2', '198.51.100.9', given))
    assert.deepEqual(exhaustion.due(), [])
  })

test('packets of pods of other nodes, which leave by this one as their gateway, are told of too', () => {
  const { exhaustion } = watched()
  exhaustion.see(dropRecord('10.2.0.9', '198.51.100.9', { hook: Hook.HOOK_OVERLAY_IN }))
  assert.deepEqual(
    exhaustion.due().map(({ pod }) => pod),
    ['10.2.0.9'],
  )
})

test('drops are gathered by pod, destination, port and protocol, the latest first', async () => {
  const { clock, exhaustion } = watched()
  for (const [destination, given] of [
    ['198.51.100.9', {}],
    ['198.51.100.9', { sourcePort: 40_001 }],
    ['198.51.100.9', { destinationPort: 80 }],
    ['198.51.100.9', { protocol: 17 }],
    ['198.51.100.9', { protocol: 1, sourcePort: 8, destinationPort: 0 }],
    ['198.51.100.9', { protocol: 47, sourcePort: 0, destinationPort: 0 }],
    ['fd00:9::1', {}],
    ['198.51.100.9', { sourcePort: 40_002 }],
  ] as const) {
    exhaustion.see(dropRecord('10.1.0.2', destination, given))
    await clock.advance(1)
  }
  assert.deepEqual(exhaustion.list(), [], 'what it was is not known yet')
  for (const refused of exhaustion.due()) exhaustion.told(refused, FULL)
  assert.deepEqual(
    exhaustion.list().map(e => `${text(e)}: ${e.drops}`),
    [
      '10.1.0.2 6 198.51.100.9 443: 3',
      '10.1.0.2 6 fd00:9::1 443: 1',
      '10.1.0.2 47 198.51.100.9 0: 1',
      '10.1.0.2 1 198.51.100.9 0: 1',
      '10.1.0.2 17 198.51.100.9 443: 1',
      '10.1.0.2 6 198.51.100.9 80: 1',
    ],
  )
})

test('each is told at once, then once a minute with the drops since, and forgotten a minute after the last', async () => {
  const { clock, exhaustion } = watched()
  const see = () => exhaustion.see(dropRecord('10.1.0.2', '198.51.100.9'))
  const tell = (): number[] => exhaustion.due().map(refused => exhaustion.told(refused, FULL)?.drops ?? 0)
  see()
  see()
  assert.deepEqual(tell(), [2])
  see()
  assert.deepEqual(tell(), [])
  await clock.advance(59_000)
  see()
  assert.deepEqual(tell(), [])
  await clock.advance(1000)
  assert.deepEqual(tell(), [2])
  assert.deepEqual(
    exhaustion.list().map(e => [e.drops, e.tried]),
    [[4, FULL]],
  )
  // Nothing new to tell, and still there to be seen.
  await clock.advance(58_000)
  assert.deepEqual(tell(), [])
  assert.equal(exhaustion.list().length, 1)
  await clock.advance(1000)
  assert.deepEqual(exhaustion.list(), [])
  see()
  assert.deepEqual(tell(), [1])
})

test('what turns out to have tried no address is told nowhere', () => {
  const { exhaustion } = watched()
  exhaustion.see(dropRecord('10.1.0.2', '10.96.0.1'))
  const [refused] = exhaustion.due()
  assert.ok(refused)
  assert.equal(exhaustion.told(refused, []), undefined)
  assert.deepEqual(exhaustion.list(), [])
})

test('of very many pods and destinations at once some are told', async () => {
  const { clock, exhaustion } = watched()
  for (let i = 0; i < 1000; i++) exhaustion.see(dropRecord('10.1.0.2', `198.51.${i >> 8}.${i & 255}`))
  assert.equal(exhaustion.due().length, 64)
  await clock.advance(60_000)
  exhaustion.see(dropRecord('10.1.0.2', '203.0.113.1'))
  assert.deepEqual(exhaustion.due().map(text), ['10.1.0.2 6 203.0.113.1 443'])
})
