/** Events from the kernel's multicast groups. */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { NetEvent, NetGroup, NetRequest } from '../kernel.ts'
import { runChild } from '../bpf/testdata/child.ts'
import { openNewNetns } from '../netns/create.ts'
import { until } from '../testdata/until.ts'
import { NetlinkNet } from './net.ts'

const ALL: readonly NetGroup[] = ['link', 'address4', 'address6', 'route4', 'route6', 'rule4', 'rule6']

interface Watched extends Disposable {
  readonly net: NetlinkNet
  /** Those that were not taken off yet. */
  readonly events: NetEvent[]
  /** Every one there was. */
  readonly all: readonly NetEvent[]
  /** Resolves once an event satisfies the condition; it is taken off the list with those before it. */
  until(matches: (event: NetEvent) => boolean): Promise<NetEvent>
}

function watched(groups: readonly NetGroup[] = ALL): Watched {
  const stack = new DisposableStack()
  const ns = stack.use(openNewNetns())
  const net = stack.use(new NetlinkNet(ns.path))
  const events: NetEvent[] = []
  const all: NetEvent[] = []
  stack.use(
    net.watch(groups, event => {
      events.push(event)
      all.push(event)
    }),
  )
  async function taken(matches: (event: NetEvent) => boolean): Promise<NetEvent> {
    await until(
      () => events.some(matches),
      () => `not among ${JSON.stringify(events)}`,
    )
    const [found] = events.splice(0, events.findIndex(matches) + 1).slice(-1)
    assert.ok(found)
    return found
  }
  return { net, events, all, until: taken, [Symbol.dispose]: () => stack.dispose() }
}

const bridge: NetRequest = { op: 'link-add', link: { kind: 'bridge', name: 'br0', up: true } }

test('a new, a changed and a deleted link are told with index and name', async () => {
  using w = watched(['link'])
  w.net.run([bridge])
  const index = w.net.link('br0')?.index ?? 0
  const event = { kind: 'link', gone: false, index, name: 'br0' }
  assert.deepEqual(await w.until(e => e.kind === 'link'), event)
  w.net.run([
    { op: 'link-set', link: 'br0', up: false },
    { op: 'link-set', link: 'br0', rename: 'br1', mtu: 1300 },
  ])
  assert.deepEqual(await w.until(e => e.kind === 'link' && e.name === 'br1'), { ...event, name: 'br1' })
  w.net.run([{ op: 'link-delete', link: 'br1' }])
  assert.deepEqual(await w.until(e => e.kind === 'link' && e.gone), { ...event, name: 'br1', gone: true })
})

test('a port that leaves its bridge is not gone', async () => {
  using w = watched(['link'])
  w.net.run([bridge, { op: 'link-add', link: { kind: 'veth', name: 'a', master: 'br0', peer: { name: 'b' } } }])
  w.net.run([
    { op: 'link-set', link: 'a', master: 0 },
    { op: 'link-set', link: 'a', up: false, rename: 'last' },
  ])
  const seen: NetEvent[] = []
  await w.until(e => {
    seen.push(e)
    return e.kind === 'link' && e.name === 'last'
  })
  assert.deepEqual(
    seen.filter(e => e.kind === 'link' && e.gone),
    [],
  )
})

