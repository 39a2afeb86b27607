/** What is about tcx alone: chains of programs, and waiting for a grace period. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { inNetns } from '../netns/in-netns.ts'
import { lackingTcx } from '../testdata/lacking.ts'
import { codec, perCpu, u32, u64 } from './layout.ts'
import { attach, type Hook, type Link } from './link.ts'
import { possibleCpus } from './map-info.ts'
import { loadObject, type LoadedObject } from './object.ts'
import { runChild } from './testdata/child.ts'
import { compileTestdata, type Objects } from './testdata/compile.ts'
import { type DevicePair, FrameSender, openPair } from './testdata/pair.ts'
import { until } from '../testdata/until.ts'

/** Keys of the map `counters`, by the program that counts there. */
const GO_ON = 1
const OLD = 2
const NEW = 3

describe('a link to tcx', { skip: lackingTcx() }, () => {
  let objects: Objects
  let object: LoadedObject
  before(async () => {
    objects = await compileTestdata('maps')
    object = loadObject(objects.path('maps'))
  })
  after(() => {
    object[Symbol.dispose]()
    objects[Symbol.dispose]()
  })
  const attachIn = (pair: DevicePair, program: string, hook: Hook): Link =>
    inNetns(pair.netns, () => attach(object.programFd(program), hook))

  it('stands in the chain where its anchor says', async () => {
    using pair = openPair()
    using map = object.map('counters', codec(u32, perCpu(u64, possibleCpus())))
    const counts = (): number[] =>
      [GO_ON, OLD, NEW].map(key => Number(map.lookup(key)?.reduce((sum, n) => sum + n, 0n)))
    const before = counts()
    const hook = { kind: 'tcx', ifindex: pair.hook, side: 'ingress' } as const
    // Wanted order: go_on, count_new, count_old; the first verdict ends the chain.
    using old = attachIn(pair, 'count_old', hook)
    using fresh = attachIn(pair, 'count_new', { ...hook, anchor: { place: 'before', linkFd: old.fd } })
    using first = attachIn(pair, 'go_on', { ...hook, anchor: { place: 'first' } })
    using last = attachIn(pair, 'pass', {
      ...hook,
      anchor: { place: 'after', programFd: object.programFd('count_old') },
    })
    assert.equal(new Set([old, fresh, first, last].map(link => link.info().id)).size, 4)
    using sender = new FrameSender(pair.netns, pair.peer)
    await sender.send()
    const delta = (): number[] => counts().map((count, i) => count - (before[i] ?? 0))
    await until(
      () => delta()[2] === 1,
      () => `counted ${delta().join()}`,
    )
    assert.deepEqual(delta(), [1, 0, 1])
  })

  it('tells its side', () => {
    using pair = openPair()
    using link = attachIn(pair, 'pass', { kind: 'tcx', ifindex: pair.hook, side: 'egress' })
    assert.equal(link.info().attachType, 'tcx-egress')
  })

  it('to a device that is not there fails with ENODEV', () => {
    using pair = openPair()
    const hook = { kind: 'tcx', ifindex: 9999, side: 'ingress' } as const
    assert.throws(() => attachIn(pair, 'pass', hook), { code: 'ENODEV', command: 'LINK_CREATE' })
  })

  it('of a program that stands there already fails with EEXIST', () => {
    using pair = openPair()
    const hook = { kind: 'tcx', ifindex: pair.hook, side: 'ingress' } as const
    using _link = attachIn(pair, 'pass', hook)
    assert.throws(() => attachIn(pair, 'pass', hook), { code: 'EEXIST', command: 'LINK_CREATE' })
  })

  it('is made, detached and closed on threads while the event loop goes on', async () => {
    const printed = await runChild('attach-async', [objects.path('maps'), 'tcx'], { through: ['unshare', '--net'] })
    const seen = JSON.parse(printed) as Record<'ifindexes' | 'expected' | 'after', number[]> & {
      readonly failure: string
      readonly turns: readonly { readonly count: number; readonly waitedMs: number }[]
    }
    assert.equal(seen.expected.length, 16)
    assert.deepEqual(seen.ifindexes, seen.expected)
    assert.deepEqual(new Set(seen.after), new Set([0]))
    assert.match(seen.failure, /BpfError: LINK_CREATE of tcx-ingress of device 9999: ENODEV/)
    // Up to Linux 7.0 or so each step waits for grace periods, which the loop must not wait for.
    assert.equal(seen.turns.length, 2)
    const waited = seen.turns.filter(({ count, waitedMs }) => count < Math.floor(waitedMs / 10))
    assert.deepEqual(waited, [], 'the event loop stood still')
  })
})
