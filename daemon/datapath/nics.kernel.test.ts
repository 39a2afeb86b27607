/** The way out by network interfaces through the kernel's rules, in a namespace of its own. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempDisposableSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { promisify } from 'node:util'
import { eventually } from '../../test/support/eventually.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import { FakeMetrics } from '../../test/support/fake-metrics.ts'
import { checkSection } from '../config/check.ts'
import { type Settings, schema } from '../config/schema.ts'
import { MemoryMap } from '../kernel/memory/map.ts'
import { LinuxKernel } from '../kernel/linux.ts'
import { NetlinkNet } from '../kernel/netlink/net.ts'
import { createNetns, deleteNetns } from '../kernel/netns/create.ts'
import type { CloudNicRow } from '../state/cloud-rows.ts'
import { Reconciler } from '../state/reconcile.ts'
import { createTables } from '../state/tables.ts'
import { declareNicDevices } from './nic-devices.ts'
import { Nics } from './nics.ts'
import { routeTarget } from './route-target.ts'
import { watchRoutes } from './route-watch.ts'
import type { NicWay, RangeKey } from './shared.gen.ts'

const FIRST: CloudNicRow = {
  id: 'eni-0',
  mac: '02:00:00:00:00:10',
  index: 0,
  subnetCidrs: ['10.0.0.0/24'],
  addresses: ['10.0.0.5'],
  blocks: ['10.0.0.16/28'],
}
const SECOND: CloudNicRow = {
  id: 'eni-1',
  mac: '02:00:00:00:00:11',
  index: 1,
  subnetCidrs: ['10.0.1.0/24', 'fd00:0:0:1::/64'],
  addresses: ['10.0.1.5', 'fd00:0:0:1::5'],
  blocks: ['10.0.1.16/28', '10.0.1.40/32', 'fd00:0:0:1:8::/80'],
}
const run = promisify(execFile)

/** A machine with both, whose daemon follows them. */
async function machine(cloudEgress: 'ebpf' | 'rules') {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(mkdtempDisposableSync(join(tmpdir(), 'cw-nics-')))
  const netns = join(folder.path, 'node')
  createNetns(netns)
  stack.defer(() => deleteNetns(netns))
  const net = stack.use(new NetlinkNet(netns))
  for (const [name, { mac }] of [
    ['ens5', FIRST],
    ['ens6', SECOND],
  ] as const)
    net.run([{ op: 'link-add', link: { kind: 'veth', name, mac, up: true, peer: { name: `${name}-wire`, up: true } } }])
  net.run([
    { op: 'address-add', link: 'ens5', address: '10.0.0.5/24' },
    { op: 'route-add', route: { dst: '0.0.0.0/0', via: '10.0.0.1', protocol: 16 } },
  ])
  const tables = createTables()
  const map = new MemoryMap<RangeKey, NicWay>('nic_ways', 64)
  const linux = stack.use(new LinuxKernel())
  const kernel = {
    net,
    bootId: linux.bootId,
    release: linux.release,
    openNet: (path: string) => linux.openNet(path),
    netnsId: (path: string) => linux.netnsId(path),
    sysctl: (name: string) => linux.sysctl(name, netns),
    setSysctl: (name: string, value: string) => linux.setSysctl(name, value, netns),
    feature: linux.feature.bind(linux),
  }
  kernel.setSysctl('net.ipv4.ip_forward', '1')
  const settings = checkSection(schema, undefined, '', []) as Settings
  const common = { log: new FakeLog(), metrics: new FakeMetrics() }
  const nics = new Nics({
    ...common,
    kernel,
    settings: {
      ...settings,
      routing: { ...settings.routing, cloudEgress },
      paths: {
        ...settings.paths,
        state: join(folder.path, 'state'),
        networkd: join(folder.path, 'networkd'),
        networkManager: join(folder.path, 'nm'),
      },
    },
    tables,
    current: () => map,
    ready: () => true,
    known: declareNicDevices(tables),
  })
  const routes = new Reconciler({ ...common, name: 'kernel-routes', table: tables.routes, target: routeTarget(net) })
  const stop = new AbortController()
  const running = Promise.all([
    nics.run(stop.signal),
    ...nics.reconcilers.map(r => r.start(stop.signal)),
    routes.start(stop.signal),
    watchRoutes(net, () => routes.refresh(), stop.signal),
  ])
  stack.defer(async () => {
    stop.abort()
    await running
  })
  tables.cloudNics.put(FIRST)
  tables.cloudNics.put(SECOND)
  const rules = (): string[] =>
    net
      .rules()
      .filter(r => r.protocol === 0xca)
      .map(r => `${r.priority} ${r.from === undefined ? `to ${r.to}` : `from ${r.from}`} lookup ${r.table}`)
      .sort()
  const defaults = (): string[] =>
    net
      .routes(0xca)
      .map(r => `${r.dst} via ${r.via} table ${r.table}`)
      .sort()
  const ip = (...args: readonly string[]) => run('nsenter', [`--net=${netns}`, 'ip', ...args])
  const stays = stack.move()
  return {
    networkd: join(folder.path, 'networkd'),
    net,
    tables,
    map,
    nics,
    rules,
    defaults,
    ip,
    [Symbol.asyncDispose]: () => stays.disposeAsync(),
  }
}

