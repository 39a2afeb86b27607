/** Every request byte for byte, as rtnetlink(7) and the kernel's headers lay the messages out. */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { NetRequest } from '../kernel.ts'
import { laterChanges } from './link-add.ts'
import { linkSetSteps } from './link.ts'
import type { Message } from './message.ts'
import { cases } from './testdata/request-cases.ts'
import { changesNames, describeRequest, encodeRequest, indexedLinks, reached } from './request.ts'

function encode(request: NetRequest): Message {
  return encodeRequest(request, { indexOf: ref => (typeof ref === 'number' ? ref : 9), netnsFd: () => 42 })
}

const hex = (text: string): string => text.replaceAll(/\[[^\]]*\]|\s/g, '')

for (const { name, request, want } of cases) {
  test(name, () => {
    const { type, flags, body } = encode(request)
    assert.deepEqual(
      { type, flags, body: Buffer.from(body).toString('hex') },
      { type: want.type, flags: want.flags ?? 0, body: hex(want.body) },
    )
  })
}

test('every request has a case', () => {
  const ops: Record<NetRequest['op'], true> = {
    'link-add': true,
    'link-set': true,
    'link-delete': true,
    'group-delete': true,
    'address-add': true,
    'address-delete': true,
    'route-add': true,
    'route-delete': true,
    'rule-add': true,
    'rule-delete': true,
    'neighbour-add': true,
    'neighbour-delete': true,
    'clsact-add': true,
    'clsact-delete': true,
    'filter-replace': true,
    'filter-delete': true,
  }
  assert.deepEqual(Object.keys(ops).sort(), [...new Set(cases.map(c => c.request.op))].sort())
})

test('what the kernel ignores in a creation follows it, the link first', () => {
  const later = laterChanges({
    kind: 'veth',
    name: 'cw1',
    alias: 'a',
    up: true,
    peer: { name: 'eth0', netns: '/x', addrGenMode: 'none', up: true },
  })
  assert.deepEqual(later, [
    { change: { op: 'link-set', link: 'cw1', alias: 'a', up: true } },
    { change: { op: 'link-set', link: 'eth0', addrGenMode: 'none', up: true }, netns: '/x' },
  ])
})

test('a creation that says all needs nothing after it', () => {
  assert.deepEqual(laterChanges({ kind: 'bridge', name: 'br0', up: true, mtu: 1400 }), [])
})

for (const [op, mac] of [
  ['a MAC is missing', undefined],
  ['a MAC is no MAC', '02:00:00:00:00'],
] as const) {
  test(`a neighbour is refused when ${op}`, () => {
    const request = {
      op: 'neighbour-add',
      link: 1,
      address: '10.0.0.1',
      ...(mac === undefined ? {} : { mac }),
    } as const
    assert.throws(() => encode(request), RangeError)
  })
}

test('deleting what is absent is success, and no other request is', () => {
  const [ENOENT, ESRCH, ENODEV, EEXIST] = [2, 3, 19, 17]
  const succeeds = (request: NetRequest, errno: number): boolean => reached(request, { errno, kernelText: '' })
  assert.deepEqual(
    [
      succeeds({ op: 'link-delete', link: 'cw1' }, ENODEV),
      succeeds({ op: 'route-delete', route: { dst: '10.0.0.0/8' } }, ESRCH),
      succeeds({ op: 'rule-delete', rule: { family: 4, priority: 1, table: 1 } }, ENOENT),
      succeeds({ op: 'link-set', link: 'cw1' }, ENODEV),
      succeeds({ op: 'route-add', route: { dst: '10.0.0.0/8' } }, EEXIST),
    ],
    [true, true, true, false, false],
  )
})

test('only messages that need an index ask for one', () => {
  const route = { dst: '10.0.0.0/8', link: 'a' }
  assert.deepEqual(
    [
      indexedLinks({ op: 'link-set', link: 'a', up: true }),
      indexedLinks({ op: 'link-set', link: 'a', rename: 'b', master: 'c' }),
      indexedLinks({ op: 'route-add', route }),
      indexedLinks({ op: 'filter-delete', at: { block: 1 }, priority: 1 }),
    ],
    [[], ['a', 'c'], ['a'], []],
  )
})

test('names may change with links that come, go or are renamed', () => {
  const changing = cases.filter(c => changesNames(c.request)).map(c => c.name)
  assert.deepEqual(changing, [
    'link-add veth with its peer in another namespace',
    'link-add without up leaves the flags alone',
    'link-add does not bring up what must be changed before it goes up',
    'link-add netkit',
    'link-add vxlan that takes its tunnel key from each packet',
    'link-set with a new name goes by index',
    'link-delete by name',
    'link-delete by index',
    'group-delete',
  ])
})

test('a link goes up only after the way its IPv6 addresses are generated is set', () => {
  assert.deepEqual(linkSetSteps({ op: 'link-set', link: 'a', up: true, mtu: 1400 }), {
    first: { op: 'link-set', link: 'a', up: true, mtu: 1400 },
  })
  assert.deepEqual(linkSetSteps({ op: 'link-set', link: 'a', rename: 'b', up: true, mtu: 1400, addrGenMode: 'none' }), {
    first: { op: 'link-set', link: 'a', rename: 'b', mtu: 1400, addrGenMode: 'none' },
    then: { op: 'link-set', link: 'b', up: true },
  })
})

test('a request says what it does', () => {
  assert.deepEqual(
    cases.filter(c => /^(filter|clsact|address|link-add v)/.test(c.name)).map(c => describeRequest(c.request)),
    [
      'link-add veth cw1',
      'link-add vxlan cw1',
      'address-add 10.0.0.5/24 on br0',
      'address-add fd00::5/128 on 3',
      'address-delete 10.0.0.5/24 on 3',
      'clsact-add br0 with blocks 51 and 52',
      'clsact-delete 4',
      'filter-replace 1 on block 51',
      'filter-replace 65535 on egress of br0',
      'filter-delete 2 on ingress of br0',
    ],
  )
})
