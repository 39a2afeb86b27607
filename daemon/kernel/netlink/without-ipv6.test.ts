import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NetRequest } from '../kernel.ts'
import { withoutIpv6 } from './without-ipv6.ts'

const peer = { name: 'b', addrGenMode: 'none' } as const
const cases: readonly (readonly [NetRequest, NetRequest])[] = [
  [
    { op: 'link-add', link: { kind: 'veth', name: 'a', mtu: 1400, addrGenMode: 'none', peer } },
    { op: 'link-add', link: { kind: 'veth', name: 'a', mtu: 1400, peer: { name: 'b' } } },
  ],
  [
    { op: 'link-add', link: { kind: 'vxlan', external: true, port: 8472, name: 'v', addrGenMode: 'none' } },
    { op: 'link-add', link: { kind: 'vxlan', external: true, port: 8472, name: 'v' } },
  ],
  [
    { op: 'link-set', link: 'a', up: true, addrGenMode: 'none' },
    { op: 'link-set', link: 'a', up: true },
  ],
]
for (const [request, want] of cases)
  test(`${JSON.stringify(request)} loses only what IPv6 alone has`, () => {
    assert.deepEqual(withoutIpv6(request), want)
  })

test('what has nothing of IPv6 is the same', () => {
  const request: NetRequest = { op: 'address-add', link: 'a', address: '10.0.0.1/24' }
  assert.equal(withoutIpv6(request), request)
})
