import assert from 'node:assert/strict'
import { endpointRow } from '../../test/support/endpoint-row.ts'
import { suite, test } from 'node:test'
import { PLAIN_BACKEND, PLAIN_FRONTEND, PLAIN_SERVICE } from '../../test/support/service-row.ts'
import type { FrontendRow } from '../state/service-rows.ts'
import { createTables, type EndpointRow, type Tables } from '../state/tables.ts'
import { type Entry, entryOf } from './entry.ts'
import { type Ends, resolveEnds, type TraceQuestion, TraceRefused } from './question.ts'

const UPLINK = { name: 'eth0', index: 2, mtu: 1500, mac: '02:00:00:00:00:09' }
const OVERLAY = { name: 'cw-vxlan', index: 3 }

function endpoint(name: string, ...addresses: readonly string[]): EndpointRow {
  return endpointRow(name, addresses, {
    device: { name: `cw-${name}`, index: 10, mac: '02:00:00:00:00:0b' },
    interface: { name: 'eth0', mac: '02:00:00:00:00:0a', mtu: 1500 },
  })
}

function frontend(address: string, more: Partial<FrontendRow> = {}): FrontendRow {
  const row = { ...PLAIN_FRONTEND, ...more }
  return { ...row, address, key: `${row.protocol} ${address}:${row.port} ${row.scope}` }
}

/** Two pods here, one elsewhere; a service of two ports, one of both families, a headless one. */
function world(): Tables {
  const tables = createTables()
  tables.endpoints.put(endpoint('a', '10.1.0.2', 'fd00:1::2'))
  tables.endpoints.put(endpoint('b', '10.1.0.3'))
  const pod = { labels: {}, uid: '', hostNetwork: false }
  tables.pods.put({ ...pod, namespace: 'default', name: 'a', nodeName: 'n1', addresses: ['10.1.0.2', 'fd00:1::2'] })
  tables.pods.put({ ...pod, namespace: 'shop', name: 'far', nodeName: 'n2', addresses: ['10.2.0.2'] })
  tables.pods.put({
    ...pod,
    namespace: 'default',
    name: 'own',
    nodeName: 'n1',
    addresses: ['192.0.2.1'],
    hostNetwork: true,
  })
  tables.nodes.put({ name: 'n2', addresses: ['192.0.2.2'], podCidrs: ['10.2.0.0/24'], labels: {} })
  tables.ipcache.put({ prefix: '10.2.0.0/24', node: 'n2', path: { kind: 'overlay', tunnel: '192.0.2.2' }, why: '' })
  tables.ipcache.put({ prefix: '192.0.2.2/32', node: 'n2', host: true, path: { kind: 'native' }, why: '' })
  tables.hostAddresses.put({ address: '192.0.2.1', prefixLength: 24, scope: 'global', device: 'eth0' })
  tables.uplinks.put(UPLINK)
  tables.services.put({ ...PLAIN_SERVICE, name: 'headless' })
  for (const name of ['web', 'dns']) tables.services.put({ ...PLAIN_SERVICE, name })
  tables.frontends.put(frontend('10.96.0.1', { portName: 'http', backends: [PLAIN_BACKEND] }))
  tables.frontends.put(frontend('10.96.0.1', { portName: 'metrics', port: 9090 }))
  tables.frontends.put(frontend('192.0.2.1', { portName: 'http', port: 30_080, kind: 'node-port' }))
  tables.frontends.put(frontend('192.0.2.1', { portName: 'http', port: 30_080, kind: 'node-port', scope: 'outside' }))
  for (const protocol of ['TCP', 'UDP'] as const)
    for (const address of ['10.96.0.2', 'fd00:96::2'])
      tables.frontends.put(frontend(address, { service: 'default/dns', port: 53, protocol }))
  return tables
}

const tables = world()
const parts = { tables, nodeName: 'n1' }
const ask = (from: string, to: string, more: Partial<TraceQuestion> = {}): Ends =>
  resolveEnds(parts, { from, to, ...more })
