/** Maps of services that grow under the programs: nothing of what was carried before is lost. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { compilePrograms } from '../../test/bpf/node.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import { PLAIN_FRONTEND } from '../../test/support/service-row.ts'
import { openBpffs } from '../kernel/bpf/testdata/bpffs.ts'
import type { FrontendRow } from '../state/service-rows.ts'
import { OBJECT_DIRECTORY } from './objects.ts'
import { loadProgramSet, type ProgramSet } from './program-set.ts'
import { Programs } from './programs.ts'
import { ServiceRoom } from './service-room.ts'
import { ServiceTarget } from './service-target.ts'

const SMALL = 16
const BACKENDS = 3
const stack = new AsyncDisposableStack()
let programs: Programs<ProgramSet>
before(async () => {
  await compilePrograms()
  const pins = stack.use(openBpffs())
  const load = (constants: object, sizes: Readonly<Record<string, number>>): Promise<ProgramSet> =>
    loadProgramSet({ objects: OBJECT_DIRECTORY, pins: pins.path(''), constants: { ...constants }, sizes })
  const options = { load, attachPods: () => {}, attachDevices: () => Promise.resolve(), log: new FakeLog() }
  const sizes = { services: SMALL, service_slots: SMALL, backends: SMALL, conntrack: 1024, events: 65_536 }
  programs = stack.use(await Programs.start(options, { constants: {}, hooks: [] }, sizes))
})
after(() => stack.disposeAsync())

function row(i: number): FrontendRow {
  const address = `10.96.${i >> 8}.${i & 255}`
  return {
    ...PLAIN_FRONTEND,
    key: `TCP ${address}:80 outside`,
    address,
    scope: 'outside',
    kind: 'load-balancer',
    algorithm: 'maglev',
    backends: Array.from({ length: BACKENDS }, (_, b) => {
      return {
        address: `10.1.${i >> 8}.${b}`,
        port: 1000 + (i & 255),
        node: '',
        zone: '',
        weight: 1,
        terminating: false,
      }
    }),
  }
}

test('more services than there is room for make room, one by one and many at once', async () => {
  const current = (): ProgramSet => programs.current
  const room = new ServiceRoom({
    maps: () => {
      const { services, slots, backends, ranges, direct } = current()
      return { services, service_slots: slots, backends, source_ranges: ranges, direct_backends: direct }
    },
    grow: sizes => programs.grow(sizes),
    log: new FakeLog(),
  })
  const target = new ServiceTarget({ maps: current, seed: '', room: entries => room.make(entries) })
  const rows = Array.from({ length: 300 }, (_, i) => row(i))
  for (const one of rows.slice(0, 20)) assert.equal(await target.update(one), true)
  assert.equal(await target.updateBatch(rows.slice(20)), 280)
  assert.ok(current().capacity('services') >= 600, `${current().capacity('services')}`)
  assert.ok(current().capacity('service_slots') >= 900)
  // One that looks at the maps alone finds all as it is wanted.
  const fresh = new ServiceTarget({ maps: current, seed: '' })
  assert.deepEqual(fresh.differing(rows), [])
  assert.equal([...current().backends.entries()].length, 300 * BACKENDS)
})
