import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Kernel } from '../../daemon/kernel/kernel.ts'
import { eventually } from '../../test/support/eventually.ts'
import { fakeHost } from '../../test/support/fake-host.ts'
import { parseOptions } from './options.ts'
import { masquerade } from './plugin.ts'

const withAddresses = (...addresses: readonly string[]): Kernel =>
  ({ net: { addresses: () => addresses.map(address => ({ address, scope: 'global' })) } }) as unknown as Kernel

test('the programs are told what is masqueraded', async () => {
  for (const [section, flags] of [
    [null, 1 | 2 | 8],
    [{ ipv6: false, otherProtocols: 'drop' }, 1],
    [{ ipv4: false, nodes: true }, 2 | 4 | 8],
    [{ nat64: {} }, 1 | 2 | 8 | 16],
  ] as const) {
    const host = fakeHost()
    const parts = await masquerade.configure(section)(host)
    assert.deepEqual(parts.datapath, { config: { masquerade_flags: flags } })
    await host.stop()
  }
})

test('rows follow uplinks and addresses; nothing is complete before those are', async () => {
  const host = fakeHost()
  const { uplinks, hostAddresses, egress, nativeRanges } = host.tables
  const known = [uplinks.initializer('test'), hostAddresses.initializer('test')]
  const parts = await masquerade.configure({ nativeRanges: ['10.1.2.3/8'] })(host)
  const done = parts.run?.(host.signal)
  assert.deepEqual([...nativeRanges.values()], [{ prefix: '10.0.0.0/8', owner: 'masquerade.nativeRanges' }])
  assert.equal(nativeRanges.initialized, true)
  uplinks.put({ name: 'eth0', index: 2, mtu: 1500, mac: '' })
  hostAddresses.put({ address: '192.0.2.7', prefixLength: 24, scope: 'global', device: 'eth0' })
  await eventually(() => egress.get('eth0 IPv4')?.addresses[0] === '192.0.2.7')
  assert.equal(egress.initialized, false)
  for (const complete of known) complete()
  hostAddresses.delete('192.0.2.7')
  await eventually(() => egress.size === 0)
  assert.equal(egress.initialized, true)
  await host.stop()
  await done
})

test('external addresses of nodes are outside, or are taken for nodes', async () => {
  for (const [section, ranges] of [
    [{}, []],
    [{ externalAddresses: 'nodes' }, ['203.0.113.1/32', '2001:db8::1/128']],
    [{ externalAddresses: 'nodes', nodes: true }, []],
  ] as const) {
    const host = fakeHost()
    const { nodes, nativeRanges } = host.tables
    const parts = await masquerade.configure(section)(host)
    const done = parts.run?.(host.signal)
    const row = { name: 'n1', addresses: ['192.0.2.1'], podCidrs: [], labels: {} }
    nodes.put({ ...row, externalAddresses: ['203.0.113.1', '2001:db8::1'] })
    await eventually(() => nativeRanges.size === ranges.length)
    assert.deepEqual(
      [...nativeRanges.values()].map(({ prefix }) => prefix),
      ranges,
    )
    nodes.put(row)
    await eventually(() => nativeRanges.size === 0)
    await host.stop()
    await done
  }
})

test('an address that the node does not have is refused with those that it has', () => {
  const host = fakeHost(withAddresses('192.0.2.7', 'fd00::7'))
  assert.throws(() => masquerade.configure({ addresses: ['192.0.2.7', '192.0.2.8'] })(host), {
    key: 'masquerade.addresses.1',
    message: /192\.0\.2\.8 is on no device of this node; allowed: 192\.0\.2\.7, fd00::7/,
  })
})

