/**
 * The in-memory kernel against the real one: the same requests in two namespaces each, `node` and `pod`, then what the
 * dumps say. Compared without what the kernel adds by itself: its own routes, link-local addresses, learnt neighbours.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Kernel, Net, NetRequest } from '../kernel.ts'
import { CAUSEWAY_PROTOCOL } from '../kernel.ts'
import { LinuxKernel } from '../linux.ts'
import { createNetns, deleteNetns } from '../netns/create.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deviceSysctl } from '../sysctl-name.ts'
import { Machine } from './machine.ts'

interface Place {
  readonly kernel: Kernel
  readonly node: Net
  readonly pod: Net
  readonly podPath: string
}

function inMemory(): Place & Disposable {
  const machine = new Machine()
  machine.addNamespace('/node')
  machine.addNamespace('/pod')
  const kernel = machine.process()
  const [node, pod] = [kernel.openNet('/node'), kernel.openNet('/pod')]
  return { kernel, node, pod, podPath: '/pod', [Symbol.dispose]: () => {} }
}

function onLinux(): Place & Disposable {
  const stack = new DisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'cw-compliance-'))
  stack.defer(() => rmSync(directory, { recursive: true }))
  const path = (name: string): string => {
    const at = join(directory, name)
    createNetns(at)
    stack.defer(() => deleteNetns(at))
    return at
  }
  const podPath = path('pod')
  const kernel = stack.use(new LinuxKernel())
  const node = stack.use(kernel.openNet(path('node')))
  const pod = stack.use(kernel.openNet(podPath))
  return { kernel, node, pod, podPath, [Symbol.dispose]: () => stack.dispose() }
}

/** A namespace as lines, links by name. */
function dump(net: Net): string[] {
  const links = net.links()
  const name = (index: number): string => links.find(link => link.index === index)?.name ?? String(index)
  const peers = (index: number): string => (index === 0 ? '' : ` peer ${index}`)
  const sizes = (l: (typeof links)[number]): string =>
    l.loopback ? '' : ` ${l.mtu} ${l.gsoMaxSize} ${l.groMaxSize} ${l.gsoIpv4MaxSize} ${l.groIpv4MaxSize}`
  const ours = (protocol: number): boolean => protocol === CAUSEWAY_PROTOCOL
  return [
    ...links.map(
      l =>
        `link ${l.index} ${l.name} ${l.kind} ${l.up ? 'up' : 'down'} carrier ${l.up && l.carrier} group ${l.group}` +
        ` alias '${l.alias}' master ${name(l.master)}${peers(l.peerIndex)}${sizes(l)}` +
        (l.mac.startsWith('02:00') ? ` ${l.mac}` : ''),
    ),
    ...net
      .addresses()
      .filter(a => !a.address.startsWith('fe80:'))
      .map(a => `address ${a.family} ${a.address}/${a.prefixLength} ${a.scope} dev ${name(a.link)}`),
    ...net
      .routes()
      .filter(r => ours(r.protocol))
      .map(
        r => `route ${r.family} ${r.dst} via ${r.via} dev ${name(r.link)} mtu ${r.mtu} metric ${r.metric} ${r.table}`,
      ),
    ...net
      .neighbours()
      .filter(n => n.permanent && n.mac.startsWith('02:'))
      .map(n => `neighbour ${n.address} ${n.mac} dev ${name(n.link)}`),
    ...net
      .qdiscs()
      .filter(q => q.kind === 'clsact')
      .map(q => `clsact ${name(q.link)} ${q.ingressBlock} ${q.egressBlock}`),
  ].sort()
}

/** The code of each refusal, `ok` where there was none, then both dumps. */
function outcome(place: Place, steps: readonly Step[]): string[] {
  const codes = steps.map(step => {
    try {
      const net = place[step.in]
      net.run(step.run(place.podPath))
      return 'ok'
    } catch (error) {
      return (error as { code?: string }).code ?? String(error)
    }
  })
  return [codes.join(' '), 'node:', ...dump(place.node), 'pod:', ...dump(place.pod)]
}

interface Step {
  readonly in: 'node' | 'pod'
  readonly run: (podPath: string) => NetRequest[]
}
const node = (...requests: NetRequest[]): Step => ({ in: 'node', run: () => requests })
const pod = (...requests: NetRequest[]): Step => ({ in: 'pod', run: () => requests })

