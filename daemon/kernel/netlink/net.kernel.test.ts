/** Every request against the kernel, and every list of what it made; each test in namespaces of its own. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { LinkInfo, NetRequest, Route } from '../kernel.ts'
import { openNewNetns } from '../netns/create.ts'
import { NetlinkNet } from './net.ts'
import { NetlinkError } from './netlink-error.ts'

/** A fresh namespace with a veth pair `a`–`b` that is up, 10.0.0.1/24 and fd00::1/64 on `a`. */
function namespaceWithPair(): { net: NetlinkNet } & Disposable {
  const stack = new DisposableStack()
  const ns = stack.use(openNewNetns())
  const net = stack.use(new NetlinkNet(ns.path))
  net.run([
    { op: 'link-add', link: { kind: 'veth', name: 'a', up: true, peer: { name: 'b', up: true } } },
    { op: 'address-add', link: 'a', address: '10.0.0.1/24' },
    { op: 'address-add', link: 'a', address: 'fd00::1/64', noDad: true },
  ])
  return { net, [Symbol.dispose]: () => stack.dispose() }
}

function linkNamed(net: NetlinkNet, name: string): LinkInfo {
  const link = net.link(name)
  assert.ok(link, `there is a link ${name}`)
  return link
}

function pick<T, K extends keyof T>(row: T, ...keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(keys.map(key => [key, row[key]])) as Pick<T, K>
}

async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 10_000; !condition(); ) {
    assert.ok(Date.now() < end, 'the condition came true in time')
    await setImmediate()
  }
}

function failureOf(call: () => void): NetlinkError {
  try {
    call()
  } catch (error) {
    if (error instanceof NetlinkError) return error
    throw error
  }
  throw new assert.AssertionError({ message: 'nothing was thrown' })
}

test('a veth is made whole in one run, its peer in another namespace', () => {
  using here = openNewNetns()
  using there = openNewNetns()
  using net = new NetlinkNet(here.path)
  using podNet = new NetlinkNet(there.path)
  net.run([
    {
      op: 'link-add',
      link: {
        kind: 'veth',
        name: 'cw0123456789ab',
        mac: '02:00:00:00:00:01',
        alias: 'causeway/abc/eth0',
        mtu: 1400,
        group: 0xca,
        gsoMaxSize: 100_000,
        groMaxSize: 110_000,
        gsoIpv4MaxSize: 120_000,
        groIpv4MaxSize: 130_000,
        addrGenMode: 'none',
        up: true,
        peer: {
          name: 'eth0',
          netns: there.path,
          mac: '02:00:00:00:00:02',
          alias: 'pod side',
          mtu: 1390,
          gsoMaxSize: 140_000,
          groIpv4MaxSize: 150_000,
          addrGenMode: 'none',
          up: true,
        },
      },
    },
  ])
  const host = linkNamed(net, 'cw0123456789ab')
  const pod = linkNamed(podNet, 'eth0')
  assert.deepEqual(host, {
    index: host.index,
    name: 'cw0123456789ab',
    kind: 'veth',
    mac: '02:00:00:00:00:01',
    alias: 'causeway/abc/eth0',
    group: 0xca,
    up: true,
    carrier: true,
    loopback: false,
    master: 0,
    peerIndex: pod.index,
    mtu: 1400,
    gsoMaxSize: 100_000,
    groMaxSize: 110_000,
    gsoIpv4MaxSize: 120_000,
    groIpv4MaxSize: 130_000,
  })
  assert.deepEqual(pick(pod, 'mac', 'alias', 'mtu', 'up', 'peerIndex', 'gsoMaxSize', 'groIpv4MaxSize'), {
    mac: '02:00:00:00:00:02',
    alias: 'pod side',
    mtu: 1390,
    up: true,
    peerIndex: host.index,
    gsoMaxSize: 140_000,
    groIpv4MaxSize: 150_000,
  })
  assert.deepEqual([net.addresses(), podNet.addresses()], [[], []], 'no link-local address was added')
})

test('a veth whose peer stays in the namespace comes up on both ends', () => {
  using pair = namespaceWithPair()
  assert.deepEqual(
    ['a', 'b'].map(name => linkNamed(pair.net, name).carrier),
    [true, true],
  )
})

test('a link that exists is refused and left as it was', () => {
  using pair = namespaceWithPair()
  const before = pair.net.links()
  const error = failureOf(() =>
    pair.net.run([
      { op: 'link-add', link: { kind: 'veth', name: 'a', alias: 'mine', peer: { name: 'c', alias: 'mine' } } },
    ]),
  )
  assert.deepEqual([error.code, error.attempt], ['EEXIST', 'link-add veth a'])
  assert.deepEqual(pair.net.links(), before)
})

