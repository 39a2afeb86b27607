import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toMapped16 } from '../kernel/ip.ts'
import { MemoryMap } from '../kernel/memory/map.ts'
import { affineBackend, type AffinityMaps } from './affinity.ts'

test('an affinity counts while its backend is there and its time is not over', () => {
  const maps: AffinityMaps = { affinities: new MemoryMap('affinities', 9), backends: new MemoryMap('backends', 9) }
  const asked = { service: 1, client: '198.51.100.7', seconds: 60 }
  const at = (seconds: number) => affineBackend(maps, asked, BigInt(seconds) * 1_000_000_000n)
  assert.equal(at(0), undefined)
  maps.affinities.update({ client: toMapped16(asked.client), service: 1 }, { used: 1_000_000_000n, backend: 5 })
  assert.equal(at(2), undefined)
  maps.backends.update(5, { address: toMapped16('10.1.0.1'), id: 5, port: 8080 })
  assert.deepEqual(at(61), { address: '10.1.0.1', port: 8080 })
  assert.equal(at(62), undefined)
  assert.equal(affineBackend(maps, { ...asked, service: 2 }, 0n), undefined)
})
