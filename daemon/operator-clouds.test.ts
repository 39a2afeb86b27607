/** Which cloud an operator gives addresses of: what sections are refused, and which machine each cloud sees in a Node. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeFacts } from '../plugins/cloud-core/setup.ts'
import { cloudOf } from './operator-clouds.ts'

const cluster = { name: 'c1' } as Parameters<typeof cloudOf>[0]['cluster']
const of = (sections: Readonly<Record<string, unknown>>) => cloudOf({ cluster, sections, families: ['ipv4'] })

test('without a section of a cloud there are no addresses of one', () => {
  assert.equal(of({ 'cluster-pool': {}, masquerade: {} }), undefined)
})

const VM =
  '/subscriptions/s1/resourceGroups/MC_rg/providers/Microsoft.Compute/virtualMachineScaleSets/pool/virtualMachines/0'
const machines: readonly (readonly [section: string, provider: string, providerId: string, id: string])[] = [
  ['aws-eni', 'aws', 'aws:///eu-west-1a/i-0123456789abcdef0', 'i-0123456789abcdef0'],
  ['azure', 'azure', `azure://${VM}`, VM.toLowerCase()],
  ['gcp', 'gcp', 'gce://p1/europe-west1-b/vm1', 'p1/europe-west1-b/vm1'],
]
const LABELS = { 'node.kubernetes.io/instance-type': 't', 'topology.kubernetes.io/zone': 'z' }
const node = (providerId: string): NodeFacts => ({ name: 'a', labels: LABELS, providerId, maxPods: 30 })

for (const [section, provider, providerId, id] of machines)
  test(`of ${section} a Node is the machine that its spec.providerID names, and no other cloud's`, async () => {
    const setup = of({ [section]: { preAllocate: 3 } })?.()
    assert.ok(setup)
    assert.equal(setup.provider.name, provider)
    assert.deepEqual(setup.machineOf(node(providerId)), { node: 'a', id, type: 't', zone: 'z' })
    for (const [, , other] of machines.filter(([name]) => name !== section)) {
      const said = setup.machineOf(node(other))
      assert.ok(
        typeof said === 'string' && said.startsWith(`spec.providerID '${other}' names no `),
        JSON.stringify(said),
      )
    }
    const { maxPods, preAllocate, firstNic } = setup.policyOf(node(providerId))
    assert.deepEqual([maxPods, preAllocate, firstNic], [30, 3, 0])
    await setup.provider.close?.()
  })

const refused: readonly (readonly [
  what: string,
  sections: Readonly<Record<string, unknown>>,
  key: string,
  says: RegExp,
])[] = [
  ['two clouds at once', { gcp: {}, 'aws-eni': {} }, 'gcp', /aws-eni and gcp are enabled, and a cluster/],
  [
    'subnets that Azure does not choose',
    { azure: { subnets: { ids: ['s'] } } },
    'azure.subnets',
    /made with their machine/,
  ],
  ['tags of Google', { gcp: { subnets: { tags: { a: 'b' } } } }, 'gcp.subnets.tags', /have no tags/],
  ['a subnet without a range', { gcp: { subnets: { ids: ['main'] } } }, 'gcp.subnets.ids', /allowed: SUBNET\/RANGE/],
  ['two ranges', { gcp: { subnets: { ids: ['a/x', 'b/y'] } } }, 'gcp.subnets.ids', /one name of a secondary range/],
  ['an unknown key', { azure: { securityGroups: {} } }, 'azure.securityGroups', /unknown key/],
]
for (const [what, sections, key, says] of refused)
  test(`${what}: refused at start, by the name of the key`, () => {
    assert.throws(() => of(sections), { code: 'CONFIG', key, message: says })
  })

test('AWS needs the name of the cluster', () => {
  const unnamed = { cluster: { ...cluster, name: '' }, sections: { 'aws-eni': {} }, families: ['ipv4'] as const }
  assert.throws(() => cloudOf({ ...unnamed, families: ['ipv4'] }), { key: 'cluster.name' })
})