const pair: Step = {
  in: 'node',
  run: netns => [
    {
      op: 'link-add',
      link: {
        kind: 'veth',
        name: 'cw0',
        mac: '02:00:00:00:00:01',
        mtu: 1400,
        alias: 'a/b/c',
        addrGenMode: 'none',
        peer: { name: 'eth0', mac: '02:00:00:00:00:02', mtu: 1400, netns },
      },
    },
  ],
}
const ups = [pair, node({ op: 'link-set', link: 'cw0', up: true }), pod({ op: 'link-set', link: 'eth0', up: true })]
const bridge: NetRequest = { op: 'link-add', link: { kind: 'bridge', name: 'br0' } }
const address = { op: 'address-add', link: 'eth0', address: '10.1.0.5/32' } as const
const address6 = { op: 'address-add', link: 'eth0', address: 'fd00::5/128', noDad: true } as const
const route = (dst: string, rest: object): NetRequest => ({
  op: 'route-add',
  route: { dst, protocol: CAUSEWAY_PROTOCOL, ...rest },
})
const gateway = route('169.254.1.1/32', { link: 'eth0', scope: 'link' })
const standard = route('0.0.0.0/0', { link: 'eth0', via: '169.254.1.1', mtu: 1350 })
const standard6 = route('::/0', { link: 'eth0', via: 'fe80::1', onlink: true, mtu: 1350 })
const toPod = route('10.1.0.5/32', { link: 'cw0', scope: 'link' })
const toPod6 = route('fd00::5/128', { link: 'cw0' })
const neighbour = { op: 'neighbour-add', link: 'cw0', address: '10.1.0.5', mac: '02:00:00:00:00:02' } as const
const clsact = { op: 'clsact-add', link: 'cw0', ingressBlock: 71, egressBlock: 72 } as const

