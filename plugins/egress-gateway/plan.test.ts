import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { EgressPathRow } from '../../daemon/state/egress-rows.ts'
import { plan, type PlanInput } from './plan.ts'
import { everything, labelled } from '../../daemon/state/selectors.ts'
import { held, node, pod, policy } from './testdata.ts'

const GATE = { egress: 'yes' }
const input: PlanInput = {
  self: 'node1',
  policies: [policy('corporate')],
  namespaces: new Map(),
  nodes: [node('node1', '172.30.0.1'), node('node2', '172.30.0.2', GATE), node('node3', '172.30.0.3', GATE)],
  pods: [pod('web-1')],
  hostAddresses: [held('172.30.0.1')],
  uplinks: [{ name: 'eth0', index: 2, mtu: 1500, mac: '' }],
  health: () => 'alive',
}
/** `SOURCE DESTINATION POLICY KIND NODE` */
function lines(paths: readonly EgressPathRow[]): string[] {
  return paths.flatMap(row =>
    row.paths.map(({ destination, policy: name, to }) =>
      [row.source, destination, name, to.kind, ...('node' in to ? [to.node, to.tunnel] : [])].join(' '),
    ),
  )
}
const gateways = (of: PlanInput): (string | undefined)[] => plan(of).assignments.map(a => a.gateway)

suite('a pod', () => {
  test('goes by one of the gateways with both its addresses, and that one is asked', () => {
    const destinations = ['0.0.0.0/0', '2001:db8::/32']
    const both = pod('web-1', { addresses: ['10.64.0.9', 'fd00::9'] })
    const { paths, assignments, asked } = plan({ ...input, pods: [both], policies: [policy('p', { destinations })] })
    assert.equal(new Set(assignments.map(a => a.gateway)).size, 1)
    const [gateway] = assignments.map(a => a.gateway)
    const tunnel = gateway === 'node2' ? '172.30.0.2' : '172.30.0.3'
    assert.deepEqual(lines(paths), [
      `10.64.0.9 0.0.0.0/0 p gateway ${gateway} ${tunnel}`,
      `fd00::9 2001:db8::/32 p gateway ${gateway} ${tunnel}`,
    ])
    assert.deepEqual(
      [...asked],
      [
        ['node2', '172.30.0.2'],
        ['node3', '172.30.0.3'],
      ],
    )
  })

  test('that no policy selects has no path, and nobody is asked for it', () => {
    for (const other of [pod('db', { labels: { app: 'db' } }), pod('', { labels: undefined })]) {
      const { paths, asked } = plan({ ...input, pods: [other] })
      assert.deepEqual(lines(paths), [])
      assert.equal(asked.size, 0)
    }
  })

  test('whose labels are not known reaches nobody outside', () => {
    const unknown = pod('web-1', { labels: undefined, addresses: ['10.64.0.9', 'fd00::9'] })
    assert.deepEqual(lines(plan({ ...input, pods: [unknown] }).paths), [
      '10.64.0.9 0.0.0.0/0  unknown',
      'fd00::9 ::/0  unknown',
    ])
  })

  test('is selected by its namespace too: by the name that every one has, and by labels of its object', () => {
    const by = (labels: Readonly<Record<string, string>>) =>
      policy('p', { selectors: [{ pods: everything, namespaces: labelled(labels) }] })
    const selected = (labels: Readonly<Record<string, string>>): boolean =>
      plan({ ...input, policies: [by(labels)], namespaces: new Map([['default', { team: 'red' }]]) }).paths.length > 0
    assert.equal(selected({ 'kubernetes.io/metadata.name': 'default' }), true)
    assert.equal(selected({ 'kubernetes.io/metadata.name': 'other' }), false)
    assert.equal(selected({ team: 'red' }), true)
    assert.equal(selected({ team: 'blue' }), false)
  })

  test('has what is excepted from its policy marked so', () => {
    const excluded = policy('p', { excluded: ['10.0.0.0/8'] })
    assert.deepEqual(lines(plan({ ...input, policies: [excluded] }).paths).slice(1), ['10.64.0.9 10.0.0.0/8  excluded'])
  })
})

