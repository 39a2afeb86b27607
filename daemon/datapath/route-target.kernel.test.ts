/** Routes on the kernel, in namespaces of their own. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Net, Route } from '../kernel/kernel.ts'
import { namespaceWithPair } from '../kernel/netlink/testdata/pair.ts'
import { createTables, type RouteRow } from '../state/tables.ts'
import type { Target } from '../state/target.ts'
import { LAST_RESORT } from './paths.ts'
import { routeTarget } from './route-target.ts'

const POD = 'cw0123456789ab'
const row = (route: Route): RouteRow => ({ protocol: 0xca, owner: 'paths', ...route })
const rows = [
  row({ dst: '10.64.2.0/24', via: '10.0.0.2', mtu: 1400, src: '10.0.0.1' }),
  row({ dst: 'fd00:64:2::/64', via: 'fd00::2', mtu: 1400 }),
  row({ dst: '10.64.1.0/24', type: 'unreachable', metric: LAST_RESORT }),
  row({ dst: 'fd00:64:1::/64', type: 'unreachable', metric: LAST_RESORT }),
]
const never = new AbortController().signal

/** Routes of the project as text, sorted. */
function ours(net: Net): string[] {
  const found = net.routes().filter(r => r.protocol === 0xca)
  return found.map(r => `${r.dst} ${r.via ?? r.type}${r.mtu === undefined ? '' : ` mtu ${r.mtu}`}`).sort()
}
const all = [
  '10.64.1.0/24 unreachable',
  '10.64.2.0/24 10.0.0.2 mtu 1400',
  'fd00:64:1::/64 unreachable',
  'fd00:64:2::/64 fd00::2 mtu 1400',
]

suite('routes to other nodes and the ends of own ranges', () => {
  test('are brought about once, then found to be as they are', async () => {
    using pair = namespaceWithPair()
    const target = routeTarget(pair.net)
    for (const one of rows) await target.update(one, undefined, never)
    assert.deepEqual(ours(pair.net), all)
    assert.deepEqual(await target.differing?.(rows, never), [])
    for (const one of rows) await target.update(one, undefined, never)
    assert.deepEqual(ours(pair.net), all)
  })

  test('that somebody changed or took away are told, and no others', async () => {
    using pair = namespaceWithPair()
    const target = routeTarget(pair.net)
    await target.updateBatch?.(rows, [], never)
    pair.net.run([
      { op: 'route-add', route: { ...rows[0], dst: '10.64.2.0/24', mtu: 1300 }, replace: true },
      { op: 'route-delete', route: { dst: 'fd00:64:1::/64', type: 'unreachable' } },
    ])
    assert.deepEqual(await target.differing?.(rows, never), [rows[0], rows[3]])
  })

  const removals: Readonly<Record<string, (target: Target<RouteRow>) => Promise<void>>> = {
    'one by one': async target => {
      for (const one of rows) await target.delete(one, never)
    },
    together: async target => await target.deleteBatch?.(rows, never),
  }
  for (const [how, remove] of Object.entries(removals))
    test(`go ${how}, also with another MTU than they were given, and twice`, async () => {
      using pair = namespaceWithPair()
      const target = routeTarget(pair.net)
      await target.updateBatch?.(rows, [], never)
      pair.net.run([{ op: 'route-add', route: { ...rows[0], dst: '10.64.2.0/24', mtu: 1300 }, replace: true }])
      await remove(target)
      assert.deepEqual(ours(pair.net), [])
      await remove(target)
    })

  test('go without those of others to the same prefixes, and without the route to a pod of the same address', async () => {
    using pair = namespaceWithPair()
    const target = routeTarget(pair.net)
    const foreign = { dst: '10.64.1.0/24', link: 'a', protocol: 3 }
    const ofPod = { dst: '10.9.9.9/32', link: POD }
    pair.net.run([
      { op: 'link-add', link: { kind: 'bridge', name: POD, up: true } },
      { op: 'route-add', route: foreign },
      { op: 'route-add', route: ofPod },
      { op: 'route-add', route: { ...ofPod, dst: 'fd00:9::9/128' } },
    ])
    const stray = [row({ dst: '10.9.9.9/32', via: '10.0.0.2' }), row({ dst: 'fd00:9::9/128', via: 'fd00::2' })]
    for (const gone of [...rows, ...stray]) await target.delete(gone, never)
    await target.prune(createTables().routes, never)
    const left = pair.net.routes().filter(r => [foreign.dst, ofPod.dst, 'fd00:9::9/128'].includes(r.dst))
    assert.deepEqual(left.map(r => `${r.dst} ${r.protocol}`).sort(), [
      '10.64.1.0/24 3',
      '10.9.9.9/32 202',
      'fd00:9::9/128 202',
    ])
  })

  test('that the table lacks are pruned, by all that tells routes apart', async () => {
    using pair = namespaceWithPair()
    const target = routeTarget(pair.net)
    const { routes } = createTables()
    await target.updateBatch?.(
      [
        ...rows,
        row({ dst: '10.64.2.0/24', via: '10.0.0.2', metric: 7 }),
        row({ dst: '10.64.9.0/24', via: '10.0.0.2' }),
      ],
      [],
      never,
    )
    for (const one of rows) routes.put(one)
    assert.equal(await target.prune(routes, never), 2)
    assert.deepEqual(ours(pair.net), all)
  })

  test('by the hundred cost one look, and only those that are wrong are written', async () => {
    using pair = namespaceWithPair()
    const many = Array.from({ length: 600 }, (_, i) =>
      row({ dst: `10.${65 + (i >> 8)}.${i & 255}.0/24`, via: '10.0.0.2' }),
    )
    const counted = { run: 0, routes: 0 }
    const net = new Proxy(pair.net, {
      get:
        (of, name: keyof Net) =>
        (...args: unknown[]) => {
          if (name === 'run') counted.run += (args[0] as unknown[]).length
          if (name === 'routes') counted.routes++
          // The proxy hands on whatever is called.
          return (of[name] as (...all: unknown[]) => unknown).apply(of, args)
        },
    })
    const target = routeTarget(net)
    assert.equal(await target.updateBatch?.(many, [], never), 600)
    pair.net.run([{ op: 'route-delete', route: { dst: '10.65.7.0/24' } }])
    assert.equal(await target.updateBatch?.(many, [], never), 1)
    assert.deepEqual(counted, { run: 601, routes: 2 })
    await target.deleteBatch?.(many, never)
    assert.deepEqual([ours(pair.net), counted.routes], [[], 2])
  })
})
