import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type MtuInput, planMtu } from './mtu.ts'

const cases: readonly [string, Omit<MtuInput, 'families'>, string][] = [
  [
    'no overlay leaves pods the whole uplink',
    { uplinks: [1500], configured: 'auto', overlay: undefined },
    'native 1500 overlay 1450 device 1500 route 1500',
  ],
  [
    'VXLAN over IPv4 costs 50 bytes',
    { uplinks: [1500], configured: 'auto', overlay: 4 },
    'native 1500 overlay 1450 device 1500 route 1450',
  ],
  [
    'VXLAN over IPv6 costs 70 bytes',
    { uplinks: [9001], configured: 'auto', overlay: 6 },
    'native 9001 overlay 8931 device 9001 route 8931',
  ],
  [
    'what goes through the overlay besides paths leaves pods the whole uplink',
    { uplinks: [1500], configured: 'auto', overlay: undefined, besides: 6 },
    'native 1500 overlay 1430 device 1500 route 1500',
  ],
  [
    'the smallest uplink counts',
    { uplinks: [9001, 1500], configured: 'auto', overlay: undefined },
    'native 1500 overlay 1450 device 1500 route 1500',
  ],
  [
    'a configured MTU overrides the uplinks',
    { uplinks: [1500], configured: 1400, overlay: 4 },
    'native 1400 overlay 1350 device 1400 route 1350',
  ],
  [
    'encryption is taken off every path',
    { uplinks: [1500], configured: 'auto', overlay: 4, encryption: 80 },
    'native 1420 overlay 1370 device 1420 route 1370',
  ],
  [
    'unknown uplinks count as Ethernet',
    { uplinks: [], configured: 'auto', overlay: undefined },
    'native 1500 overlay 1450 device 1500 route 1500',
  ],
]

for (const [name, input, want] of cases) {
  test(name, () => {
    const p = planMtu({ ...input, families: [4, 6] })
    assert.equal(`native ${p.native} overlay ${p.overlay} device ${p.podDevice} route ${p.podRoute}`, want)
  })
}

test('an uplink too small for a family that pods have is refused with the figures, and only then', () => {
  const small = { uplinks: [1300], configured: 'auto', overlay: 4 } as const
  assert.throws(
    () => planMtu({ ...small, families: [4, 6] }),
    /MTU of 1300 leaves 1250 bytes for pods, IPv6 needs 1280/,
  )
  assert.equal(planMtu({ ...small, families: [4] }).podRoute, 1250)
  assert.throws(() => planMtu({ ...small, uplinks: [600], families: [4] }), /leaves 550 bytes for pods, IPv4 needs 576/)
})