const textOf = ({ sender, source, destination, protocol, port, service }: Ends): string =>
  [sender.kind, source, destination, protocol, port, service?.service ?? '-'].join(' ')

suite('the ends of a trace', () => {
  const cases: readonly (readonly [from: string, to: string, more: Partial<TraceQuestion>, ends: string])[] = [
    ['a', '10.9.9.9:80', {}, 'pod 10.1.0.2 10.9.9.9 tcp 80 -'],
    ['default/a', '[2001:db8::1]:80', { protocol: 'udp' }, 'pod fd00:1::2 2001:db8::1 udp 80 -'],
    ['fd00:1::2', '2001:db8::1', { protocol: 'icmp' }, 'pod fd00:1::2 2001:db8::1 icmp 0 -'],
    ['b', 'web:80', {}, 'pod 10.1.0.3 10.96.0.1 tcp 80 default/web'],
    ['b', 'default/web:metrics', {}, 'pod 10.1.0.3 10.96.0.1 tcp 9090 default/web'],
    ['b', '10.96.0.1:80', {}, 'pod 10.1.0.3 10.96.0.1 tcp 80 default/web'],
    ['a', 'dns', {}, 'pod 10.1.0.2 10.96.0.2 tcp 53 default/dns'],
    ['fd00:1::2', 'dns', { protocol: 'udp' }, 'pod fd00:1::2 fd00:96::2 udp 53 default/dns'],
    ['a', 'dns', { protocol: 'icmp' }, 'pod 10.1.0.2 10.96.0.2 icmp 0 -'],
    ['198.51.100.7', 'web', {}, 'outside 198.51.100.7 192.0.2.1 tcp 30080 default/web'],
    ['a', 'shop/far:8080', {}, 'pod 10.1.0.2 10.2.0.2 tcp 8080 -'],
    ['a', 'b:8080', {}, 'pod 10.1.0.2 10.1.0.3 tcp 8080 -'],
    ['192.0.2.1', '10.1.0.2:80', {}, 'host 192.0.2.1 10.1.0.2 tcp 80 -'],
    ['own', '10.1.0.2:80', {}, 'host 192.0.2.1 10.1.0.2 tcp 80 -'],
    ['192.0.2.2', '10.1.0.2:80', {}, 'outside 192.0.2.2 10.1.0.2 tcp 80 -'],
    ['10.2.0.2', '10.1.0.2:80', { arrives: true }, 'outside 10.2.0.2 10.1.0.2 tcp 80 -'],
    ['10.2.0.2', '10.1.0.2:80', { device: 'eth0' }, 'outside 10.2.0.2 10.1.0.2 tcp 80 -'],
  ]
  for (const [from, to, more, ends] of cases)
    test(`from ${[from, 'to', to, ...Object.values(more)].join(' ')} are ${ends}`, () => {
      assert.equal(textOf(ask(from, to, more)), ends)
    })

  const refused: readonly (readonly [
    from: string,
    to: string,
    more: Partial<TraceQuestion>,
    code: string,
    way: RegExp,
  ])[] = [
    ['aa', '10.9.9.9:80', {}, 'NO_POD', /no pod default\/aa; perhaps default\/a is meant/],
    ['far', '10.9.9.9:80', {}, 'NO_POD', /perhaps shop\/far is meant/],
    ['shop/far', '10.9.9.9:80', {}, 'ELSEWHERE', /shop\/far is on n2; ask there: causeway trace on n2/],
    ['10.2.0.2', '10.9.9.9:80', {}, 'ELSEWHERE', /shop\/far \(10\.2\.0\.2\) is on n2/],
    ['10.2.0.77', '10.9.9.9:80', {}, 'ELSEWHERE', /10\.2\.0\.77 is on n2/],
    ['a', 'webb:80', {}, 'NO_SERVICE', /perhaps default\/web is meant/],
    ['a', 'headless:80', {}, 'NO_ADDRESS', /has no address of its own: trace to one of its pods/],
    ['b', '[2001:db8::1]:80', {}, 'NO_COMMON_FAMILY', /b has 10\.1\.0\.3, .* 2001:db8::1: no family in common/],
    ['a', 'web', {}, 'SEVERAL_PORTS', /say default\/web:PORT, one of TCP 80 \(http\), TCP 9090 \(metrics\)/],
    ['a', 'web:81', {}, 'NO_PORT', /it has TCP 80 \(http\)/],
    ['198.51.100.7', 'dns', {}, 'NOT_FROM_THERE', /only cluster-ip: trace from a pod/],
    ['a', '10.9.9.9', {}, 'BAD_DESTINATION', /has no port: say ADDRESS:PORT, or --protocol icmp/],
    ['a', '10.9.9.9:0', {}, 'BAD_DESTINATION', /:0 is no port/],
    ['a', '10.9.9.9:80', { protocol: 'icmp' }, 'BAD_DESTINATION', /ICMP has no ports: leave :80 away/],
    ['a', '[10.9', {}, 'BAD_DESTINATION', /is no ADDRESS:PORT/],
    ['a', '10.9.9.9:80', { arrives: true }, 'BAD_SOURCE', /named by its address/],
  ]
  for (const [from, to, more, code, way] of refused)
    test(`from ${[from, 'to', to, ...Object.values(more)].join(' ')} are refused as ${code}, with the way out`, () => {
      assert.throws(
        () => ask(from, to, more),
        (error: unknown) => error instanceof TraceRefused && error.code === code && way.test(error.message),
      )
    })
})

