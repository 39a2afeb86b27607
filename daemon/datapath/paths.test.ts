import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTables, type HostAddressRow, type NodeRow, type PodRow } from '../state/tables.ts'
import { findWays, LAST_RESORT, type Paths, planPaths, type Ways, type WaysInput } from './paths.ts'
import { grantRanges } from './ranges.ts'
import { StrayPods } from './stray-pods.ts'

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
const held = (address: string, prefixLength: number, device = 'eth0'): HostAddressRow => ({
  address,
  prefixLength,
  scope: 'global',
  device,
})
const UPLINK = [held('172.30.0.1', 24), held('fd00:30::1', 64)]

interface Input extends Partial<WaysInput> {
  readonly pods?: readonly PodRow[]
}

/** A plan as the planner makes it, on node n1. */
function plan({ pods = [], ...more }: Input = {}): Paths & Pick<Ways, 'overlay' | 'problems'> {
  const tables = createTables()
  for (const row of pods) tables.pods.put(row)
  const { nodes = [self, near, far] } = more
  const ranges = grantRanges(nodes, 'n1')
  using strays = new StrayPods(tables.pods)
  strays.update(ranges.of)
  const { overlay, ...ways } = findWays({
    self: 'n1',
    mode: 'auto',
    families: [4, 6],
    nodes,
    hostAddresses: UPLINK,
    uplinkAddresses: UPLINK,
    ranges: ranges.of,
    strays: strays.byNode(),
    gateway: () => undefined,
    ...more,
  })
  const problems = [...ranges.problems, ...ways.problems]
  return { ...planPaths({ ...ways, overlay }, { native: 1500, overlay: 1450 }), problems, overlay }
}

/** Without the routes that end this node's own ranges. */
const away = (p: Paths): Paths['routes'] => p.routes.filter(r => r.type !== 'unreachable')
const print = (p: ReturnType<typeof plan>): string =>
  [
    ...p.routes.map(({ dst, type, via, link, mtu, src }) =>
      type === 'unreachable'
        ? `unreachable ${dst}`
        : `route ${dst} via ${via}${link === undefined ? '' : ` dev ${link}`} mtu ${mtu} src ${src}`,
    ),
    ...p.ipcache.map(
      r =>
        `ipcache ${r.prefix} ${r.node} ${r.path.kind === 'overlay' ? `overlay ${r.path.tunnel}` : 'native'}${r.host ? ' itself' : ''}`,
    ),
    `overlay ${p.overlay ?? 'unused'}`,
    ...p.problems,
  ].join('\n')

test('in mode auto an on-link node is reached natively and another through the overlay, each with its MTU', () => {
  assert.equal(
    print(plan()),
    `\
unreachable 10.1.1.0/24
unreachable fd00:1:1::/112
route 10.1.2.0/24 via 172.30.0.2 mtu 1500 src 172.30.0.1
route fd00:1:2::/112 via fd00:30::2 mtu 1500 src fd00:30::1
route 10.1.3.0/24 via 169.254.1.2 dev cw-vxlan mtu 1450 src 172.30.0.1
route fd00:1:3::/112 via fe80::2 dev cw-vxlan mtu 1450 src fd00:30::1
ipcache 172.30.0.2/32 n2 native itself
ipcache fd00:30::2/128 n2 native itself
ipcache 10.1.2.0/24 n2 native
ipcache fd00:1:2::/112 n2 native
ipcache 172.31.9.3/32 n3 overlay 172.31.9.3 itself
ipcache fd00:31::3/128 n3 overlay 172.31.9.3 itself
ipcache 10.1.3.0/24 n3 overlay 172.31.9.3
ipcache fd00:1:3::/112 n3 overlay 172.31.9.3
overlay 4`,
  )
})

test("the node's own ranges end here, after every other route to them and in the families that pods have", () => {
  const ends = plan({ families: [4] }).routes.filter(r => r.type === 'unreachable')
  assert.deepEqual(
    ends.map(r => [r.dst, r.metric, r.via, r.link]),
    [['10.1.1.0/24', LAST_RESORT, undefined, undefined]],
  )
})

const inNetwork = (row: NodeRow, nativeNetwork: string): NodeRow => ({ ...row, nativeNetwork })

test('a node of the same native network is reached by the gateway that leads to it, with the native MTU, a near one directly', () => {
  const gateway = (address: string) =>
    address.includes(':')
      ? { via: 'fe80::fe', link: 'eth1', onlink: true as const }
      : { via: '172.30.0.254', link: 'eth1' }
  const p = plan({ nodes: [self, near, far].map(row => inNetwork(row, 'x')), gateway })
  assert.deepEqual(
    away(p).map(r => `${r.dst} ${r.via} ${r.link} ${r.onlink} ${r.mtu}`),
    [
      '10.1.2.0/24 172.30.0.2 undefined undefined 1500',
      'fd00:1:2::/112 fd00:30::2 undefined undefined 1500',
      '10.1.3.0/24 172.30.0.254 eth1 undefined 1500',
      'fd00:1:3::/112 fe80::fe eth1 true 1500',
    ],
  )
  assert.deepEqual([p.overlay, p.problems], [undefined, []])
})