test('a link can be found by name and index, and absence is undefined', () => {
  using pair = namespaceWithPair()
  const a = linkNamed(pair.net, 'a')
  assert.deepEqual(pair.net.link(a.index), a)
  assert.deepEqual([pair.net.link('none'), pair.net.link(4711)], [undefined, undefined])
})

test('a bridge takes ports, also such as are made with it as master', () => {
  using pair = namespaceWithPair()
  pair.net.run([
    { op: 'link-add', link: { kind: 'bridge', name: 'br0', up: true } },
    { op: 'link-set', link: 'a', master: 'br0' },
    { op: 'link-add', link: { kind: 'veth', name: 'c', master: 'br0', peer: { name: 'd', master: 'br0' } } },
  ])
  const { index, kind } = linkNamed(pair.net, 'br0')
  const masters = ['a', 'c', 'd'].map(name => linkNamed(pair.net, name).master)
  assert.deepEqual([kind, ...masters], ['bridge', index, index, index])
  assert.equal(pair.net.links().length, 6, 'a port is listed once')
  pair.net.run([{ op: 'link-set', link: 'a', master: 0 }])
  assert.equal(linkNamed(pair.net, 'a').master, 0)
})

test('an external vxlan comes up on its port', () => {
  using ns = openNewNetns()
  using net = new NetlinkNet(ns.path)
  const mac = '02:ca:05:e0:00:01'
  const vxlan = { kind: 'vxlan', external: true, port: 4790, name: 'cw-vxlan', mtu: 1400, mac, up: true } as const
  net.run([{ op: 'link-add', link: { ...vxlan, addrGenMode: 'none' } }])
  assert.deepEqual(pick(linkNamed(net, 'cw-vxlan'), 'kind', 'mtu', 'mac', 'up'), {
    kind: 'vxlan',
    mtu: 1400,
    mac,
    up: true,
  })
})

test('a link is renamed, changed and found under its new name in one run', () => {
  using pair = namespaceWithPair()
  pair.net.run([
    { op: 'link-set', link: 'b', rename: 'c', mtu: 1300 },
    { op: 'link-set', link: 'c', group: 5 },
    { op: 'address-add', link: 'c', address: '10.0.0.2/24' },
    { op: 'link-set', link: 'c', up: false },
  ])
  const c = linkNamed(pair.net, 'c')
  assert.deepEqual(pick(c, 'mtu', 'group', 'up', 'carrier'), { mtu: 1300, group: 5, up: false, carrier: false })
  assert.ok(pair.net.addresses().some(a => a.link === c.index && a.address === '10.0.0.2'))
})

test('links are deleted by name, by index and by group', () => {
  using pair = namespaceWithPair()
  const added = ['c', 'e', 'g', 'i'].map(
    (name, i): NetRequest => ({
      op: 'link-add',
      link: { kind: 'veth', name, group: i < 2 ? 9 : 0, peer: { name: `${name}x` } },
    }),
  )
  pair.net.run(added)
  pair.net.run([
    { op: 'link-delete', link: 'g' },
    { op: 'link-delete', link: linkNamed(pair.net, 'i').index },
    { op: 'group-delete', group: 9 },
  ])
  assert.deepEqual(
    pair.net
      .links()
      .map(l => l.name)
      .sort(),
    ['a', 'b', 'lo'],
  )
})

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
  await until(() => pair.net.routeTo('fd00::2') !== undefined)
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

test('deleting what is not there succeeds', () => {
  using pair = namespaceWithPair()
  pair.net.run([
    { op: 'link-delete', link: 'none' },
    { op: 'link-delete', link: 4711 },
    { op: 'group-delete', group: 4711 },
    { op: 'address-delete', link: 'a', address: '10.9.9.9/32' },
    { op: 'address-delete', link: 'a', address: 'fd09::9/128' },
    { op: 'address-delete', link: 'none', address: '10.9.9.9/32' },
    { op: 'route-delete', route: { dst: '10.9.0.0/16', link: 'a' } },
    { op: 'route-delete', route: { dst: 'fd09::/64' } },
    { op: 'route-delete', route: { dst: '10.9.0.0/16', table: 4711 } },
    { op: 'route-delete', route: { dst: '10.9.0.0/16', link: 'none' } },
    { op: 'route-delete', route: { dst: 'fd09::/64', link: 4711 } },
    { op: 'rule-delete', rule: { family: 4, priority: 4711, table: 4711 } },
    { op: 'rule-delete', rule: { family: 6, priority: 4711, table: 4711 } },
    { op: 'neighbour-delete', link: 'a', address: '10.9.9.9' },
    { op: 'neighbour-delete', link: 4711, address: 'fd09::9' },
    { op: 'clsact-delete', link: 'a' },
    { op: 'clsact-delete', link: 'none' },
    { op: 'filter-delete', at: { block: 4711 }, priority: 1 },
    { op: 'filter-delete', at: { link: 'a', side: 'ingress' }, priority: 1 },
  ])
})