suite('a gateway', () => {
  const pods = Array.from({ length: 40 }, (_, i) => pod(`web-${i}`, { addresses: [`10.64.0.${i}`] }))

  test('that is dead loses its pods to the others, which keep their own', () => {
    const before = gateways({ ...input, pods })
    const now = gateways({ ...input, pods, health: name => (name === 'node2' ? 'dead' : 'alive') })
    assert.deepEqual(new Set(before), new Set(['node2', 'node3']))
    assert.deepEqual(new Set(now), new Set(['node3']))
  })

  test('that nobody has heard of yet counts as there', () => {
    assert.deepEqual(new Set(gateways({ ...input, pods, health: () => 'untested' })), new Set(['node2', 'node3']))
  })

  test('whose node has gone, or has no address, is none', () => {
    const bare = { ...node('node3', '', GATE), addresses: [] }
    for (const nodes of [input.nodes.slice(0, 2), [...input.nodes.slice(0, 2), bare]])
      assert.deepEqual(new Set(gateways({ ...input, pods, nodes })), new Set(['node2']))
  })

  test('that is not ready is left out while another is', () => {
    const unready = (...names: readonly string[]): PlanInput => ({
      ...input,
      pods,
      nodes: input.nodes.map(row => (names.includes(row.name) ? { ...row, notReady: true } : row)),
    })
    assert.deepEqual(new Set(gateways(unready('node2'))), new Set(['node3']))
    assert.deepEqual(new Set(gateways(unready('node2', 'node3'))), new Set(['node2', 'node3']))
  })

  test('is missing: nothing leaves', () => {
    const { paths, assignments } = plan({ ...input, health: () => 'dead' })
    assert.deepEqual(lines(paths), ['10.64.0.9 0.0.0.0/0 corporate none'])
    assert.deepEqual(
      assignments.map(a => a.gateway),
      [undefined],
    )
  })
})

suite('this node as a gateway', () => {
  const own: PlanInput = { ...input, nodes: [node('node1', '172.30.0.1', GATE)] }
  const addresses = (of: PlanInput): string[] =>
    plan(of).egress.map(row => `${row.device} ${row.family} ${row.addresses.join(',')}`)
  const gateway = (rest: object) =>
    policy('corporate', { gateways: [{ nodes: labelled(GATE), addresses: [], ...rest }] })
  const hostAddresses = [held('172.30.0.1'), held('192.0.2.7', 'dummy0'), held('192.0.2.8', 'dummy0')]

  test('serves its own pods and what others send, with the address that it is known by', () => {
    assert.deepEqual(lines(plan(own).paths), [
      'policy corporate 0.0.0.0/0 corporate here',
      '10.64.0.9 0.0.0.0/0 corporate here',
    ])
    assert.deepEqual(addresses(own), ['policy corporate 4 172.30.0.1'])
    assert.equal(plan(own).asked.size, 0)
  })

  test('bears those of the chosen addresses that it has, or one of the device', () => {
    const chosen = gateway({ addresses: ['192.0.2.8', '198.51.100.1', '192.0.2.7'] })
    assert.deepEqual(addresses({ ...own, hostAddresses, policies: [chosen] }), [
      'policy corporate 4 192.0.2.8,192.0.2.7',
    ])
    const device = gateway({ device: 'dummy0' })
    assert.deepEqual(addresses({ ...own, hostAddresses, policies: [device] }), ['policy corporate 4 192.0.2.7'])
  })

  for (const [what, rest, message] of [
    ['an address', { addresses: ['203.0.113.7'] }, 'addresses: 203.0.113.7 is on no device of node1'],
    ['a device', { device: 'eth7' }, 'device: eth7 has no IPv4 address on node1'],
    ['the family', { addresses: ['2001:db8::1'] }, 'addresses: none is IPv4, as destinations are'],
  ] as const)
    test(`without ${what}: nothing leaves, and it says what there is`, () => {
      const { paths, egress, problems } = plan({ ...own, hostAddresses, policies: [gateway(rest)] })
      assert.deepEqual(egress, [])
      assert.equal(lines(paths)[0], 'policy corporate 0.0.0.0/0 corporate none')
      const there = 'those that are: 172.30.0.1 (eth0), 192.0.2.7 (dummy0), 192.0.2.8 (dummy0)'
      assert.deepEqual(problems, [
        { place: 'EgressPolicy corporate', message: `spec.gateways[0].${message}; ${there}` },
      ])
    })
})

test('two policies whose names have one number are told apart by a problem', () => {
  // Both have the CRC-32 0x4ddb0c25.
  const twins = ['plumless', 'buckeroo'].map(name => policy(name))
  assert.deepEqual(plan({ ...input, policies: twins }).problems, [
    { place: 'EgressPolicy buckeroo', message: 'has the same number as plumless: give one of them another name' },
  ])
})