test('a chosen address that the node loses is a problem, with those that it has, until it is back', async () => {
  const host = fakeHost(withAddresses('192.0.2.7', '192.0.2.8'))
  const { hostAddresses } = host.tables
  const known = hostAddresses.initializer('test')
  const parts = await masquerade.configure({ addresses: ['192.0.2.7', '192.0.2.8'] })(host)
  const put = (address: string) => hostAddresses.put({ address, prefixLength: 24, scope: 'global', device: 'eth0' })
  assert.deepEqual(parts.problems?.(), [], 'the addresses of the node are not known yet')
  put('192.0.2.7')
  known()
  assert.deepEqual(parts.problems?.(), [
    {
      place: 'masquerade.addresses.1',
      message: "192.0.2.8 is on no device of this node; allowed: 192.0.2.7; pods' flows do not leave with it",
    },
  ])
  put('192.0.2.8')
  assert.deepEqual(parts.problems?.(), [])
  await host.stop()
})

const many = (count: number): string[] => Array.from({ length: count }, (_, i) => `192.0.2.${i}`)
test('as many addresses are taken as the programs have room for', () => {
  assert.equal(parseOptions({ addresses: [...many(16), 'fd00::7'] }).addresses.length, 17)
})

test('prefixes of NAT64 are in their table, the well-known one unless others are given', async () => {
  for (const [section, prefixes] of [
    [{}, []],
    [{ nat64: {} }, ['64:ff9b::/96']],
    [{ nat64: { prefixes: ['2001:DB8:64::1/96', '64:ff9b::/96'] } }, ['2001:db8:64::/96', '64:ff9b::/96']],
  ] as const) {
    const host = fakeHost()
    await masquerade.configure(section)(host)
    const { nat64Prefixes } = host.tables
    assert.deepEqual([...nat64Prefixes.values()].map(row => row.prefix).sort(), prefixes)
    assert.equal(nat64Prefixes.initialized, true)
    await host.stop()
  }
})

const mistakes: readonly (readonly [section: unknown, key: string, message: RegExp])[] = [
  [7, 'masquerade', /allowed: a group with the keys ipv4/],
  [{ ipv5: true }, 'masquerade.ipv5', /unknown key; allowed: a group/],
  [{ ipv4: 'yes' }, 'masquerade.ipv4', /allowed: true or false/],
  [{ otherProtocols: 'pass' }, 'masquerade.otherProtocols', /allowed: translate or drop/],
  [{ addresses: ['192.0.2'] }, 'masquerade.addresses.0', /allowed: a list of addresses/],
  [{ addresses: many(17) }, 'masquerade.addresses.16', /too many of IPv4; allowed: up to 16 of each family/],
  [{ addresses: ['fd00::7', 'FD00:0::7'] }, 'masquerade.addresses.1', /fd00::7 is named twice/],
  [{ nativeRanges: ['10.0.0.0/8', '10/8'] }, 'masquerade.nativeRanges.1', /allowed: a list of prefixes/],
  [{ nat64: true }, 'masquerade.nat64', /allowed: a group with the key prefixes/],
  [{ nat64: { prefix: '64:ff9b::/96' } }, 'masquerade.nat64.prefix', /unknown key; allowed: a group/],
  [{ nat64: { prefixes: [] } }, 'masquerade.nat64.prefixes', /allowed: a list of at least one IPv6 prefix/],
  [{ nat64: { prefixes: ['64:ff9b::'] } }, 'masquerade.nat64.prefixes.0', /allowed: a list of at least one/],
  [{ nat64: { prefixes: ['64:ff9b::/96', '64:ff9b:1::/48'] } }, 'masquerade.nat64.prefixes.1', /only behind 96 bits/],
  [{ nat64: { prefixes: ['10.0.0.0/8'] } }, 'masquerade.nat64.prefixes.0', /does not stand for IPv4 here/],
  [{ agentFile: 'config' }, 'masquerade.agentFile', /allowed: an absolute path/],
]
for (const [section, key, message] of mistakes)
  test(`${JSON.stringify(section)} is refused by name`, () => {
    assert.throws(() => parseOptions(section), { key, message })
  })
