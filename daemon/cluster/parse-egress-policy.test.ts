import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readDocuments } from './directory/documents.ts'
import { ObjectError, ObjectField } from './object-field.ts'
import { parseObjects } from './parse.ts'

function parse(value: unknown): unknown {
  const [item] = parseObjects(new ObjectField(value, () => 'policies.yaml:3'))
  if (item instanceof ObjectError) return item.message
  return item?.kind === 'EgressPolicy' ? item.row : item?.kind
}
const policy = (spec: object, metadata: object = {}): object => ({
  apiVersion: 'causeway.dev/v1alpha1',
  kind: 'EgressPolicy',
  metadata: { name: 'corporate', ...metadata },
  spec: {
    selectors: [{}],
    destinations: ['198.51.100.0/24'],
    gateways: [{ nodeSelector: {} }],
    ...spec,
  },
})
const empty = { matchLabels: {}, matchExpressions: [] }
const row = {
  name: 'corporate',
  priority: 0,
  created: '',
  selectors: [{ pods: empty, namespaces: empty }],
  destinations: ['198.51.100.0/24'],
  excluded: [],
  gateways: [{ nodes: empty, addresses: [] }],
}

test('a policy with what it must have; absent selectors select everything', () => {
  assert.deepEqual(parse(policy({})), row)
})

test('a policy with everything, in canonical text', () => {
  const requirement = { key: 'tier', operator: 'In', values: ['web'] }
  assert.deepEqual(
    parse(
      policy(
        {
          priority: -5,
          selectors: [
            {
              podSelector: { matchLabels: { app: 'web' }, matchExpressions: [requirement] },
              namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'Exists' }] },
            },
          ],
          destinations: ['198.51.100.7/24', '2001:DB8::/32'],
          excludedDestinations: ['198.51.100.128/25'],
          gateways: [
            { nodeSelector: { matchLabels: { egress: 'a' } }, addresses: ['192.0.2.7', '2001:DB8::7'] },
            { nodeSelector: {}, device: 'eth1' },
          ],
        },
        { creationTimestamp: '2025-06-01T00:00:00Z' },
      ),
    ),
    {
      ...row,
      priority: -5,
      created: '2025-06-01T00:00:00Z',
      selectors: [
        {
          pods: { matchLabels: { app: 'web' }, matchExpressions: [requirement] },
          namespaces: { matchLabels: {}, matchExpressions: [{ key: 'team', operator: 'Exists', values: [] }] },
        },
      ],
      destinations: ['198.51.100.0/24', '2001:db8::/32'],
      excluded: ['198.51.100.128/25'],
      gateways: [
        { nodes: { ...empty, matchLabels: { egress: 'a' } }, addresses: ['192.0.2.7', '2001:db8::7'] },
        { nodes: empty, addresses: [], device: 'eth1' },
      ],
    },
  )
})

const bad: readonly (readonly [spec: object, message: string])[] = [
  [{ selectors: [] }, 'spec.selectors: is missing or empty; at least one is needed'],
  [{ destinations: undefined }, 'spec.destinations: is missing or empty; at least one is needed'],
  [{ gateways: [] }, 'spec.gateways: is missing or empty; at least one is needed'],
  [{ gateways: [{}] }, 'spec.gateways[0].nodeSelector: is missing; an empty one, {}, selects every node'],
  [
    { gateways: [{ nodeSelector: {}, addresses: ['192.0.2.7'], device: 'eth0' }] },
    'spec.gateways[0].device: must be absent beside addresses, which are used whatever device they are on',
  ],
  [{ priority: 1.5 }, 'spec.priority: must be a whole number, not 1.5'],
  [
    { selectors: [{ podSelector: { matchExpressions: [{ key: 'a', operator: 'Like' }] } }] },
    'spec.selectors[0].podSelector.matchExpressions[0].operator: must be one of In, NotIn, Exists, DoesNotExist',
  ],
  [
    { selectors: [{ podSelector: { matchExpressions: [{ key: 'a', operator: 'In' }] } }] },
    'spec.selectors[0].podSelector.matchExpressions[0].values: is missing; In takes at least one',
  ],
  [
    { selectors: [{ podSelector: { matchExpressions: [{ key: 'a', operator: 'Exists', values: ['b'] }] } }] },
    'spec.selectors[0].podSelector.matchExpressions[0].values: must be absent; Exists takes none',
  ],
]
for (const [spec, message] of bad)
  test(`refused: ${message}`, () => {
    assert.equal(parse(policy(spec)), `policies.yaml:3: ${message}`)
  })

test('addresses and prefixes that are none are named', () => {
  assert.match(String(parse(policy({ destinations: ['everywhere'] }))), /spec\.destinations\[0\]: .*everywhere/)
  const gateways = [{ nodeSelector: {}, addresses: ['192.0.2.0/24'] }]
  assert.match(String(parse(policy({ gateways }))), /spec\.gateways\[0\]\.addresses\[0\]: .*192\.0\.2\.0\/24/)
})

test('what is not of this version is not used', () => {
  assert.equal(parse({ ...policy({}), apiVersion: 'causeway.dev/v9' }), 'unused')
})

test('the policy of the README is one', () => {
  const readme = readFileSync(join(import.meta.dirname, '../../plugins/egress-gateway/README.md'), 'utf8')
  const [, example = ''] = /```yaml\n(apiVersion[^`]+)```/.exec(readme) ?? []
  const [document] = readDocuments('README.md', example)
  assert.ok(document instanceof ObjectField)
  const [policyOf] = parseObjects(document)
  assert.ok(policyOf !== undefined && !(policyOf instanceof ObjectError))
  assert.equal(policyOf.kind, 'EgressPolicy')
})