test('a native network to whose node no route leads is left to it, and is a problem', () => {
  const p = plan({ families: [4], nodes: [self, far].map(row => inNetwork(row, 'x')) })
  assert.deepEqual([away(p), p.ipcache.map(r => r.path.kind)], [[], ['native', 'native']])
  assert.deepEqual(p.problems, ['node n3: no route leads to 172.31.9.3, by which 10.1.3.0/24 is reached (network x)'])
})

test('a native network carries a family that both nodes have an address of; another goes through the overlay', () => {
  const four = inNetwork({ ...far, addresses: ['172.31.9.3'] }, 'x')
  const p = plan({ nodes: [inNetwork(self, 'x'), four], gateway: () => ({ via: '172.30.0.254', link: 'eth0' }) })
  assert.deepEqual(
    p.ipcache.map(r => `${r.prefix} ${r.path.kind} ${r.why}`),
    ['172.31.9.3/32 native network x', '10.1.3.0/24 native network x', 'fd00:1:3::/112 overlay network x without IPv6'],
  )
})

test('mode overlay always uses the overlay', () => {
  assert.deepEqual(new Set(plan({ mode: 'overlay' }).ipcache.map(r => r.path.kind)), new Set(['overlay']))
})

test('in mode native a node beyond the links is left to the fabric: no route that the kernel would refuse', () => {
  const p = plan({ mode: 'native' })
  assert.equal(p.overlay, undefined)
  assert.deepEqual(
    away(p).map(r => r.dst),
    ['10.1.2.0/24', 'fd00:1:2::/112'],
  )
  assert.deepEqual(
    p.ipcache.filter(r => r.node === 'n3').map(r => r.path.kind),
    ['native', 'native', 'native', 'native'],
  )
  assert.deepEqual(p.problems, [])
})

test('each family has its own way: a node that is near by IPv6 only is reached by the overlay with IPv4', () => {
  const half = node('n4', ['172.31.9.4', 'fd00:30::4'], ['10.1.4.0/24', 'fd00:1:4::/112'])
  assert.equal(
    print(plan({ nodes: [half] })),
    `\
route 10.1.4.0/24 via 169.254.1.2 dev cw-vxlan mtu 1450 src 172.30.0.1
route fd00:1:4::/112 via fd00:30::4 mtu 1500 src fd00:30::1
ipcache 172.31.9.4/32 n4 overlay 172.31.9.4 itself
ipcache fd00:30::4/128 n4 native itself
ipcache 10.1.4.0/24 n4 overlay 172.31.9.4
ipcache fd00:1:4::/112 n4 native
overlay 4`,
  )
})

test('a single address without its network says nothing: the node is where its other address is', () => {
  const single = [held('172.30.0.1', 24), held('fd00:30::1', 128)]
  const kinds = (node: NodeRow): unknown =>
    plan({ nodes: [self, node], hostAddresses: single, uplinkAddresses: single }).ipcache.map(r => r.path.kind)
  assert.deepEqual(kinds(near), ['native', 'native', 'native', 'native'])
  assert.deepEqual(kinds(far), ['overlay', 'overlay', 'overlay', 'overlay'])
})

test('an overlay that nothing leads along costs no MTU: a near node of IPv4 without pods of IPv6', () => {
  const four = node('n4', ['172.30.0.4'], ['10.1.4.0/24'])
  assert.equal(plan({ nodes: [self, four] }).overlay, undefined)
  assert.equal(plan({ nodes: [self, { ...four, podCidrs: ['fd00:1:4::/112'] }] }).overlay, 4)
})

test("a pod outside its node's ranges gets a route of its own; one inside and one on the host network do not", () => {
  const pods = [
    pod('inside', 'n2', ['10.1.2.9']),
    pod('stray', 'n2', ['10.9.9.9', 'fd00:9::9']),
    pod('host', 'n2', ['172.30.0.2'], true),
  ]
  assert.deepEqual(
    away(plan({ nodes: [self, near], pods })).map(r => r.dst),
    ['10.1.2.0/24', 'fd00:1:2::/112', '10.9.9.9/32', 'fd00:9::9/128'],
  )
})

test('a family that is switched off is not routed', () => {
  assert.deepEqual(
    away(plan({ families: [4], nodes: [self, near] })).map(r => r.dst),
    ['10.1.2.0/24'],
  )
})

test('the underlay is of a family that both nodes have', () => {
  const six = node('n4', ['fd00:31::4'], ['fd00:1:4::/112'])
  const tunnels = (input: Input): unknown[] => [
    plan(input).overlay,
    new Set(plan(input).ipcache.map(r => (r.path.kind === 'overlay' ? r.path.tunnel : 'native'))),
  ]
  assert.deepEqual(tunnels({ nodes: [self, six] }), [6, new Set(['fd00:31::4'])])
  const here = [held('fd00:30::1', 64)]
  const only6 = { hostAddresses: here, uplinkAddresses: here, nodes: [{ ...self, addresses: ['fd00:30::1'] }, far] }
  assert.deepEqual(tunnels(only6), [6, new Set(['fd00:31::3'])])
})

