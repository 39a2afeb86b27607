import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromMapped16, fromMappedPrefix } from '../kernel/ip.ts'
import { MemoryMap } from '../kernel/memory/map.ts'
import { EGRESS_DEVICES, type EgressPath as Path, policyDevice, policyNumber } from '../state/egress-rows.ts'
import { createTables } from '../state/tables.ts'
import { egressPathTarget } from './egress-paths.ts'
import { EgressDevice, type EgressPath, type EgressPathKey } from './shared.gen.ts'

const signal = new AbortController().signal
const maps = () => new MemoryMap<EgressPathKey, EgressPath>('egress_paths', 100)
function lines(map: MemoryMap<EgressPathKey, EgressPath>): string[] {
  return [...map.entries()]
    .map(([key, { tunnel, policy, device, flags }]) => {
      const destination = fromMappedPrefix(key.destination, key.prefixLength - 128)
      return `${fromMapped16(key.source)} ${destination} ${fromMapped16(tunnel)} ${policy} ${device} ${flags}`
    })
    .sort()
}
const by = (destination: string, to: Path['to'], policy = 'p'): Path => ({ destination, policy, to })
const P = policyNumber('p')

test('what rows say is in the map, and what they no longer say is not', async () => {
  const map = maps()
  const target = egressPathTarget(() => map)
  const first = {
    source: '10.64.0.9',
    paths: [
      by('0.0.0.0/0', { kind: 'gateway', node: 'node2', tunnel: '172.30.0.2' }),
      by('10.0.0.0/8', { kind: 'excluded' }, ''),
      by('198.51.100.0/24', { kind: 'none' }),
    ],
  }
  assert.equal(await target.update(first, undefined, signal), true)
  assert.deepEqual(lines(map), [
    `10.64.0.9 0.0.0.0/0 172.30.0.2 ${P} 0 0`,
    `10.64.0.9 10.0.0.0/8 :: ${policyNumber('')} 0 1`,
    `10.64.0.9 198.51.100.0/24 :: ${P} 0 2`,
  ])
  assert.equal(await target.update(first, first, signal), false)
  const second = { source: '10.64.0.9', paths: [by('0.0.0.0/0', { kind: 'unknown' }, '')] }
  assert.equal(await target.update(second, first, signal), true)
  assert.deepEqual(lines(map), [`10.64.0.9 0.0.0.0/0 :: ${policyNumber('')} 0 4`])
  await target.delete(second, signal)
  assert.deepEqual(lines(map), [])
})

test('a policy stands in its number for the pods of other nodes', async () => {
  const map = maps()
  const target = egressPathTarget(() => map)
  await target.update({ source: 'policy p', paths: [by('2001:db8::/32', { kind: 'here' })] }, undefined, signal)
  const [key] = [...map.entries()].map(([each]) => each)
  assert.deepEqual(
    [...(key?.source ?? [])].slice(0, 12),
    Array.from({ length: 12 }, () => 0),
  )
  assert.equal(Buffer.from(key?.source ?? []).readUInt32BE(12), P)
  const [line] = lines(map)
  assert.match(line ?? '', new RegExp(` 2001:db8::/32 :: ${P} ${policyDevice('p')} 0$`))
})

test('the first that the table lacks goes at a pruning, and nothing else', async () => {
  const map = maps()
  const target = egressPathTarget(() => map)
  const { egressPaths } = createTables()
  const kept = { source: '10.64.0.9', paths: [by('0.0.0.0/0', { kind: 'none' })] }
  egressPaths.put(kept)
  await target.update(kept, undefined, signal)
  await target.update({ source: '10.64.0.8', paths: kept.paths }, undefined, signal)
  assert.equal(await target.prune(egressPaths, signal), 1)
  assert.deepEqual(lines(map).length, 1)
})

test('numbers of policies and of their addresses are none that mean something else', () => {
  assert.equal(EGRESS_DEVICES, EgressDevice.EGRESS_DEVICES)
  assert.equal(policyNumber(''), 1)
  for (const name of ['a', 'corporate', 'p', 'plumless']) {
    assert.ok(policyDevice(name) >= EGRESS_DEVICES)
    assert.ok(policyDevice(name) < 0x7fff_ffff)
  }
})
