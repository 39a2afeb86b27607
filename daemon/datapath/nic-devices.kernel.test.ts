/** Devices of network interfaces whose addresses pods have, on the kernel: veth pairs in namespaces of their own stand for them. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import { LinuxKernel } from '../kernel/linux.ts'
import { NetlinkNet } from '../kernel/netlink/net.ts'
import { openNewNetns } from '../kernel/netns/create.ts'
import type { CloudNicRow } from '../state/cloud-rows.ts'
import { createTables } from '../state/tables.ts'
import { declareNicDevices, followNicDevices, lookAtNics, nicProblems } from './nic-devices.ts'

const FIRST: CloudNicRow = {
  id: 'eni-0',
  mac: '02:00:00:00:00:10',
  index: 0,
  subnetCidrs: ['10.0.0.0/24', 'fd00::/64'],
  addresses: ['10.0.0.5', 'fd00::5'],
  blocks: ['10.0.0.16/28'],
}
const SECOND: CloudNicRow = {
  ...FIRST,
  id: 'eni-1',
  mac: '02:00:00:00:00:11',
  index: 1,
  subnetCidrs: ['10.0.1.0/24', 'fd00:0:0:1::/64'],
  addresses: ['10.0.1.5', 'fd00:0:0:1::5'],
  blocks: ['10.0.1.16/28', 'fd00:0:0:1:8::/80'],
}
const BOTH = [4, 6] as const

/** A machine that was booted with its first interface. */
function machine() {
  const stack = new DisposableStack()
  const ns = stack.use(openNewNetns())
  const net = stack.use(new NetlinkNet(ns.path))
  const kernel = stack.use(new LinuxKernel())
  const tables = createTables()
  const log = new FakeLog()
  const plug = (name: string, { mac }: CloudNicRow): void =>
    net.run([{ op: 'link-add', link: { kind: 'veth', name, mac, peer: { name: `${name}-wire`, up: true } } }])
  plug('ens5', FIRST)
  net.run([
    { op: 'link-set', link: 'ens5', up: true, mtu: 1400 },
    { op: 'address-add', link: 'ens5', address: '10.0.0.5/24' },
    { op: 'route-add', route: { dst: '0.0.0.0/0', via: '10.0.0.1', protocol: 16 } },
  ])
  const sysctls = {
    sysctl: (name: string) => kernel.sysctl(name, ns.path),
    setSysctl: (name: string, value: string) => kernel.setSysctl(name, value, ns.path),
  }
  const options = { net, sysctls, tables, families: BOTH, ready: () => true, log }
  const addresses = (name: string): string[] => {
    const { index } = net.link(name) ?? {}
    const own = net.addresses().filter(a => a.link === index && a.scope !== 'link')
    return own.map(a => `${a.address}/${a.prefixLength}`).sort()
  }
  /** Of the main table, by that device. */
  const routes = (name: string): string[] => {
    const { index } = net.link(name) ?? {}
    const main = net.routes().filter(r => r.link === index && r.table === 254 && !r.dst.startsWith('fe80:'))
    return main.map(r => r.dst).sort()
  }
  const said = (): string[] =>
    [...tables.cloudDevices.values()].map(d => `${d.id} ${d.name} ${d.usable ? 'usable' : d.why}`)
  return { ...options, options, plug, addresses, routes, said, [Symbol.dispose]: () => stack.dispose() }
}

function following(options: Parameters<typeof followNicDevices>[0]): AsyncDisposable {
  const controller = new AbortController()
  const running = followNicDevices(options, declareNicDevices(options.tables), controller.signal)
  return {
    async [Symbol.asyncDispose]() {
      controller.abort()
      await running
    },
  }
}

const OWN = ['10.0.1.5/32', 'fd00:0:0:1::5/128']

