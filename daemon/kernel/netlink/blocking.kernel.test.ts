/** Requests carried out on a thread, beside those of the event loop. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import test from 'node:test'
import type { NetRequest } from '../kernel.ts'
import { openNewNetns } from '../netns/create.ts'
import { NetlinkNet } from './net.ts'
import { NetlinkError } from './netlink-error.ts'

const veth = (name: string, group = 0): NetRequest => ({
  op: 'link-add',
  link: { kind: 'veth', name, group, peer: { name: `${name}p` } },
})

test('deletions on a thread are carried out in order and leave the event loop free', async () => {
  using ns = openNewNetns()
  using net = new NetlinkNet(ns.path)
  net.run(Array.from({ length: 20 }, (_, i) => veth(`v${i}`)))
  let turns = 0
  const tick = (): void => void (turns++, (immediate = setImmediate(tick)))
  let immediate = setImmediate(tick)
  await net.runBlocking(Array.from({ length: 20 }, (_, i) => ({ op: 'link-delete', link: `v${i}` })))
  clearImmediate(immediate)
  assert.deepEqual(
    net.links().map(l => l.name),
    ['lo'],
  )
  // Twenty deletions take twenty grace periods; one turn would mean that the loop waited for them.
  assert.ok(turns > 20, `${turns} turns of the event loop`)
})

test('requests of the event loop go on meanwhile and no answers are mixed up', async () => {
  using ns = openNewNetns()
  using net = new NetlinkNet(ns.path)
  net.run([{ op: 'link-set', link: 'lo', up: true }, ...Array.from({ length: 10 }, (_, i) => veth(`v${i}`))])
  const deletions = Array.from({ length: 10 }, (_, i) => net.runBlocking([{ op: 'link-delete', link: `v${i}` }]))
  let running = true
  const all = Promise.all(deletions).finally(() => (running = false))
  for (let i = 0; running; i++) {
    const address = `10.0.${(i >> 8) & 255}.${i & 255}/32`
    net.run([{ op: 'address-add', link: 'lo', address }])
    assert.equal(net.link('lo')?.index, 1)
    assert.throws(() => net.run([{ op: 'link-set', link: 'none', up: true }]), { code: 'ENODEV' })
    net.run([{ op: 'address-delete', link: 'lo', address }])
    await new Promise(resolve => setImmediate(resolve))
  }
  await all
  assert.deepEqual(
    net.links().map(l => l.name),
    ['lo'],
  )
})

test('a group of 50 goes in the time of a few links', async () => {
  using ns = openNewNetns()
  using net = new NetlinkNet(ns.path)
  const names = Array.from({ length: 50 }, (_, i) => `v${i}`)
  const timed = async (request: NetRequest): Promise<number> => {
    const start = performance.now()
    await net.runBlocking([request])
    return performance.now() - start
  }
  const ratios: number[] = []
  for (let round = 0; round < 7; round++) {
    net.run([veth('one'), ...names.map(name => veth(name, 7))])
    const one = await timed({ op: 'link-delete', link: 'one' })
    ratios.push((await timed({ op: 'group-delete', group: 7 })) / one)
    assert.equal(net.links().length, 1)
  }
  // One by one they would take fifty times as long.
  const [median = 0] = ratios.toSorted((a, b) => a - b).slice(3)
  assert.ok(median < 10, `ratios ${ratios.map(r => r.toFixed(1)).join(' ')}`)
})

test('a failure on a thread names its request, and the others are carried out', async () => {
  using ns = openNewNetns()
  using net = new NetlinkNet(ns.path)
  net.run([veth('a'), veth('b')])
  const failing = { op: 'link-set', link: 'b', mtu: 1 } as const
  await assert.rejects(
    net.runBlocking([failing, { op: 'link-delete', link: 'a' }]),
    (error: unknown) => error instanceof NetlinkError && error.code === 'EINVAL' && error.request === failing,
  )
  assert.equal(net.link('a'), undefined)
})

test('a thread can finish what a creation leaves to be done in another namespace', async () => {
  using here = openNewNetns()
  using there = openNewNetns()
  using net = new NetlinkNet(here.path)
  using podNet = new NetlinkNet(there.path)
  const peer = { name: 'eth0', netns: there.path, alias: 'pod', up: true }
  await net.runBlocking([{ op: 'link-add', link: { kind: 'veth', name: 'a', up: true, peer } }])
  const { alias, carrier } = podNet.link('eth0') ?? {}
  assert.deepEqual([alias, carrier], ['pod', true])
})

test('no descriptor is left after 200 rounds of everything', async () => {
  const before = readdirSync('/proc/self/fd').length
  for (let i = 0; i < 200; i++) {
    using here = openNewNetns()
    using there = openNewNetns()
    using net = new NetlinkNet(here.path)
    using _watch = net.watch(['link', 'route4'], () => {})
    const peer = { name: 'eth0', netns: there.path, up: true }
    net.run([{ op: 'link-add', link: { kind: 'veth', name: 'a', peer } }])
    assert.throws(() => net.run([{ op: 'link-add', link: { kind: 'veth', name: 'a', peer } }]), NetlinkError)
    assert.throws(
      () => net.run([{ op: 'link-add', link: { kind: 'veth', name: 'c', peer: { ...peer, netns: '/none' } } }]),
      { code: 'ENOENT' },
    )
    if (i % 20 === 0) await net.runBlocking([{ op: 'link-delete', link: 'a' }])
    assert.throws(() => new NetlinkNet('/proc/self/ns/mnt'), { code: 'NOT_A_NETNS' })
  }
  // Descriptors of closed polls go at the end of a turn.
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(readdirSync('/proc/self/fd').length, before)
})

test('a list stays whole while others change it', async () => {
  using ns = openNewNetns()
  using net = new NetlinkNet(ns.path)
  using other = new NetlinkNet(ns.path)
  const stable = Array.from({ length: 300 }, (_, i) => `10.1.${i >> 8}.${i & 255}`)
  net.run([{ op: 'link-set', link: 'lo', up: true }])
  net.run(stable.map(address => ({ op: 'address-add', link: 'lo', address: `${address}/32` })))
  const flapping = Array.from({ length: 400 }, (_, i) => `10.2.${i >> 8}.${i & 255}/32`)
  let running = true
  const churn = (async () => {
    while (running) {
      await other.runBlocking(flapping.map(address => ({ op: 'address-add', link: 'lo', address })))
      await other.runBlocking(flapping.map(address => ({ op: 'address-delete', link: 'lo', address })))
    }
  })()
  try {
    for (let i = 0; i < 100; i++) {
      const found = net.addresses().filter(a => a.address.startsWith('10.1.'))
      assert.deepEqual(found.map(a => a.address).sort(), stable.toSorted())
      await new Promise(resolve => setImmediate(resolve))
    }
  } finally {
    running = false
    await churn
  }
})
