import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeRow, PodRow } from '../state/tables.ts'
import { type Paths, type PathsInput, planPaths } from './paths.ts'

const node = (name: string, addresses: string[], podCidrs: string[]): NodeRow => ({
  name,
  addresses,
  podCidrs,
  labels: {},
})
const pod = (name: string, nodeName: string, addresses: string[], hostNetwork = false): PodRow => ({
  namespace: 'default',
  name,
  uid: name,
  nodeName,
  addresses,
  hostNetwork,
  labels: {},
})
const self = node('n1', ['172.30.0.1', 'fd00:30::1'], ['10.1.1.0/24', 'fd00:1:1::/112'])
const near = node('n2', ['172.30.0.2', 'fd00:30::2'], ['10.1.2.0/24', 'fd00:1:2::/112'])
const far = node('n3', ['172.31.9.3', 'fd00:31::3'], ['10.1.3.0/24', 'fd00:1:3::/112'])
const base: PathsInput = {
  self: 'n1',
  mode: 'auto',
  families: [4, 6],
  nodes: [self, near, far],
  pods: [],
  uplinkAddresses: [
    { link: 2, family: 4, address: '172.30.0.1', prefixLength: 24, scope: 'global', dynamic: false },
    { link: 2, family: 6, address: 'fd00:30::1', prefixLength: 64, scope: 'global', dynamic: false },
  ],
  mtu: { native: 1500, overlay: 1450 },
}
const print = (p: Paths): string =>
  [
    ...p.routes.map(
      r => `route ${r.dst} via ${r.via}${r.link === undefined ? '' : ` dev ${r.link}`} mtu ${r.mtu} src ${r.src}`,
    ),
    ...p.ipcache.map(
      r => `ipcache ${r.prefix} ${r.node} ${r.path.kind === 'overlay' ? `overlay ${r.path.tunnel}` : 'native'}`,
    ),
    `overlay ${p.overlay ?? 'unused'}`,
    ...p.problems,
  ].join('\n')

test('in mode auto an on-link node is reached natively and another through the overlay, each with its MTU', () => {
  assert.equal(
    print(planPaths(base)),
    `\
route 10.1.2.0/24 via 172.30.0.2 mtu 1500 src 172.30.0.1
route fd00:1:2::/112 via fd00:30::2 mtu 1500 src fd00:30::1
route 10.1.3.0/24 via 169.254.1.2 dev cw-vxlan mtu 1450 src 172.30.0.1
route fd00:1:3::/112 via fe80::2 dev cw-vxlan mtu 1450 src fd00:30::1
ipcache 10.1.2.0/24 n2 native
ipcache fd00:1:2::/112 n2 native
ipcache 172.31.9.3/32 n3 overlay 172.31.9.3
ipcache fd00:31::3/128 n3 overlay 172.31.9.3
ipcache 10.1.3.0/24 n3 overlay 172.31.9.3
ipcache fd00:1:3::/112 n3 overlay 172.31.9.3
overlay 4`,
  )
})

test('mode native never uses the overlay, mode overlay always', () => {
  assert.equal(planPaths({ ...base, mode: 'native' }).overlay, undefined)
  const all = planPaths({ ...base, mode: 'overlay' }).ipcache
  assert.deepEqual(new Set(all.map(r => r.path.kind)), new Set(['overlay']))
})

test("a pod outside its node's ranges gets a route of its own; one inside and one on the host network do not", () => {
  const pods = [
    pod('inside', 'n2', ['10.1.2.9']),
    pod('stray', 'n2', ['10.9.9.9', 'fd00:9::9']),
    pod('host', 'n2', ['172.30.0.2'], true),
  ]
  const p = planPaths({ ...base, nodes: [self, near], pods })
  assert.deepEqual(
    p.routes.map(r => r.dst),
    ['10.1.2.0/24', 'fd00:1:2::/112', '10.9.9.9/32', 'fd00:9::9/128'],
  )
})

test('a family that is switched off is not routed', () => {
  assert.deepEqual(
    planPaths({ ...base, families: [4], nodes: [self, near] }).routes.map(r => r.dst),
    ['10.1.2.0/24'],
  )
})

test('an IPv6 underlay is used where a node has no IPv4 address', () => {
  const six = node('n4', ['fd00:31::4'], ['fd00:1:4::/112'])
  const p = planPaths({ ...base, nodes: [self, six] })
  assert.equal(p.overlay, 6)
  assert.deepEqual(
    p.ipcache.map(r => (r.path.kind === 'overlay' ? r.path.tunnel : 'native')),
    ['fd00:31::4', 'fd00:31::4'],
  )
})

test('a node that cannot be reached is a problem with its name, not a crash', () => {
  const bare = node('n5', [], ['10.1.5.0/24'])
  const four = node('n6', ['172.30.0.6'], ['fd00:1:6::/112'])
  assert.deepEqual(planPaths({ ...base, nodes: [self, bare, four] }).problems, [
    'node n5: has no InternalIP address',
    'node n6: no IPv6 address to reach fd00:1:6::/112 by',
  ])
})

test('pods outside the ranges of their nodes are found for every node, also in an input that is read once', () => {
  const pods = [pod('a', 'n2', ['10.9.0.2']), pod('b', 'n3', ['10.9.0.3']), pod('c', 'n2', ['10.1.2.7'])]
  const strays = planPaths({ ...base, pods: pods.values() }).ipcache.filter(row => row.prefix.startsWith('10.9.'))
  assert.deepEqual(
    strays.map(row => `${row.prefix} ${row.node}`),
    ['10.9.0.2/32 n2', '10.9.0.3/32 n3'],
  )
})