suite('a network interface', () => {
  test('that the kernel shows is up, as large as the first, with its own address and no other route', () => {
    using m = machine()
    m.plug('ens6', SECOND)
    m.tables.cloudNics.put(FIRST)
    m.tables.cloudNics.put(SECOND)
    assert.equal(lookAtNics(m.options), true)
    assert.deepEqual(m.said(), ['eni-0 ens5 usable', 'eni-1 ens6 usable'])
    const { up, mtu, index } = m.net.link('ens6') ?? {}
    assert.deepEqual({ up, mtu }, { up: true, mtu: 1400 })
    assert.deepEqual(m.addresses('ens6'), OWN)
    assert.deepEqual(m.routes('ens6'), ['fd00:0:0:1::5/128'])
    assert.deepEqual(
      ['net.ipv4.conf.ens5.rp_filter', 'net.ipv4.conf.ens6.rp_filter', 'net.ipv6.conf.ens6.accept_ra'].map(name =>
        m.sysctls.sysctl(name),
      ),
      ['2', '2', '0'],
    )
    assert.deepEqual(m.tables.cloudDevices.get('eni-1'), {
      id: 'eni-1',
      usable: true,
      why: '',
      name: 'ens6',
      index,
      mtu: 1400,
      place: 1,
      gateways: ['10.0.1.1', 'fd00:0:0:1::1'],
      addresses: SECOND.addresses,
      blocks: SECOND.blocks,
    })
    // The host's own stay as they are.
    assert.deepEqual(m.addresses('ens5'), ['10.0.0.5/24'])
    assert.deepEqual(m.routes('ens5'), ['0.0.0.0/0', '10.0.0.0/24'])
  })

  test('that is as it should be is left alone', () => {
    using m = machine()
    m.plug('ens6', SECOND)
    m.tables.cloudNics.put(SECOND)
    lookAtNics(m.options)
    const before = m.log.lines.length
    lookAtNics(m.options)
    assert.deepEqual(m.log.lines.slice(before), [])
  })

  test('has the MTU that the cloud says, if it says one', () => {
    using m = machine()
    m.plug('ens6', SECOND)
    m.tables.cloudNics.put({ ...SECOND, mtu: 1300 })
    lookAtNics(m.options)
    assert.equal(m.net.link('ens6')?.mtu, 1300)
  })

  test('that others configured has nothing of theirs left', () => {
    using m = machine()
    m.plug('ens6', SECOND)
    m.net.run([
      { op: 'link-set', link: 'ens6', up: true },
      { op: 'address-add', link: 'ens6', address: '10.0.1.5/24' },
      { op: 'address-add', link: 'ens6', address: '10.0.1.99/24' },
      { op: 'route-add', route: { dst: '0.0.0.0/0', via: '10.0.1.1', metric: 7, protocol: 16 } },
      { op: 'route-add', route: { dst: '198.51.100.0/24', via: '10.0.1.1', protocol: 4 } },
    ])
    m.tables.cloudNics.put(SECOND)
    lookAtNics(m.options)
    assert.deepEqual(m.addresses('ens6'), OWN)
    assert.deepEqual(m.routes('ens6'), ['fd00:0:0:1::5/128'])
    assert.deepEqual(m.routes('ens5'), ['0.0.0.0/0', '10.0.0.0/24'])
  })

  test('that is not there is told, and one that cannot be configured', () => {
    using m = machine()
    m.tables.cloudNics.put(SECOND)
    lookAtNics(m.options)
    assert.deepEqual(nicProblems(m.tables.cloudDevices.values()), [
      'network interface eni-1: no device has its MAC address 02:00:00:00:00:11',
    ])
    m.plug('ens6', SECOND)
    m.tables.cloudNics.put({ ...SECOND, mtu: 70_000 })
    assert.equal(lookAtNics(m.options), false)
    assert.match(m.said().join(), /^eni-1 ens6 device ens6: .*/)
    assert.equal(m.tables.cloudDevices.get('eni-1')?.usable, false)
  })

  test('is not usable before the programs go by interfaces, and soon after that', async () => {
    using m = machine()
    m.plug('ens6', SECOND)
    m.tables.cloudNics.put(SECOND)
    let ready = false
    await using _running = following({ ...m.options, ready: () => ready })
    await eventually(() => m.tables.cloudDevices.initialized)
    assert.deepEqual(m.said(), ['eni-1 ens6 the programs that know it are not in place yet'])
    ready = true
    await eventually(() => m.said().join() === 'eni-1 ens6 usable')
  })

  test('is followed: as it comes, as others change it, as it goes and comes as another device', async () => {
    using m = machine()
    m.tables.cloudNics.put(FIRST)
    m.tables.cloudNics.put(SECOND)
    const second = (): string | undefined => m.said().find(line => line.startsWith('eni-1'))
    const missing = 'eni-1  no device has its MAC address 02:00:00:00:00:11'
    await using _running = following(m.options)
    await eventually(() => m.tables.cloudDevices.initialized)
    assert.equal(second(), missing)
    m.plug('ens6', SECOND)
    await eventually(() => second() === 'eni-1 ens6 usable')
    const began = performance.now()
    m.net.run([
      { op: 'address-delete', link: 'ens6', address: '10.0.1.5/32' },
      { op: 'address-add', link: 'ens6', address: '10.0.1.7/24' },
      { op: 'link-set', link: 'ens6', mtu: 1280, up: false },
    ])
    await eventually(() => m.addresses('ens6').join() === OWN.join() && m.net.link('ens6')?.mtu === 1400)
    assert.ok(performance.now() - began < 1000)
    m.net.run([{ op: 'link-delete', link: 'ens6' }])
    await eventually(() => second() === missing)
    m.plug('eth7', SECOND)
    await eventually(() => second() === 'eni-1 eth7 usable')
    m.tables.cloudNics.delete('eni-1')
    await eventually(() => second() === undefined)
  })
})