suite('where a traced packet meets the programs', () => {
  const routeTo = () => ({ family: 4, dst: '0.0.0.0/0', link: 2, table: 254, protocol: 3 }) as const
  const enter = (from: string, to: string, more: Partial<TraceQuestion> = {}): Entry =>
    entryOf({ tables, routeTo, overlay: OVERLAY }, ask(from, to, more), { from, to, ...more })
  const arrives = { arrives: true }
  const cases: readonly (readonly [from: string, to: string, at: string, more?: Partial<TraceQuestion>])[] = [
    ['a', '10.9.9.9:80', 'pod_out at cw-a'],
    ['192.0.2.1', '10.1.0.3:80', 'pod_in at cw-b'],
    ['192.0.2.1', '10.2.0.2:80', 'overlay_out at cw-vxlan'],
    ['192.0.2.1', '10.9.9.9:80', 'uplink_out at eth0'],
    ['198.51.100.7', 'web', 'uplink_in at eth0'],
    ['10.2.0.2', '10.1.0.2:80', 'overlay_in at cw-vxlan', arrives],
    ['10.2.0.2', '10.1.0.2:80', 'uplink_in at eth0', { device: 'eth0' }],
    ['10.1.0.3', '10.1.0.2:80', 'overlay_in at cw-vxlan', { device: 'cw-vxlan' }],
  ]
  for (const [from, to, at, more] of cases)
    test(`from ${[from, 'to', to, ...Object.values(more ?? {})].join(' ')} is ${at}`, () => {
      const { program, device } = enter(from, to, more)
      assert.equal(`${program} at ${device.name}`, at)
    })

  const refused = (code: string, way: RegExp) => (error: unknown) =>
    error instanceof TraceRefused && error.code === code && way.test(error.message)

  test('is nowhere for a process of the node that asks a service', () => {
    assert.throws(() => enter('192.0.2.1', 'web:80'), refused('BY_SOCKET', /when they connect/))
  })
  test('is no device that is not an uplink', () => {
    assert.throws(
      () => enter('198.51.100.7', 'web', { device: 'eth1' }),
      refused('NO_UPLINK', /eth1 is no uplink of this node, nor its overlay; there is eth0, cw-vxlan/),
    )
  })
  test('is nowhere for what the node sends itself', () => {
    assert.throws(() => enter('192.0.2.1', '192.0.2.1:22'), refused('BY_LOOPBACK', /no program sees/))
  })
})
