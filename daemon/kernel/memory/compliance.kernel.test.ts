/**
 * The in-memory kernel against the real one: the same requests in two namespaces each, `node` and `pod`, then what the
 * dumps say. Compared without what the kernel adds by itself: its own routes, link-local addresses, learnt neighbours.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CAUSEWAY_PROTOCOL, type NetRequest } from '../kernel.ts'
import { type Step, inMemory, node, onLinux, outcome, pod } from './testdata/place.ts'
import {
  address,
  address6,
  bridge,
  clsact,
  filter,
  gateway,
  neighbour,
  nowhere,
  pair,
  route,
  ruleAdd,
  ruleDelete,
  standard,
  standard6,
  toPod,
  toPod6,
  unroute,
  ups,
} from './testdata/steps.ts'

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
  ['routes that lead nowhere', [node(route('10.9.0.0/16', nowhere), route('fd09::/64', nowhere))]],
  ['a blackhole', [node(route('10.9.0.0/16', { type: 'blackhole' }), route('fd09::/64', { type: 'blackhole' }))]],
  [
    'a route that leads nowhere is not a unicast one',
    [
      node(route('10.9.0.0/16', nowhere), route('fd09::/64', nowhere)),
      node(unroute('10.9.0.0/16'), unroute('fd09::/64')),
    ],
  ],
  [
    'a route deleted by its type',
    [
      node(
        route('10.9.0.0/16', nowhere),
        route('fd09::/64', nowhere),
        unroute('10.9.0.0/16', nowhere),
        unroute('fd09::/64', nowhere),
      ),
    ],
  ],
  ...(['10.1.0.5/32', 'fd00::5/128'] as const).map((dst): [string, readonly Step[]] => [
    `routes to ${dst} told apart by metric`,
    [
      ...ups,
      node(route(dst, { link: 'cw0', metric: 20 }), route(dst, { link: 'cw0', metric: 10 })),
      node(route(dst, { link: 'cw0', metric: 30 }), unroute(dst, { metric: 20 }), unroute(dst)),
    ],
  ]),
  [
    'a route of another protocol, gateway or device is not the one to be deleted',
    [
      ...ups,
      pod(address, gateway, standard, standard6),
      pod(
        unroute('0.0.0.0/0', { protocol: 4 }),
        unroute('0.0.0.0/0', { via: '169.254.1.2' }),
        unroute('0.0.0.0/0', { link: 'lo' }),
        unroute('0.0.0.0/0', { mtu: 1400 }),
        unroute('::/0', { protocol: 4 }),
        unroute('::/0', { via: 'fe80::2' }),
        unroute('::/0', { link: 'lo' }),
      ),
    ],
  ],
  [
    'a route deleted by all that it has',
    [
      ...ups,
      pod(address, gateway, standard, standard6),
      pod(
        unroute('0.0.0.0/0', { protocol: CAUSEWAY_PROTOCOL, via: '169.254.1.1', link: 'eth0', mtu: 1350 }),
        unroute('::/0', { protocol: CAUSEWAY_PROTOCOL, via: 'fe80::1', link: 'eth0', mtu: 1200 }),
      ),
    ],
  ],
  [
    'a route in another table',
    [...ups, node(route('10.1.0.5/32', { link: 'cw0', table: 900 }), unroute('10.1.0.5/32'))],
  ],
  ['a route with a source address', [...ups, pod(address, route('10.2.0.0/16', { link: 'eth0', src: '10.1.0.5' }))]],
  [
    'rules',
    [
      node(
        ruleAdd(),
        ruleAdd({ family: 6, from: 'fd00::/64' }),
        ruleAdd({ priority: 71, mark: { value: 1, mask: 255 } }),
      ),
    ],
  ],
  ['a rule twice', [node(ruleAdd({ to: '10.1.0.0/16' }), ruleAdd({ to: '10.1.0.0/16' }))]],
  ['rules that differ in what they are for', [node(ruleAdd({ to: '10.1.0.0/16' }), ruleAdd({ to: '10.2.0.0/16' }))]],
  [
    'a rule deleted by a part of what it has',
    [node(ruleAdd({ to: '10.1.0.0/16' }), { op: 'rule-delete', rule: { table: 900, priority: 70, family: 4 } })],
  ],
  [
    'a rule deleted that is another',
    [node(ruleAdd({ to: '10.1.0.0/16' }), ruleDelete({ to: '10.2.0.0/16' }), ruleDelete({ priority: 71 }))],
  ],
  ['filters on a block, in order', [pair, node(clsact), filter({ block: 71 }, 2, 'b'), filter({ block: 71 }, 1, 'a')]],
  ['a filter replaced', [pair, node(clsact), filter({ block: 71 }, 1, 'a'), filter({ block: 71 }, 1, 'b')]],
  [
    'filters on both sides of a device, one deleted',
    [
      pair,
      node({ op: 'clsact-add', link: 'cw0' }),
      filter({ link: 'cw0', side: 'ingress' }, 1, 'in'),
      filter({ link: 'cw0', side: 'egress' }, 1, 'out'),
      node({ op: 'filter-delete', at: { link: 'cw0', side: 'ingress' }, priority: 1 }),
    ],
  ],
  [
    'filters go with the last device bound to their block',
    [pair, node(clsact), filter({ block: 71 }, 1, 'a'), node({ op: 'link-delete', link: 'cw0' }), pair, node(clsact)],
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
