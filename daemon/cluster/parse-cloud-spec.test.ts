import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sortedRows } from '../state/dump.ts'
import { createTables } from '../state/tables.ts'
import { ObjectError, ObjectField } from './object-field.ts'
import { type CloudSpec, parseCloudSpec, writeCloudSpec } from './parse-cloud-spec.ts'

const NIC = {
  id: 'eni-1',
  mac: '02-0A-00-00-00-05',
  index: 1,
  subnet: 'subnet-1',
  subnetCidrs: ['10.0.0.0/24'],
  addresses: ['10.0.0.5'],
  phase: 'ready',
  token: '',
}
const CLOUD = {
  provider: 'aws',
  machine: 'i-0123',
  nics: [NIC, { ...NIC, id: 'eni-2', mac: '02:0a:00:00:00:06', phase: 'attached' }],
  blocks: [
    { block: '10.0.0.16/28', nic: 'eni-1', phase: 'allocatable', born: 3 },
    { block: '10.0.0.32/28', nic: 'eni-1', phase: 'draining', born: 1 },
    { block: '10.0.0.48/28', nic: 'eni-1', phase: 'released', born: 2 },
    { block: '10.0.0.64/28', nic: 'eni-2', phase: 'allocatable', born: 4 },
  ],
  intents: [{ token: 't', subnet: 'subnet-1', length: 28, count: 1 }],
  lastBorn: 4,
  lastIntent: 1,
  shortage: '',
}
const read = (cloud: unknown): CloudSpec | undefined => {
  const network = { metadata: { name: 'n1', uid: 'u1' }, spec: { cloud } }
  return parseCloudSpec(new ObjectField(network, () => 'NodeNetwork n1'))
}

test('what the operator says becomes rows; only interfaces that are ready, with the blocks that stand', () => {
  const tables = createTables()
  writeCloudSpec(tables, read(CLOUD))
  assert.deepEqual(sortedRows(tables.cloudMachines), [
    { provider: 'aws', machine: 'i-0123', network: 'u1', shortage: '' },
  ])
  assert.deepEqual(sortedRows(tables.cloudNics), [
    {
      id: 'eni-1',
      mac: '02:0a:00:00:00:05',
      index: 1,
      subnetCidrs: ['10.0.0.0/24'],
      addresses: ['10.0.0.5'],
      blocks: ['10.0.0.16/28', '10.0.0.32/28'],
    },
  ])
  assert.deepEqual(
    sortedRows(tables.cloudBlocks).map(({ block, nic, phase, born }) => `${block} ${nic} ${phase} ${born}`),
    [
      '10.0.0.16/28 eni-1 allocatable 3',
      '10.0.0.32/28 eni-1 draining 1',
      '10.0.0.48/28 eni-1 released 2',
      '10.0.0.64/28 eni-2 allocatable 4',
    ],
  )
})

test('what has not changed is not written again, and nothing said is nothing left', () => {
  const tables = createTables()
  writeCloudSpec(tables, read(CLOUD))
  const { cloudNics, cloudBlocks } = tables
  const [nics, blocks] = [cloudNics.revision, cloudBlocks.revision]
  writeCloudSpec(tables, read({ ...CLOUD, shortage: 'subnet-1 is full' }))
  assert.deepEqual([cloudNics.revision, cloudBlocks.revision], [nics, blocks])
  assert.equal(tables.cloudMachines.get('aws')?.shortage, 'subnet-1 is full')
  writeCloudSpec(tables, read(undefined))
  assert.deepEqual([cloudNics.size, cloudBlocks.size, tables.cloudMachines.size], [0, 0, 0])
})

const [block] = CLOUD.blocks
const bad: readonly (readonly [what: string, cloud: unknown, message: RegExp])[] = [
  ['a text', 'aws', /^spec\.cloud: must be a group of fields/],
  ['another cloud', { ...CLOUD, provider: 'moon' }, /^spec\.cloud\.provider: must be one of aws, azure, gcp/],
  ['blocks that are no list', { ...CLOUD, blocks: {} }, /^spec\.cloud\.blocks: must be a list/],
  [
    'a block without length',
    { ...CLOUD, blocks: [{ ...block, block: '10.0.0.1' }] },
    /^spec\.cloud\.blocks\[0\]\.block/,
  ],
  ['a block without number', { ...CLOUD, blocks: [{ ...block, born: undefined }] }, /blocks\[0\]\.born: is missing/],
  ['a number that is none', { ...CLOUD, blocks: [{ ...block, born: 1.5 }] }, /blocks\[0\]\.born: must be a whole/],
  ['an unknown phase', { ...CLOUD, blocks: [{ ...block, phase: 'x' }] }, /blocks\[0\]\.phase: must be one of alloc/],
  ['a block twice', { ...CLOUD, blocks: [block, block] }, /blocks\[1\]: 10\.0\.0\.16\/28 stands twice/],
  ['no interface of a block', { ...CLOUD, blocks: [{ ...block, nic: '' }] }, /blocks\[0\]\.nic: is missing/],
  ['a MAC that is none', { ...CLOUD, nics: [{ ...NIC, mac: '02' }] }, /nics\[0\]\.mac: "02" is no MAC/],
  [
    'an address that is none',
    { ...CLOUD, nics: [{ ...NIC, addresses: [1] }] },
    /nics\[0\]\.addresses\[0\]: must be text/,
  ],
]
for (const [what, cloud, message] of bad)
  test(`${what}: refused with its place`, () =>
    assert.throws(
      () => read(cloud),
      (error: unknown) => {
        assert.ok(error instanceof ObjectError)
        assert.match(`${error.field}: ${error.problem}`, message)
        return true
      },
    ))
