import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeLog } from '../../test/support/fake-log.ts'
import type { Sizes } from './programs.ts'
import { NO_ENTRIES, ServiceRoom } from './service-room.ts'

function roomIn(maxEntries: number, failing = false) {
  const log = new FakeLog()
  const grown: Sizes[] = []
  const map = { maxEntries }
  const room = new ServiceRoom({
    maps: () => ({ services: map, service_slots: map, backends: map, source_ranges: map, direct_backends: map }),
    grow: async sizes => {
      grown.push(sizes)
      if (failing) throw new Error('no memory')
      return await Promise.resolve()
    },
    log,
  })
  return { room, grown, log }
}

test('maps grow once three quarters are used, to twice of what is, each by itself', async () => {
  const { room, grown } = roomIn(1000)
  assert.equal(room.make({ ...NO_ENTRIES, services: 750, backends: 10 }), undefined)
  await room.make({ ...NO_ENTRIES, services: 751, service_slots: 3000, backends: 750 })
  assert.deepEqual(grown, [{ services: 2048, service_slots: 8192 }])
})

test('a growth that fails is told and keeps nothing from being written', async () => {
  const { room, log } = roomIn(1000, true)
  await room.make({ ...NO_ENTRIES, services: 800 })
  assert.deepEqual(log.lines, ['error maps of services could not grow error=no memory sizes=[object Object]'])
})
