import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../../test/support/fake-clock.ts'
import type { LinkInfo, RouteInfo } from '../kernel/kernel.ts'
import { Gateways } from './gateways.ts'

const NAMES: Readonly<Record<number, string>> = { 1: 'lo', 2: 'eth0', 3: 'cw-vxlan', 4: 'cw0123456789ab' }
const route = (link: number, more: Partial<RouteInfo> = {}): RouteInfo => ({
  family: 4,
  dst: '10.0.0.0/8',
  table: 254,
  protocol: 4,
  link,
  ...more,
})

/** Routes by address, as the kernel would answer; `asked` is what it was asked for. */
function routed(routes: Record<string, RouteInfo | undefined>) {
  const asked: string[] = []
  const clock = new FakeClock()
  const gateways = new Gateways(
    {
      routeTo: address => {
        asked.push(address)
        return routes[address]
      },
      link: index => ({ name: NAMES[Number(index)] ?? '', loopback: index === 1 }) as LinkInfo,
    },
    clock,
  )
  return { gateways, routes, asked, clock }
}

const cases: readonly (readonly [what: string, route: RouteInfo | undefined, gateway: unknown])[] = [
  ['a router', route(2, { via: '10.0.0.1' }), { via: '10.0.0.1', link: 'eth0' }],
  [
    'a router that no other route covers',
    route(2, { via: '10.0.0.1', onlink: true }),
    { via: '10.0.0.1', link: 'eth0', onlink: true },
  ],
  ['the node itself', route(2), { via: '10.1.0.9', link: 'eth0' }],
  ['this node', route(1), undefined],
  ['the overlay, which is for pods', route(3, { via: '169.254.1.2' }), undefined],
  ['a pod', route(4), undefined],
  ['nothing', undefined, undefined],
]
for (const [what, to, gateway] of cases)
  test(`a route that leads to ${what} gives ${JSON.stringify(gateway) ?? 'no gateway'}`, () => {
    assert.deepEqual(routed({ '10.1.0.9': to }).gateways.to('10.1.0.9'), gateway)
  })

test('the kernel is asked once for each address until somebody says that routes have changed', async () => {
  const { gateways, routes, asked } = routed({ '10.1.0.1': route(2, { via: '10.0.0.1' }), '10.1.0.2': undefined })
  for (let plan = 0; plan < 3; plan++) {
    gateways.begin()
    for (const address of Object.keys(routes)) gateways.to(address)
  }
  assert.deepEqual(asked.splice(0), ['10.1.0.1', '10.1.0.2'])
  await gateways.look()
  assert.deepEqual([gateways.revision, asked.splice(0)], [0, ['10.1.0.1', '10.1.0.2']])
  routes['10.1.0.2'] = route(2, { via: '10.0.0.2' })
  await gateways.look()
  await gateways.look()
  assert.deepEqual([gateways.revision, gateways.to('10.1.0.2')], [1, { via: '10.0.0.2', link: 'eth0' }])
})

test('an address that the last plan did not ask for is forgotten, also by a look that is under way', async () => {
  const { gateways, asked } = routed({})
  gateways.to('10.1.0.1')
  gateways.begin()
  for (let i = 0; i < 150; i++) gateways.to(`10.2.0.${i}`)
  asked.length = 0
  const looking = gateways.look()
  assert.equal(asked.length, 99, 'then other work has its turn')
  gateways.begin()
  gateways.to('10.2.0.0')
  await looking
  assert.deepEqual([asked.length, asked.includes('10.1.0.1')], [99, false])
})

test('a look is followed by a rest of twenty times what it took', async () => {
  const { gateways, clock } = routed({})
  for (let i = 0; i < 100; i++) gateways.to(`10.2.0.${i}`)
  assert.equal(gateways.restMs, 0)
  const looking = gateways.look()
  await clock.advance(100)
  await looking
  assert.equal(gateways.restMs, 0, 'the turn had no time to take')
  clock.turn = () => clock.advance(100)
  await gateways.look()
  assert.equal(gateways.restMs, 2000)
  await clock.advance(1500)
  assert.equal(gateways.restMs, 500)
})
