import assert from 'node:assert/strict'
import { test } from 'node:test'
import { everything, labelled, NAMESPACE_NAME } from '../state/selectors.ts'
import { judgePolicies, type PolicyWorld } from './judge-policies.ts'
import { queryOf } from './pod-search.ts'
import type { PolicyRow } from './rows.ts'
import { nodeRow, policyRow } from './testdata.ts'

const world: PolicyWorld = {
  nodes: [nodeRow('g1', { labels: { egress: 'yes' } }), nodeRow('g2', { labels: { egress: 'yes' } }), nodeRow('w')],
  namespaces: [{ name: 'finance', labels: { team: 'f' } }],
  selectsPods: () => true,
}

function ready(policies: readonly PolicyRow[], around: Partial<PolicyWorld> = {}): string[] {
  return judgePolicies(policies, { ...world, ...around }).map(({ object, conditions, fields }) => {
    const condition = conditions.find(({ type }) => type === 'Ready')
    return `${object.name}: ${condition?.status} ${condition?.reason} (${fields?.['gateways']} gateways)`
  })
}
const by = (labels: Record<string, string>) => [{ nodes: labelled(labels), addresses: [] }]

test('a policy leads somewhere when it has gateways that are ready and namespaces', () => {
  const gateways = by({ egress: 'yes' })
  const away = world.nodes.map(node => ({ ...node, notReady: true }))
  const elsewhere = [{ pods: everything, namespaces: labelled({ team: 'other' }) }]
  const finance = [{ pods: everything, namespaces: labelled({ [NAMESPACE_NAME]: 'finance' }) }]
  assert.deepEqual(
    [
      ...ready([policyRow('good', { gateways, selectors: finance })]),
      ...ready([policyRow('none', { gateways: by({ egress: 'no' }) })]),
      ...ready([policyRow('away', { gateways })], { nodes: away }),
      ...ready([policyRow('nobody', { gateways, selectors: elsewhere })]),
    ],
    [
      'good: True GatewaysFound (2 gateways)',
      'none: False NoGateway (0 gateways)',
      'away: False NoGatewayReady (2 gateways)',
      'nobody: False NoNamespace (2 gateways)',
    ],
  )
})

test('of two policies of the same priority for one destination the younger is not ready, and both are named', () => {
  const old = policyRow('old', { created: '2026-01-01T00:00:00Z', gateways: by({ egress: 'yes' }) })
  const young = policyRow('young', { created: '2026-02-01T00:00:00Z' })
  assert.deepEqual(ready([young, old]), [
    'young: False Contradicted (3 gateways)',
    'old: True Contradicted (2 gateways)',
  ])
  const [judged] = judgePolicies([young, old], world)
  assert.match(judged?.conditions[0]?.message ?? '', /192\.0\.2\.0\/24 .* EgressPolicy young and of EgressPolicy old/)
})

const other = { gateways: by({ egress: 'yes' }) }
const selecting = (app: string) => ({ selectors: [{ pods: labelled({ app }), namespaces: everything }] })
const ok: readonly (readonly [string, PolicyRow, PolicyRow])[] = [
  ['of different priorities', policyRow('x'), policyRow('y', { ...other, priority: 1 })],
  ['for other destinations', policyRow('x'), policyRow('y', { ...other, destinations: ['192.0.2.0/25'] })],
  ['with the same gateways', policyRow('x'), policyRow('y')],
  ['for pods with other labels', policyRow('x', selecting('a')), policyRow('y', { ...other, ...selecting('b') })],
  ['one of which excepts it', policyRow('x'), policyRow('y', { ...other, excluded: ['192.0.2.0/24'] })],
]
for (const [name, a, b] of ok)
  test(`policies do not contradict each other: ${name}`, () => {
    assert.deepEqual(
      ready([a, b]).filter(line => !line.includes('True GatewaysFound')),
      [],
    )
  })

test('policies whose names have one number are told so', () => {
  // Their CRC-32 is the same.
  assert.deepEqual(ready([policyRow('plumless'), policyRow('buckeroo')]), [
    'plumless: False NumberTaken (3 gateways)',
    'buckeroo: False NumberTaken (3 gateways)',
  ])
})

test('whether a policy selects pods is said as far as it is known, and is no reason for a warning', () => {
  const said = [true, false, undefined].map(known =>
    judgePolicies([policyRow('x')], { ...world, selectsPods: () => known }).flatMap(({ conditions }) =>
      conditions.filter(({ type }) => type === 'SelectsPods').map(({ status, bad }) => [status, bad]),
    ),
  )
  assert.deepEqual(said, [[['True', false]], [['False', false]], []])
})

test('a selector is asked for as the API server reads it', () => {
  const query = queryOf({
    matchLabels: { app: 'a', 'example.com/x': '' },
    matchExpressions: [
      { key: 'b', operator: 'In', values: ['1', '2'] },
      { key: 'c', operator: 'NotIn', values: ['3'] },
      { key: 'd', operator: 'Exists', values: [] },
      { key: 'e', operator: 'DoesNotExist', values: [] },
    ],
  })
  assert.equal(query, 'app=a,example.com/x=,b in (1,2),c notin (3),d,!e')
})