const RULES = [
  '600 to 10.0.0.16/28 lookup 254',
  '600 to 10.0.1.16/28 lookup 254',
  '600 to 10.0.1.40/32 lookup 254',
  '600 to fd00:0:0:1:8::/80 lookup 254',
  '601 from 10.0.1.16/28 lookup 51713',
  '601 from 10.0.1.40/32 lookup 51713',
  '601 from 10.0.1.5/32 lookup 51713',
  '601 from fd00:0:0:1:8::/80 lookup 51713',
  '601 from fd00:0:0:1::5/128 lookup 51713',
]
const DEFAULTS = ['0.0.0.0/0 via 10.0.1.1 table 51713', '::/0 via fd00:0:0:1::1 table 51713']
const stands = (m: { rules: () => string[]; defaults: () => string[] }): boolean =>
  m.rules().join() === RULES.join() && m.defaults().join() === DEFAULTS.join()

suite('egress by rules', () => {
  test('a block has its interface’s table, and what somebody flushes is back within a second', async () => {
    await using m = await machine('rules')
    await eventually(() => stands(m))
    for (const [family, what] of [
      ['-4', 'rule'],
      ['-6', 'rule'],
      ['-4', 'route'],
      ['-6', 'route'],
    ] as const) {
      await m.ip(family, what, 'flush', ...(what === 'route' ? ['table', '51713'] : []))
      assert.equal(stands(m), false, what)
      const began = performance.now()
      await eventually(() => stands(m))
      assert.ok(performance.now() - began < 1000, `${family} ${what}`)
    }
    // Main and default are not the daemon's: after the flush of all rules only its own lead anywhere.
    const { stdout } = await m.ip('route', 'get', '198.51.100.9', 'from', '10.0.1.17', 'iif', 'ens5')
    assert.match(stdout, /via 10\.0\.1\.1 dev ens6/)
  })

  test('rules go with their block, their interface and the mode', async () => {
    await using m = await machine('rules')
    await eventually(() => stands(m))
    m.tables.cloudNics.put({ ...SECOND, blocks: ['10.0.1.16/28'] })
    await eventually(() => !m.rules().some(rule => rule.includes('10.0.1.40') || rule.includes('/80')))
    assert.ok(m.rules().includes(RULES[4] ?? ''))
    m.tables.cloudNics.delete('eni-1')
    await eventually(() => m.rules().join() === RULES[0] && m.defaults().length === 0)
  })
})

suite('egress by the programs', () => {
  test('has no rules and no routes, and takes away what others left in its name', async () => {
    await using m = await machine('ebpf')
    await eventually(() => existsSync(join(m.networkd, '05-causeway.network')))
    assert.match(readFileSync(join(m.networkd, '05-causeway.network'), 'utf8'), /^MACAddress=02:00:00:00:00:11$/m)
    await eventually(() => m.nics.fact === 'eni-0 on ens5 (1 blocks), eni-1 on ens6 (3 blocks); egress by ebpf')
    // By family: sources, and the interface itself.
    await eventually(() => [...m.map.entries()].length === 2 + 1 + (3 + 1) + (2 + 1))
    m.net.run([
      { op: 'rule-add', rule: { family: 4, priority: 601, from: '10.0.1.16/28', table: 51_713, protocol: 0xca } },
    ])
    await eventually(() => m.rules().length === 0)
    assert.deepEqual(m.defaults(), [])
  })
})