test('a node that cannot be reached is a problem with its name, not a crash', () => {
  const bare = node('n5', [], ['10.1.5.0/24'])
  const four = node('n6', ['172.30.0.6'], ['fd00:1:6::/112'])
  const six = node('n7', ['fd00:31::7'], ['10.1.7.0/24'])
  assert.deepEqual(plan({ mode: 'native', nodes: [self, bare, four] }).problems, [
    'node n5: has no InternalIP address',
    'node n6: no IPv6 address to reach fd00:1:6::/112 by',
  ])
  const here = [held('172.30.0.1', 24)]
  const only4 = { hostAddresses: here, uplinkAddresses: here, nodes: [{ ...self, addresses: ['172.30.0.1'] }, six] }
  assert.deepEqual(plan(only4).problems, [
    'node n7: no address of a family that this node has, to reach 10.1.7.0/24 by',
  ])
  assert.deepEqual(plan(only4).ipcache, [])
})

test("the node's packets to pods come from the address of its Node object, on whatever device it is", () => {
  const sources = (hostAddresses: HostAddressRow[], uplinkAddresses: HostAddressRow[]): unknown =>
    new Set(away(plan({ hostAddresses, uplinkAddresses, nodes: [self, near] })).map(r => r.src))
  const virtual = held('172.30.0.200', 24)
  assert.deepEqual(sources([virtual, ...UPLINK], [virtual, ...UPLINK]), new Set(['172.30.0.1', 'fd00:30::1']))
  const loopback = held('172.30.0.1', 32, 'lo')
  assert.deepEqual(sources([loopback, virtual], [virtual]), new Set(['172.30.0.1', undefined]))
  assert.deepEqual(sources([virtual], [virtual]), new Set(['172.30.0.200', undefined]))
})

test("a range that two nodes claim stays one node's; the other's pods there have routes of their own", () => {
  const twin = node('n4', ['172.30.0.4'], ['10.1.2.0/24', '10.1.1.0/24'])
  const p = plan({
    families: [4],
    nodes: [twin, near, self],
    pods: [pod('a', 'n4', ['10.1.2.7']), pod('b', 'n2', ['10.1.2.8'])],
  })
  assert.deepEqual(
    p.routes.map(r => `${r.dst} ${r.via ?? r.type}`),
    ['10.1.1.0/24 unreachable', '10.1.2.0/24 172.30.0.2', '10.1.2.7/32 172.30.0.4'],
  )
  assert.deepEqual(p.problems, [
    'node n4: its range 10.1.2.0/24 is also that of node n2, which keeps it',
    'node n4: its range 10.1.1.0/24 is also that of node n1, which keeps it',
  ])
})

const CLOUD = { cloud: 'aws', provider: 'aws' } as const
const cloudNodes = (ranges: boolean): NodeRow[] => [
  { ...self, ...CLOUD, podCidrs: ranges ? self.podCidrs : [] },
  { ...near, ...CLOUD, podCidrs: ranges ? near.podCidrs : [], cloudBlocks: ['172.30.0.32/28'] },
  { ...far, cloud: 'gcp', provider: 'gcp', podCidrs: [], cloudBlocks: ['172.31.9.16/28'] },
]
const cacheText = ({ ipcache }: Paths): string[] =>
  ipcache
    .filter(row => !row.prefix.includes(':'))
    .map(r => `${r.prefix} ${r.node} ${r.path.kind}${r.host ? ' host' : ''}${r.cloud ? ' cloud' : ''}`)

test('what a cloud routes is told where pods have addresses of it, with a route to what another cloud does', () => {
  const planned = plan({ nodes: cloudNodes(true), blocks: ['172.30.0.16/28'], families: [4] })
  assert.deepEqual(cacheText(planned), [
    '172.30.0.2/32 n2 overlay host cloud',
    '10.1.2.0/24 n2 overlay',
    '172.30.0.32/28 n2 overlay cloud',
    '172.31.9.3/32 n3 overlay host',
    '172.31.9.16/28 n3 overlay',
  ])
  assert.deepEqual(
    planned.routes.map(r => `${r.dst} ${r.type ?? r.link}`),
    [
      '10.1.1.0/24 unreachable',
      // What no pod has of a block ends here too.
      '172.30.0.16/28 unreachable',
      '10.1.2.0/24 cw-vxlan',
      '172.31.9.16/28 cw-vxlan',
    ],
  )
  assert.deepEqual(planned.problems, [])
})

test('a cloud’s own routing costs pods no header as long as none needs the overlay', () => {
  const [own, other] = cloudNodes(false)
  const nodes = own && other ? [own, other] : []
  assert.equal(plan({ nodes, blocks: ['172.30.0.16/28'], families: [4] }).overlay, undefined)
  // Pods without addresses of the cloud, here or there.
  assert.equal(plan({ nodes, families: [4] }).overlay, 4)
  assert.equal(plan({ nodes: cloudNodes(true).slice(0, 2), blocks: ['172.30.0.16/28'], families: [4] }).overlay, 4)
})
