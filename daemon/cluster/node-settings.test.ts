import assert from 'node:assert/strict'
import { test } from 'node:test'
import { everything, labelled } from '../state/selectors.ts'
import { layersFor, type NodeSettingsRow, parseNodeSettings } from './node-settings.ts'
import { ObjectField } from './object-field.ts'

function row(name: string, rest: Partial<NodeSettingsRow> = {}): NodeSettingsRow {
  return { name, priority: 0, created: '', nodes: everything, settings: { mtu: name.length }, ...rest }
}
const names = (rows: readonly NodeSettingsRow[], labels = {}): string =>
  layersFor(rows, labels)
    .map(({ name }) => name)
    .join(' ')

test('the highest counts most, of equal ones the oldest, then the first by name', () => {
  const rows = [
    row('b'),
    row('a'),
    row('high', { priority: 2 }),
    row('young', { priority: 1, created: '2026-02-01T00:00:00Z' }),
    row('old', { priority: 1, created: '2026-01-01T00:00:00Z' }),
  ]
  assert.equal(names(rows), 'b a young old high')
})

test('only those that select the node are for it', () => {
  const rows = [row('all'), row('aws', { nodes: labelled({ cloud: 'aws' }) })]
  assert.equal(names(rows, { cloud: 'gcp' }), 'all')
  assert.equal(names(rows, { cloud: 'aws' }), 'aws all')
})

test('settings that are no group are refused with their field', () => {
  const object = { metadata: { name: 'a' }, spec: { settings: ['mtu'] } }
  assert.throws(
    () => parseNodeSettings(new ObjectField(object, () => 'NodeSettings a')),
    /spec\.settings: must be a group/,
  )
})