test('all requests are tried, then the first failure is thrown', () => {
  using pair = namespaceWithPair()
  const error = failureOf(() =>
    pair.net.run([
      { op: 'link-set', link: 'a', mtu: 1300 },
      { op: 'link-set', link: 'none', mtu: 1300 },
      { op: 'address-add', link: 'nobody', address: '10.7.0.1/16' },
      { op: 'address-add', link: 'b', address: '10.7.0.1/16' },
    ]),
  )
  assert.deepEqual(
    [error.code, error.attempt, error.request],
    ['ENODEV', 'link-set none', { op: 'link-set', link: 'none', mtu: 1300 }],
  )
  assert.equal(linkNamed(pair.net, 'a').mtu, 1300)
  assert.ok(pair.net.addresses().some(a => a.address === '10.7.0.1'))
})

const failures: readonly { readonly request: NetRequest; readonly code: string; readonly text: RegExp }[] = [
  { request: { op: 'link-set', link: 'a', mtu: 12 }, code: 'EINVAL', text: /^mtu less than device minimum$/ },
  {
    request: { op: 'link-add', link: { kind: 'netkit', mode: 'l3', name: 'n0', peer: { name: 'n1' } } },
    code: 'EOPNOTSUPP',
    text: /^Unknown device type$/,
  },
  {
    request: { op: 'route-add', route: { dst: '10.1.0.0/16', via: '192.0.2.1' } },
    code: 'ENETUNREACH',
    text: /^Nexthop has invalid gateway$/,
  },
  {
    request: { op: 'address-add', link: 'none', address: '10.0.0.1/8' },
    code: 'ENODEV',
    text: /^there is no link none$/,
  },
  { request: { op: 'clsact-add', link: 'clsact' }, code: 'EEXIST', text: /^Exclusivity flag on, cannot modify$/ },
  {
    request: { op: 'filter-replace', at: { block: 4711 }, priority: 1, programFd: 0, name: 'x' },
    code: 'EINVAL',
    text: /Block of given index was not found/,
  },
]
for (const { request, code, text } of failures) {
  test(`a refused ${request.op} throws ${code} with the kernel's words`, t => {
    if (request.op === 'link-add' && netkitExists()) return t.skip('this kernel has netkit')
    using pair = namespaceWithPair()
    pair.net.run([
      { op: 'link-set', link: 'b', rename: 'clsact' },
      { op: 'clsact-add', link: 'clsact' },
    ])
    const error = failureOf(() => pair.net.run([request]))
    assert.equal(error.code, code)
    assert.match(error.kernelText, text)
    assert.ok(error.message.includes(error.kernelText), error.message)
    assert.deepEqual(error.request, request)
  })
}

function netkitExists(): boolean {
  using ns = openNewNetns()
  using net = new NetlinkNet(ns.path)
  try {
    net.run([{ op: 'link-add', link: { kind: 'netkit', mode: 'l3', name: 'n0', peer: { name: 'n1' } } }])
    return true
  } catch {
    return false
  }
}

test('an alias of 255 bytes is kept whole and a longer one refused', () => {
  using pair = namespaceWithPair()
  const alias = 'é'.repeat(127)
  pair.net.run([{ op: 'link-set', link: 'a', alias }])
  assert.equal(linkNamed(pair.net, 'a').alias, alias)
  assert.throws(() => pair.net.run([{ op: 'link-set', link: 'a', alias: 'x'.repeat(256) }]), NetlinkError)
})

test('thousands of requests go in one run and thousands of rows come in one list', () => {
  using pair = namespaceWithPair()
  const dsts = Array.from({ length: 5000 }, (_, i) => `10.${100 + (i >> 8)}.${i & 255}.0/24`)
  pair.net.run(dsts.map(dst => ({ op: 'route-add', route: { dst, link: 'a' } })))
  const found = pair.net.routes().filter(r => r.protocol === 0xca)
  assert.deepEqual(found.map(r => r.dst).sort(), dsts.toSorted())
})

test('a closed namespace can be closed again', () => {
  using ns = openNewNetns()
  const net = new NetlinkNet(ns.path)
  net[Symbol.dispose]()
  net[Symbol.dispose]()
})