const changes: readonly {
  readonly kind: NetEvent['kind']
  readonly group: NetGroup
  readonly add: NetRequest
  readonly undo: NetRequest
}[] = [
  {
    kind: 'address',
    group: 'address4',
    add: { op: 'address-add', link: 'br0', address: '10.0.0.1/24' },
    undo: { op: 'address-delete', link: 'br0', address: '10.0.0.1/24' },
  },
  {
    kind: 'address',
    group: 'address6',
    add: { op: 'address-add', link: 'br0', address: 'fd00::1/64', noDad: true },
    undo: { op: 'address-delete', link: 'br0', address: 'fd00::1/64' },
  },
  {
    kind: 'route',
    group: 'route4',
    add: { op: 'route-add', route: { dst: '10.1.0.0/16', type: 'unreachable' } },
    undo: { op: 'route-delete', route: { dst: '10.1.0.0/16', type: 'unreachable' } },
  },
  {
    kind: 'route',
    group: 'route6',
    add: { op: 'route-add', route: { dst: 'fd01::/64', type: 'unreachable' } },
    undo: { op: 'route-delete', route: { dst: 'fd01::/64', type: 'unreachable' } },
  },
  {
    kind: 'rule',
    group: 'rule4',
    add: { op: 'rule-add', rule: { family: 4, priority: 5, table: 9 } },
    undo: { op: 'rule-delete', rule: { family: 4, priority: 5, table: 9 } },
  },
  {
    kind: 'rule',
    group: 'rule6',
    add: { op: 'rule-add', rule: { family: 6, priority: 5, table: 9 } },
    undo: { op: 'rule-delete', rule: { family: 6, priority: 5, table: 9 } },
  },
]
for (const { kind, group, add, undo } of changes) {
  test(`group ${group} tells of an added and of a deleted ${kind}`, async () => {
    using w = watched([group])
    w.net.run([{ op: 'link-add', link: { kind: 'bridge', name: 'br0', addrGenMode: 'none' } }])
    w.net.run([{ op: 'link-set', link: 'br0', up: true }, add])
    assert.deepEqual(await w.until(e => e.kind === kind), { kind })
    w.events.length = 0
    w.net.run([undo])
    assert.deepEqual(await w.until(e => e.kind === kind), { kind })
  })
}

test('a listener hears only the groups it asked for', async () => {
  using w = watched(['rule4'])
  w.net.run([bridge, { op: 'rule-add', rule: { family: 4, priority: 5, table: 9 } }])
  await w.until(e => e.kind === 'rule')
  assert.deepEqual(w.all, [{ kind: 'rule' }])
})

test('more events than the queue holds are told as an overrun, and later ones arrive', async () => {
  using w = watched(['route4'])
  const route = (i: number): NetRequest => ({
    op: 'route-add',
    route: { dst: `10.${(i >> 8) & 255}.${i & 255}.0/24`, type: 'unreachable' },
  })
  // The event loop stands still meanwhile, so that nobody reads; each event takes 768 bytes of the 8 MiB or more.
  w.net.run(Array.from({ length: 20_000 }, (_, i) => route(i)))
  await w.until(e => e.kind === 'overrun')
  assert.deepEqual(w.all, [{ kind: 'overrun' }])
  w.net.run([{ op: 'route-add', route: { dst: '192.168.0.0/16', type: 'unreachable' } }])
  await w.until(e => e.kind === 'route')
})

test('after disposal no event comes and the loop is free to end', async () => {
  const w = watched()
  w.net.run([bridge])
  w[Symbol.dispose]()
  w[Symbol.dispose]()
  await new Promise(resolve => setImmediate(resolve))
  await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual(w.events, [])
})

test('a listener may dispose of its watch in the middle of events', async () => {
  using ns = openNewNetns()
  using net = new NetlinkNet(ns.path)
  const seen: NetEvent[] = []
  const first = Promise.withResolvers<void>()
  const watch = net.watch(['link'], event => {
    seen.push(event)
    watch[Symbol.dispose]()
    first.resolve()
  })
  net.run([bridge, { op: 'link-set', link: 'br0', mtu: 1300 }, { op: 'link-delete', link: 'br0' }])
  await first.promise
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(seen.length, 1)
})

test('a listener that throws hears the other events all the same, and its error is nobody else’s', async () => {
  const seen = JSON.parse(await runChild('throwing-handlers', ['net'], { through: ['unshare', '--net'] })) as object
  assert.deepEqual(seen, { told: ['a', 'b', 'c'], uncaught: ['link a', 'link c'], calls: 'all well' })
})
