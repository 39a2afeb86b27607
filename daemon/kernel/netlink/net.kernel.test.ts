/** What all requests share: failures, absence, number; each test in namespaces of its own. */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { NetRequest } from '../kernel.ts'
import { openNewNetns } from '../netns/create.ts'
import { NetlinkNet } from './net.ts'
import { lacking } from '../testdata/lacking.ts'
import { failureOf, linkNamed, namespaceWithPair } from './testdata/pair.ts'

test('deleting what is not there succeeds', () => {
  using pair = namespaceWithPair()
  pair.net.run([
    { op: 'link-delete', link: 'none' },
    { op: 'link-delete', link: 4711 },
    { op: 'link-delete', link: 'a-name-too-long-for-a-link' },
    { op: 'address-delete', link: 'a-name-too-long-for-a-link', address: '10.9.9.9/32' },
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

test('the failure thrown is that of the first request that failed, whichever was found first', () => {
  using pair = namespaceWithPair()
  const refused = { op: 'link-set', link: 'none', mtu: 1300 } as const
  const error = failureOf(() => pair.net.run([refused, { op: 'address-add', link: 'a', address: 'nonsense' }]))
  assert.deepEqual([error.code, error.request], ['ENODEV', refused])
  assert.throws(() => pair.net.run([{ op: 'address-add', link: 'a', address: 'nonsense' }, refused]), {
    code: 'INVALID_ADDRESS',
  })
})

test('a refused change keeps a link from coming up with an address of its own, and no other link', () => {
  using ns = openNewNetns()
  using net = new NetlinkNet(ns.path)
  net.run([{ op: 'link-add', link: { kind: 'veth', name: 'a', peer: { name: 'b' } } }])
  const refused = { op: 'link-set', link: 'a', mtu: 12, addrGenMode: 'none', up: true } as const
  const error = failureOf(() =>
    net.run([refused, { op: 'link-add', link: { kind: 'bridge', name: 'br0', alias: 'whole', up: true } }]),
  )
  assert.deepEqual([error.code, error.request], ['EINVAL', refused])
  const { up, alias } = linkNamed(net, 'br0')
  assert.deepEqual([linkNamed(net, 'a').up, up, alias], [false, true, 'whole'])
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
    if (request.op === 'link-add' && lacking('netkit') === false) return t.skip('this kernel has netkit')
    using pair = namespaceWithPair()
    pair.net.run([
      { op: 'link-add', link: { kind: 'bridge', name: 'clsact' } },
      { op: 'clsact-add', link: 'clsact' },
    ])
    const error = failureOf(() => pair.net.run([request]))
    assert.equal(error.code, code)
    assert.match(error.kernelText, text)
    assert.ok(error.message.includes(error.kernelText), error.message)
    assert.deepEqual(error.request, request)
  })
}

test('thousands of requests go in one run and thousands of rows come in one list', () => {
  using pair = namespaceWithPair()
  const dsts = Array.from({ length: 5000 }, (_, i) => `10.${100 + (i >> 8)}.${i & 255}.0/24`)
  pair.net.run(dsts.map(dst => ({ op: 'route-add', route: { dst, link: 'a' } })))
  const found = pair.net.routes().filter(r => r.protocol === 0xca)
  assert.deepEqual(found.map(r => r.dst).sort(), dsts.toSorted())
})

test('a closed namespace says so instead of touching another descriptor, and can be closed again', async () => {
  using ns = openNewNetns()
  const net = new NetlinkNet(ns.path)
  net[Symbol.dispose]()
  net[Symbol.dispose]()
  const uses: readonly (() => unknown)[] = [
    () => net.run([{ op: 'link-delete', link: 'none' }]),
    () => net.link('lo'),
    () => net.links(),
    () => net.addresses(),
    () => net.routes(),
    () => net.rules(),
    () => net.neighbours(),
    () => net.qdiscs(),
    () => net.filters({ block: 7 }),
    () => net.routeTo('10.0.0.1'),
    () => net.watch(['link'], () => {}),
  ]
  for (const use of uses) assert.throws(use, { code: 'EBADF' }, String(use))
  await assert.rejects(net.runBlocking([]), { code: 'EBADF' })
})
