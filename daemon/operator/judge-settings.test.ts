import assert from 'node:assert/strict'
import { test } from 'node:test'
import { labelled } from '../state/selectors.ts'
import { judgeSettings } from './judge-settings.ts'
import type { SettingsRow } from './rows.ts'
import { SettingsChecks } from './settings-checks.ts'
import { nodeRow, settingsRow } from './testdata.ts'

const nodes = [nodeRow('a', { labels: { cloud: 'aws', big: 'yes' } }), nodeRow('b', { labels: { cloud: 'gcp' } })]

/** One line each: name, status and reason of Ready, nodes, message. */
function told(all: readonly SettingsRow[], refusals: ReadonlyMap<string, string> = new Map()): string[] {
  return judgeSettings(all, nodes, refusals).map(({ object, conditions, fields }) => {
    const [ready] = conditions
    return `${object.name}: ${ready?.status} ${ready?.reason}, ${fields?.['nodes']} nodes: ${ready?.message}`
  })
}

test('NodeSettings say for how many nodes they are', () => {
  const all = [settingsRow('all', { mtu: 1400 }), settingsRow('none', {}, { nodes: labelled({ cloud: 'none' }) })]
  assert.deepEqual(told(all), [
    'all: True SettingsGood, 2 nodes: daemons of the nodes that it selects use its settings',
    'none: True SelectsNoNode, 0 nodes: its settings are good, and no node is selected',
  ])
})

test('what a daemon refuses is not ready, with what it says', () => {
  const refusals = new Map([['wrong', 'mtu: 3 is not allowed']])
  assert.deepEqual(told([settingsRow('wrong', { mtu: 3 })], refusals), [
    'wrong: False SettingsRefused, 2 nodes: mtu: 3 is not allowed',
  ])
})

test('two of the same priority that say a key of the same node otherwise name each other and the node', () => {
  const all = [
    settingsRow('young', { routing: { mode: 'native' } }, { created: '2026-02-01T00:00:00Z' }),
    settingsRow('old', { routing: { mode: 'overlay' } }, { created: '2026-01-01T00:00:00Z' }),
  ]
  const about = (own: string, here: string, other: string, there: string): string =>
    `routing.mode is "${here}" in NodeSettings ${own} and "${there}" in NodeSettings ${other}, both of the same ` +
    'priority and for node a: that of old counts. Give the one that shall count a higher priority'
  assert.deepEqual(told(all), [
    `young: False Contradicted, 2 nodes: ${about('young', 'native', 'old', 'overlay')}`,
    `old: True Contradicted, 2 nodes: ${about('old', 'overlay', 'young', 'native')}`,
  ])
})

const ok: readonly (readonly [string, readonly SettingsRow[]])[] = [
  ['of different priorities', [settingsRow('x', { mtu: 1400 }), settingsRow('y', { mtu: 1500 }, { priority: 1 })]],
  ['the same value', [settingsRow('x', { uplinks: ['eth0'] }), settingsRow('y', { uplinks: ['eth0'] })]],
  ['other keys of one group', [settingsRow('x', { cni: { confName: 'a' } }), settingsRow('y', { cni: {} })]],
  [
    'for other nodes',
    [
      settingsRow('x', { mtu: 1400 }, { nodes: labelled({ cloud: 'aws' }) }),
      settingsRow('y', { mtu: 1500 }, { nodes: labelled({ cloud: 'gcp' }) }),
    ],
  ],
  [
    'under one that says the key with a higher priority',
    [
      settingsRow('x', { mtu: 1400 }),
      settingsRow('y', { mtu: 1500 }),
      settingsRow('z', { mtu: 9000 }, { priority: 2 }),
    ],
  ],
]
for (const [name, all] of ok)
  test(`settings do not contradict each other: ${name}`, () => {
    assert.deepEqual(
      told(all).filter(line => !line.includes('True SettingsGood')),
      [],
    )
  })

test('a plugin that one switches off contradicts one that sets a key of it', () => {
  const all = [settingsRow('x', { masquerade: false }), settingsRow('y', { masquerade: { addresses: ['192.0.2.1'] } })]
  assert.match(told(all)[0] ?? '', /masquerade is false in NodeSettings x and masquerade.addresses: \["192.0.2.1"\]/)
})

test('settings are checked by themselves, then together with others for the same nodes, each once', async () => {
  const asked: string[] = []
  const checks = new SettingsChecks(layers => {
    asked.push(layers.map(({ name }) => name).join(' over '))
    const together = layers.some(({ name }) => name === 'x') && layers.some(({ name }) => name === 'y')
    return Promise.resolve(together ? 'both blocks have one number' : undefined)
  })
  const all = [settingsRow('x', { a: 1 }, { priority: 1 }), settingsRow('y', { b: 2 })]
  const refused = await checks.refusals(all, nodes)
  assert.deepEqual(
    [...refused],
    [
      ['x', 'x, y together, for node a: both blocks have one number'],
      ['y', 'x, y together, for node a: both blocks have one number'],
    ],
  )
  await checks.refusals(all, nodes)
  // The one that counts most comes last, as in the daemon.
  assert.deepEqual(asked, ['x', 'y', 'y over x'])
  await checks.refusals([{ ...(all[0] as SettingsRow), generation: 2 }], nodes)
  assert.deepEqual(asked.slice(3), ['x'])
})
