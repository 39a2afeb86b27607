/** Addresses, routes, rules and neighbours on the kernel; each test in namespaces of its own. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { CAUSEWAY_PROTOCOL, type NetRequest, type Route } from '../kernel.ts'
import { openNewNetns } from '../netns/create.ts'
import { NetlinkNet } from './net.ts'
import { until } from '../testdata/until.ts'
import { failureOf, linkNamed, namespaceWithPair, pick } from './testdata/pair.ts'

test('addresses are added, replaced, listed and deleted', () => {
  using pair = namespaceWithPair()
  const link = linkNamed(pair.net, 'b').index
  const add = { op: 'address-add', link, address: '10.0.1.1/16' } as const
  pair.net.run([add, { op: 'address-add', link: 'b', address: 'fd01::1/128', scope: 'link', noDad: true }])
  assert.equal(failureOf(() => pair.net.run([add])).code, 'EEXIST')
  pair.net.run([{ ...add, replace: true }])
  const own = (): unknown => pair.net.addresses().filter(a => a.link === link && !a.address.startsWith('fe80:'))
  assert.deepEqual(own(), [
    { link, family: 4, address: '10.0.1.1', prefixLength: 16, scope: 'global', dynamic: false },
    { link, family: 6, address: 'fd01::1', prefixLength: 128, scope: 'global', dynamic: false },
  ])
  pair.net.run([
    { ...add, op: 'address-delete' },
    { op: 'address-delete', link, address: 'fd01::1/128' },
  ])
  assert.deepEqual(own(), [])
})

test('routes of one protocol are listed without the others, in both families and every table', () => {
  using pair = namespaceWithPair()
  const add = (route: Route): NetRequest => ({ op: 'route-add', route })
  pair.net.run([
    add({ dst: '10.1.0.0/16', link: 'a' }),
    add({ dst: 'fd01::/64', link: 'a', table: 700 }),
    add({ dst: '10.2.0.0/16', type: 'unreachable' }),
    add({ dst: '10.3.0.0/16', link: 'a', protocol: 4 }),
    add({ dst: 'fd03::/64', link: 'a', protocol: 4 }),
  ])
  const listed = (protocol: number): string[] =>
    pair.net
      .routes(protocol)
      .map(r => r.dst)
      .sort()
  assert.deepEqual(listed(CAUSEWAY_PROTOCOL), ['10.1.0.0/16', '10.2.0.0/16', 'fd01::/64'])
  assert.deepEqual(listed(4), ['10.3.0.0/16', 'fd03::/64'])
  assert.deepEqual(listed(7), [])
})

const routes: readonly { readonly name: string; readonly route: Route; readonly want?: Partial<Route> }[] = [
  { name: 'to a directly reached prefix', route: { dst: '10.1.0.0/16', link: 'a' }, want: { scope: 'link' } },
  { name: 'over a gateway', route: { dst: '10.1.0.0/16', via: '10.0.0.2', link: 'a' } },
  {
    name: 'with MTU, metric and source',
    route: { dst: '10.1.0.0/16', via: '10.0.0.2', mtu: 1350, metric: 7, src: '10.0.0.1' },
  },
  { name: 'over an on-link gateway', route: { dst: '0.0.0.0/0', via: '169.254.1.1', link: 'a', onlink: true } },
  { name: 'over a gateway of the other family', route: { dst: '10.1.0.0/16', via: 'fd00::2', link: 'a', metric: 3 } },
  { name: 'in a table beyond 255', route: { dst: '10.1.0.0/16', link: 'a', table: 51_820 } },
  { name: 'of another protocol', route: { dst: '10.1.0.0/16', link: 'a', protocol: 3 } },
  { name: 'that is unreachable', route: { dst: '10.1.0.0/16', type: 'unreachable', metric: 9 } },
  { name: 'that is a black hole', route: { dst: '10.1.0.0/16', type: 'blackhole' } },
  {
    name: 'that is local',
    route: { dst: '10.1.0.1/32', type: 'local', link: 'a', table: 255 },
    want: { scope: 'host' },
  },
  { name: 'over IPv6', route: { dst: 'fd01::/64', via: 'fd00::2', link: 'a', mtu: 1400, metric: 5 } },
  { name: 'over IPv6, on-link', route: { dst: '::/0', via: 'fe80::1', link: 'a', onlink: true } },
  { name: 'over IPv6 that is unreachable', route: { dst: 'fd01::/64', type: 'unreachable', table: 700 } },
  { name: 'over IPv6 that is a black hole', route: { dst: 'fd01::/64', type: 'blackhole' } },
]
for (const { name, route, want } of routes) {
  test(`a route ${name} is listed as it was added and can be deleted`, () => {
    using pair = namespaceWithPair()
    const link = linkNamed(pair.net, 'a').index
    const same = (): unknown[] => pair.net.routes().filter(r => r.dst === route.dst && r.protocol !== 2)
    pair.net.run([{ op: 'route-add', route }])
    const [found, ...others] = same()
    const given = { ...route, ...want, ...(route.link === undefined ? {} : { link }) }
    assert.deepEqual(others, [])
    assert.deepEqual(found, { protocol: 0xca, ...(found as object), ...given })
    pair.net.run([{ op: 'route-delete', route }])
    assert.deepEqual(same(), [])
  })
}

test('a route is replaced only when asked to', () => {
  using pair = namespaceWithPair()
  const add = { op: 'route-add', route: { dst: '10.1.0.0/16', via: '10.0.0.2' } } as const
  const changed = { op: 'route-add', route: { dst: '10.1.0.0/16', via: '10.0.0.3' } } as const
  pair.net.run([add])
  assert.equal(failureOf(() => pair.net.run([changed])).code, 'EEXIST')
  pair.net.run([{ ...changed, replace: true }])
  assert.deepEqual(
    pair.net
      .routes()
      .filter(r => r.dst === '10.1.0.0/16')
      .map(r => r.via),
    ['10.0.0.3'],
  )
})

test('the route to an address is the one the kernel would take', async () => {
  using pair = namespaceWithPair()
  const { index } = linkNamed(pair.net, 'a')
  // IPv6 uses a link only once a worker of the kernel has noticed that its carrier is there.
  await until(
    () => pair.net.routeTo('fd00::2') !== undefined,
    () => 'there is no route to fd00::2',
  )
  pair.net.run([
    { op: 'route-add', route: { dst: '10.1.0.0/16', via: '10.0.0.2', mtu: 1300 } },
    { op: 'route-add', route: { dst: '10.1.2.0/24', type: 'unreachable' } },
    { op: 'route-add', route: { dst: '10.1.3.0/24', type: 'blackhole' } },
    { op: 'route-add', route: { dst: 'fd01::/64', via: 'fd00::2' } },
    { op: 'route-add', route: { dst: 'fd01:0:0:1::/64', type: 'unreachable' } },
    { op: 'route-add', route: { dst: 'fd01:0:0:2::/64', type: 'blackhole' } },
  ])
  const to = (address: string): unknown => {
    const route = pair.net.routeTo(address)
    return (
      route && pick({ via: undefined, src: undefined, mtu: undefined, ...route }, 'dst', 'link', 'via', 'src', 'mtu')
    )
  }
  assert.deepEqual(to('10.1.9.9'), { dst: '10.1.9.9/32', link: index, via: '10.0.0.2', src: '10.0.0.1', mtu: 1300 })
  assert.deepEqual(to('fd01::9'), { dst: 'fd01::9/128', link: index, via: 'fd00::2', src: 'fd00::1', mtu: undefined })
  const none = ['10.1.2.1', '10.1.3.1', '192.0.2.1', 'fd01:0:0:1::1', 'fd01:0:0:2::1', '2001:db8::1']
  assert.deepEqual(
    none.map(to),
    none.map(() => undefined),
  )
})

test('rules are added, listed and deleted', () => {
  using ns = openNewNetns()
  using net = new NetlinkNet(ns.path)
  const rules = [
    { family: 4, priority: 100, from: '10.0.0.0/8', to: '10.1.0.0/16', table: 51_820, protocol: 0xca },
    { family: 4, priority: 101, mark: { value: 0x100, mask: 0xf00 }, table: 200, protocol: 0xca },
    { family: 6, priority: 100, from: 'fd00::/8', table: 254, protocol: 0xca },
  ] as const
  net.run(rules.map(rule => ({ op: 'rule-add', rule })))
  const own = (): unknown[] => net.rules().filter(r => r.protocol === 0xca)
  assert.deepEqual(own(), rules)
  const again = failureOf(() => net.run(rules.slice(0, 1).map(rule => ({ op: 'rule-add', rule }))))
  assert.equal(again.code, 'EEXIST')
  net.run(rules.map(rule => ({ op: 'rule-delete', rule })))
  assert.deepEqual(own(), [])
})

test('neighbours are added, replaced, listed and deleted', () => {
  using pair = namespaceWithPair()
  const { index } = linkNamed(pair.net, 'a')
  const add = { op: 'neighbour-add', link: 'a', address: '10.0.0.9', mac: '02:00:00:00:00:09' } as const
  const add6 = { op: 'neighbour-add', link: index, address: 'fd00::9', mac: '02:00:00:00:00:09' } as const
  pair.net.run([add, add6])
  assert.equal(failureOf(() => pair.net.run([add])).code, 'EEXIST')
  pair.net.run([{ ...add, mac: '02:00:00:00:00:0a', replace: true }])
  const permanent = (): unknown[] => pair.net.neighbours().filter(n => n.permanent)
  assert.deepEqual(permanent(), [
    { link: index, address: '10.0.0.9', mac: '02:00:00:00:00:0a', permanent: true },
    { link: index, address: 'fd00::9', mac: '02:00:00:00:00:09', permanent: true },
  ])
  pair.net.run([
    { op: 'neighbour-delete', link: 'a', address: '10.0.0.9' },
    { op: 'neighbour-delete', link: 'a', address: 'fd00::9' },
  ])
  assert.deepEqual(permanent(), [])
})