const cases: readonly [string, readonly Step[]][] = [
  ['an empty namespace', []],
  ['a pair across namespaces', [pair]],
  ['a pair that is up on one side', [pair, node({ op: 'link-set', link: 'cw0', up: true })]],
  ['a pair that is up', ups],
  ['the same pair twice', [pair, pair]],
  ['a peer whose name is taken', [pod({ ...bridge, link: { kind: 'bridge', name: 'eth0' } } as NetRequest), pair]],
  ['one end deleted', [...ups, node({ op: 'link-delete', link: 'cw0' })]],
  ['the other end deleted', [...ups, pod({ op: 'link-delete', link: 'eth0' })]],
  ['what is not there deleted', [node({ op: 'link-delete', link: 'cw9' }, { op: 'group-delete', group: 77 })]],
  [
    'a group deleted',
    [pair, node({ op: 'link-set', link: 'cw0', group: 7 }, bridge, { op: 'group-delete', group: 7 })],
  ],
  ['a link renamed onto another', [node(bridge), pair, node({ op: 'link-set', link: 'cw0', rename: 'br0' })]],
  ['a link renamed', [pair, node({ op: 'link-set', link: 'cw0', rename: 'cw1' })]],
  ['a port of a bridge', [node(bridge), pair, node({ op: 'link-set', link: 'cw0', master: 'br0' })]],
  [
    'a bridge deleted under its port',
    [node(bridge), pair, node({ op: 'link-set', link: 'cw0', master: 'br0' }, { op: 'link-delete', link: 'br0' })],
  ],
  ['sizes set', [pair, node({ op: 'link-set', link: 'cw0', mtu: 1300, gsoMaxSize: 32_768, groMaxSize: 30_000 })]],
  ['the loopback device up', [pod({ op: 'link-set', link: 'lo', up: true })]],
  ['addresses', [...ups, pod(address, address6)]],
  ['an address twice', [...ups, pod(address, address)]],
  ['an address replaced', [...ups, pod(address, { ...address, replace: true })]],
  [
    'addresses deleted, one of them absent',
    [...ups, pod(address, { ...address, op: 'address-delete' }, { ...address, op: 'address-delete' })],
  ],
  ['an address on a link that is not there', [pod(address)]],
  ['a pod’s routes', [...ups, pod(address, address6, gateway, standard, standard6)]],
  ['a route through a gateway nobody reaches', [...ups, pod(address, standard)]],
  ['a route over a link that is down', [pair, pod(address, gateway)]],
  ['a route twice', [...ups, pod(address, gateway, gateway)]],
  [
    'a route replaced',
    [
      ...ups,
      pod(address, gateway, standard, {
        ...standard,
        route: { dst: '0.0.0.0/0', link: 'eth0', via: '169.254.1.1', mtu: 1200 },
        replace: true,
      } as NetRequest),
    ],
  ],
  [
    'an IPv6 route replaced',
    [
      ...ups,
      pod(address6, standard6, {
        ...standard6,
        route: { dst: '::/0', link: 'eth0', via: 'fe80::1', onlink: true, mtu: 1300 },
        replace: true,
      } as NetRequest),
    ],
  ],
  [
    'routes deleted, one of them absent',
    [
      ...ups,
      pod(
        address,
        gateway,
        { op: 'route-delete', route: { dst: '169.254.1.1/32' } },
        { op: 'route-delete', route: { dst: '169.254.1.1/32' } },
      ),
    ],
  ],
  [
    'routes go with a link that goes down',
    [...ups, pod(address, address6, gateway, standard, standard6, { op: 'link-set', link: 'eth0', up: false })],
  ],
  ['the host side of a pod', [...ups, node(toPod, toPod6, neighbour, { ...neighbour, address: 'fd00::5' }, clsact)]],
  [
    'the host side of a pod whose other end is gone',
    [...ups, node(toPod, toPod6, neighbour, clsact), pod({ op: 'link-delete', link: 'eth0' })],
  ],
  ['a neighbour twice', [...ups, node(neighbour, neighbour)]],
  ['a neighbour replaced', [...ups, node(neighbour, { ...neighbour, mac: '02:00:00:00:00:03', replace: true })]],
  ['neighbours go with a link that goes down', [...ups, node(neighbour, { op: 'link-set', link: 'cw0', up: false })]],
  [
    'a neighbour deleted twice',
    [...ups, node(neighbour, { ...neighbour, op: 'neighbour-delete' }, { ...neighbour, op: 'neighbour-delete' })],
  ],
  ['clsact twice', [pair, node(clsact, clsact)]],
  [
    'clsact deleted twice',
    [pair, node(clsact, { op: 'clsact-delete', link: 'cw0' }, { op: 'clsact-delete', link: 'cw0' })],
  ],
  ['clsact on a link that is not there', [node(clsact)]],
  [
    'a filter of a block nobody is bound to',
    [node({ op: 'filter-replace', at: { block: 71 }, priority: 1, programFd: -1, name: 'x' })],
  ],
  [
    'a filter deleted that is not there',
    [
      pair,
      node(
        { op: 'clsact-add', link: 'cw0' },
        { op: 'filter-delete', at: { link: 'cw0', side: 'egress' }, priority: 1 },
      ),
    ],
  ],
  [
    'a filter deleted beside the block a device is bound to',
    [pair, node(clsact, { op: 'filter-delete', at: { link: 'cw0', side: 'ingress' }, priority: 1 })],
  ],
  [
    'the longest alias and one byte more',
    [
      pair,
      node({ op: 'link-set', link: 'cw0', alias: 'x'.repeat(255) }),
      node({ op: 'link-set', link: 'cw0', alias: 'x'.repeat(256) }),
    ],
  ],
  ['a name that is too long', [node({ op: 'link-add', link: { kind: 'bridge', name: 'a-name-of-16-byte' } })]],
  ['requests go on past a refusal', [node(bridge, bridge, { op: 'link-set', link: 'br0', up: true })]],
]

for (const [name, steps] of cases) {
  test(`in memory as on Linux: ${name}`, () => {
    using memory = inMemory()
    using linux = onLinux()
    assert.deepEqual(outcome(memory, steps), outcome(linux, steps))
  })
}

test('in memory as on Linux: IPv6 that is off refuses addresses until it is on', () => {
  const off = (place: Place): string[] => {
    place.node.run(pair.run(place.podPath))
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
    place.node.run(pair.run(place.podPath))
    const index = place.node.link('cw0')?.index
    const { promise, resolve } = Promise.withResolvers<void>()
    using _ = place.node.watch(['link'], event => {
      if (event.kind === 'link' && event.gone && event.index === index) resolve()
    })
    place.pod.run([{ op: 'link-delete', link: 'eth0' }])
    await promise
    assert.equal(place.node.link('cw0'), undefined)
  }
})
