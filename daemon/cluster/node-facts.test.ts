import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointRow } from '../../test/support/endpoint-row.ts'
import { createTables } from '../state/tables.ts'
import { type NodeFacts, nodeFacts, untold } from './node-facts.ts'

const settings = (nativeNetwork = '') => ({
  nodeName: 'n1',
  routing: { mode: 'auto', nativeNetwork, overlay: { port: 1, vni: 1 } } as const,
})
const tables = createTables()
const facts = (): NodeFacts => nodeFacts(settings(), tables, 'aws')

test('nothing is said of pods while the ranges are not known, null once none is outside, then who is, in order', () => {
  tables.endpoints.put(endpointRow('a', ['10.1.0.7', 'fd00:1::7'], { id: 1 }))
  assert.deepEqual(facts(), { cloud: 'aws', nativeNetwork: null })
  tables.nodes.put({ name: 'n1', addresses: [], podCidrs: ['10.1.0.0/24', 'fd00:1::/64'], labels: {} })
  assert.deepEqual(facts(), { cloud: 'aws', nativeNetwork: null, podAddresses: null })
  tables.endpoints.put(endpointRow('b', ['10.9.0.7', 'fd00:1::8'], { id: 2 }))
  tables.endpoints.put(endpointRow('c', ['10.1.0.8', 'fd00:9::1', '10.8.0.1'], { id: 3 }))
  assert.deepEqual(facts().podAddresses, ['10.8.0.1', '10.9.0.7', 'fd00:9::1'])
  assert.equal(nodeFacts(settings('x'), tables, 'none').nativeNetwork, 'x')
})

test('pods whose addresses the cloud routes are not told, those of a pool in its place are', () => {
  const own = createTables()
  own.nodes.put({ name: 'n1', addresses: [], podCidrs: [], labels: {} })
  own.cloudBlocks.put({ block: '10.4.0.16/28', nic: 'eni-1', phase: 'draining', born: 1 })
  const nic = { id: 'eni-1', mac: '', index: 0, subnetCidrs: ['10.3.0.0/24'], addresses: [], blocks: [] }
  own.cloudNics.put(nic)
  own.endpoints.put(endpointRow('of a block', ['10.4.0.17']))
  own.endpoints.put(endpointRow('of a block that went', ['10.3.0.9']))
  own.endpoints.put(endpointRow('of the overlay', ['10.64.0.9']))
  assert.deepEqual(nodeFacts(settings(), own, 'aws').podAddresses, ['10.64.0.9'])
  assert.deepEqual(untold('n1', own), [])
})

test('of more than 256 the oldest pods are told, so that a new one changes nothing', () => {
  for (let id = 10; id < 310; id++)
    tables.endpoints.put(endpointRow(`p${id}`, [`10.20.${id >> 8}.${id & 255}`], { id }))
  const before = facts().podAddresses
  assert.equal(before?.length, 256)
  tables.endpoints.put(endpointRow('new', ['10.0.0.1'], { id: 999 }))
  assert.deepEqual(facts().podAddresses, before)
  const [problem, ...more] = untold('n1', tables)
  assert.match(`${problem?.place}: ${problem?.message}`, /^NodeNetwork n1: 304 addresses .* told 256/)
  assert.deepEqual([more, untold('n2', tables)], [[], []])
})
