/** The in-memory kernel against the real one beyond requests: settings, namespaces, events, look-ups. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NetEvent, NetGroup, NetRequest } from '../kernel.ts'
import { deviceSysctl } from '../sysctl-name.ts'
import { until } from '../testdata/until.ts'
import { Machine } from './machine.ts'
import { type Place, inMemory, onLinux, outcome, pod } from './testdata/place.ts'
import {
  address,
  address6,
  bridge,
  gateway,
  nowhere,
  pair,
  route,
  ruleAdd,
  ruleDelete,
  standard,
  standard6,
  unroute,
  ups,
} from './testdata/steps.ts'

test('in memory as on Linux: IPv6 that is off refuses addresses until it is on', () => {
  const off = (place: Place): string[] => {
    place.node.run(pair.run(place))
    const name = (device: string): string => deviceSysctl(6, device, 'disable_ipv6')
    const read = () =>
      ['all', 'default', 'eth0'].map(device => place.kernel.sysctl(name(device), place.podPath)).join(' ')
    place.kernel.setSysctl(name('all'), '1', place.podPath)
    const refused = outcome(place, [pod(address6)])
    const before = read()
    place.kernel.setSysctl(name('all'), '0', place.podPath)
    return [...refused, before, ...outcome(place, [pod(address6)]), read()]
  }
  using memory = inMemory()
  using linux = onLinux()
  assert.deepEqual(off(memory), off(linux))
})

test('in memory as on Linux: a setting is known by its name, a dot in a device written as a slash', () => {
  const names = [
    'net.ipv4.ip_forward',
    'net/ipv4/ip_forward',
    'net.ipv4.no_such_thing',
    'net.ipv6.conf.all.forwarding',
    'net.ipv6.conf.none.forwarding',
    'net.ipv6.conf.eth0.forwarding',
    'net.ipv6.conf.eth0/100.accept_ra',
    'net.ipv6.conf.eth0.100.accept_ra',
    deviceSysctl(6, 'eth0.100', 'accept_ra'),
    deviceSysctl(4, 'eth0', 'rp_filter'),
    deviceSysctl(4, 'eth0', 'no_such_thing'),
  ]
  const look = (place: Place): (string | undefined)[] => {
    place.pod.run([
      { op: 'link-add', link: { kind: 'bridge', name: 'eth0' } },
      { op: 'link-add', link: { kind: 'bridge', name: 'eth0.100' } },
    ])
    for (const name of ['net.ipv4.ip_forward', deviceSysctl(4, 'eth0', 'rp_filter')])
      place.kernel.setSysctl(name, '0', place.podPath)
    place.kernel.setSysctl(deviceSysctl(6, 'eth0.100', 'accept_ra'), '2', place.podPath)
    assert.throws(() => place.kernel.setSysctl('net.ipv6.conf.eth0.100.accept_ra', '2', place.podPath), {
      code: 'ENOENT',
    })
    return names.map(name => `${name} ${place.kernel.sysctl(name, place.podPath)}`)
  }
  using memory = inMemory()
  using linux = onLinux()
  assert.deepEqual(look(memory), look(linux))
})

test('in memory as on Linux: a namespace that is not there cannot be opened', () => {
  using memory = inMemory()
  using linux = onLinux()
  for (const { kernel } of [memory, linux]) {
    assert.throws(() => kernel.openNet('/run/netns/none'), { code: 'ENOENT' })
    assert.equal(kernel.netnsId('/run/netns/none'), undefined)
  }
})

test('in memory as on Linux: the end of a namespace ends the pair, and an event tells so', async () => {
  for (const make of [inMemory, onLinux]) {
    using place = make()
    place.node.run(pair.run(place))
    const index = place.node.link('cw0')?.index
    const gone: NetEvent[] = []
    using _ = place.node.watch(['link'], event => {
      if (event.kind === 'link' && event.gone && event.index === index) gone.push(event)
    })
    place.endPod()
    await until(
      () => gone.length > 0,
      () => `no event of ${make.name}`,
    )
    assert.equal(place.node.link('cw0'), undefined)
    assert.equal(place.kernel.netnsId(place.podPath), undefined)
  }
})

const told: readonly [NetGroup, NetRequest, NetRequest][] = [
  ...(['10.9.0.1/24', 'fd09::1/64'] as const).map((prefix, i): [NetGroup, NetRequest, NetRequest] => [
    i === 0 ? 'address4' : 'address6',
    { op: 'address-add', link: 'br0', address: prefix, noDad: true },
    { op: 'address-delete', link: 'br0', address: prefix },
  ]),
  ['route4', route('10.9.0.0/16', nowhere), unroute('10.9.0.0/16', nowhere)],
  ['route6', route('fd09::/64', nowhere), unroute('fd09::/64', nowhere)],
  ['rule4', ruleAdd(), ruleDelete()],
  ['rule6', ruleAdd({ family: 6 }), ruleDelete({ family: 6 })],
]
/** Linux adds the local route of an IPv6 address from a work queue: a listener of routes hears of it at any time. */
function changesBeside(group: NetGroup): NetRequest[] {
  return told.flatMap(([of, each]) => (group === 'route6' && of === 'address6' ? [] : [each]))
}

for (const [group, , undo] of told) {
  test(`in memory as on Linux: a listener of ${group} hears of each change once, and of no other`, async () => {
    const hear = async (place: Place): Promise<string[]> => {
      place.node.run([bridge])
      const events: string[] = []
      using _ = place.node.watch([group], event => events.push(event.kind))
      for (const each of changesBeside(group)) place.node.run([each])
      await until(
        () => events.length > 0,
        () => `no event of ${group}`,
      )
      place.node.run([undo])
      await until(
        () => events.length > 1,
        () => `one event of ${group}`,
      )
      return events
    }
    using memory = inMemory()
    using linux = onLinux()
    assert.deepEqual(await hear(memory), await hear(linux))
  })
}

test('in memory as on Linux: the way to an address', () => {
  const ways = (place: Place): string[] => {
    for (const step of ups) place[step.in].run(step.run(place))
    place.pod.run([address, address6, gateway, standard, standard6])
    place.pod.run([
      route('10.9.0.0/16', nowhere),
      route('fd09::/64', nowhere),
      route('10.8.0.0/16', { type: 'blackhole' }),
    ])
    const index = place.pod.link('eth0')?.index
    return ['192.0.2.1', '2001:db8::1', '169.254.1.1', '10.9.1.1', 'fd09::1', '10.8.1.1'].map(to => {
      const way = place.pod.routeTo(to)
      return `${to}: ${way?.dst} via ${way?.via} by eth0: ${way?.link === index} table ${way?.table}`
    })
  }
  using memory = inMemory()
  using linux = onLinux()
  assert.deepEqual(ways(memory), ways(linux))
})

test('a machine in memory may lack features', () => {
  const kernel = new Machine({ lacks: ['tcx'] }).process()
  assert.deepEqual([kernel.feature('tcx').state, kernel.feature('veth').state], ['absent', 'present'])
})
