/** Links on the kernel; each test in namespaces of its own. */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { NetRequest } from '../kernel.ts'
import { openNewNetns } from '../netns/create.ts'
import { NetlinkNet } from './net.ts'
import { NetlinkError } from './netlink-error.ts'
import { lacking } from '../testdata/lacking.ts'
import { failureOf, linkNamed, namespaceWithPair, pick } from './testdata/pair.ts'

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
        addrGenMode: 'none',
        up: true,
        peer: {
          name: 'eth0',
          netns: there.path,
          mac: '02:00:00:00:00:02',
          alias: 'pod side',
          mtu: 1390,
          gsoMaxSize: 140_000,
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
    gsoIpv4MaxSize: host.gsoIpv4MaxSize,
    groIpv4MaxSize: host.groIpv4MaxSize,
  })
  assert.deepEqual(pick(pod, 'mac', 'alias', 'mtu', 'up', 'peerIndex', 'gsoMaxSize'), {
    mac: '02:00:00:00:00:02',
    alias: 'pod side',
    mtu: 1390,
    up: true,
    peerIndex: host.index,
    gsoMaxSize: 140_000,
  })
  assert.deepEqual([net.addresses(), podNet.addresses()], [[], []], 'no link-local address was added')
})

test('sizes for IPv4 are kept apart where the kernel does so, else they are those of both families', () => {
  using ns = openNewNetns()
  using net = new NetlinkNet(ns.path)
  const sizes = { gsoMaxSize: 100_000, groMaxSize: 110_000, gsoIpv4MaxSize: 120_000, groIpv4MaxSize: 130_000 }
  const keys = ['gsoMaxSize', 'groMaxSize', 'gsoIpv4MaxSize', 'groIpv4MaxSize'] as const
  net.run([{ op: 'link-add', link: { kind: 'veth', name: 'a', ...sizes, peer: { name: 'b', ...sizes } } }])
  const want =
    lacking('big-tcp-ipv4', [6, 3]) === false ? sizes : { ...sizes, gsoIpv4MaxSize: 100_000, groIpv4MaxSize: 110_000 }
  assert.deepEqual(
    ['a', 'b'].map(name => pick(linkNamed(net, name), ...keys)),
    [want, want],
  )
  net.run([{ op: 'link-set', link: 'b', gsoMaxSize: 65_536, groMaxSize: 65_536 }])
  assert.deepEqual(pick(linkNamed(net, 'b'), 'gsoMaxSize', 'groMaxSize'), { gsoMaxSize: 65_536, groMaxSize: 65_536 })
})

for (const mode of ['l2', 'l3'] as const) {
  test(`a netkit pair of mode ${mode} is made with its peer in another namespace`, { skip: lacking('netkit') }, () => {
    using here = openNewNetns()
    using there = openNewNetns()
    using net = new NetlinkNet(here.path)
    using podNet = new NetlinkNet(there.path)
    const peer = { name: 'eth0', netns: there.path, mtu: 1390, up: true }
    net.run([{ op: 'link-add', link: { kind: 'netkit', mode, name: 'a', alias: 'x', mtu: 1400, up: true, peer } }])
    const host = linkNamed(net, 'a')
    const pod = linkNamed(podNet, 'eth0')
    assert.deepEqual(pick(host, 'kind', 'mtu', 'alias', 'up', 'peerIndex'), {
      kind: 'netkit',
      mtu: 1400,
      alias: 'x',
      up: true,
      peerIndex: pod.index,
    })
    assert.deepEqual(pick(pod, 'kind', 'mtu', 'up', 'peerIndex'), {
      kind: 'netkit',
      mtu: 1390,
      up: true,
      peerIndex: host.index,
    })
  })
}

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
  const absent = ['none', 4711, 'a-name-too-long-for-a-link', 0, '']
  assert.deepEqual(
    absent.map(ref => pair.net.link(ref)),
    absent.map(() => undefined),
  )
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
  assert.deepEqual(pick(linkNamed(net, 'cw-vxlan'), 'kind', 'vxlan', 'mtu', 'mac', 'up'), {
    kind: 'vxlan',
    vxlan: { port: 4790, external: true },
    mtu: 1400,
    mac,
    up: true,
  })
})

test('a link is renamed, changed and found under its new name in one run', () => {
  using pair = namespaceWithPair()
  pair.net.run([
    { op: 'link-set', link: 'b', up: false },
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

test('an alias of 255 bytes is kept whole and a longer one refused', () => {
  using pair = namespaceWithPair()
  for (const alias of ['x'.repeat(255), `x${'é'.repeat(127)}`, 'x', '']) {
    pair.net.run([{ op: 'link-set', link: 'a', alias }])
    assert.equal(linkNamed(pair.net, 'a').alias, alias)
  }
  assert.throws(() => pair.net.run([{ op: 'link-set', link: 'a', alias: 'x'.repeat(256) }]), NetlinkError)
})
