import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { NetlinkNet } from '../netlink/net.ts'
import { inNetns } from '../netns/in-netns.ts'
import type { EbpfMap } from './map.ts'
import { codec, perCpu, u32, u64 } from './layout.ts'
import { attach, type Hook, type Link, linkFromId, linkFromPin } from './link.ts'
import { possibleCpus } from './map-info.ts'
import { loadObject, type LoadedObject } from './object.ts'
import { programInfo } from './program.ts'
import { openBpffs } from './testdata/bpffs.ts'
import { openCgroup } from './testdata/cgroup.ts'
import { runChild } from './testdata/child.ts'
import { compileTestdata, type Objects } from './testdata/compile.ts'
import { until } from './testdata/until.ts'
import { FrameSender, openVethPair, type VethPair } from './testdata/veth.ts'
import { NEEDS_TCX } from '../../../test/support/needs-tcx.ts'

/** Keys of the map `counters`, by the program that counts there. */
const GO_ON = 1
const OLD = 2
const NEW = 3

describe('a link', () => {
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

  const attachIn = (pair: VethPair, program: string, hook: Hook): Link =>
    inNetns(pair.netns, () => attach(object.programFd(program), hook))
  const counters = (): EbpfMap<number, readonly bigint[]> =>
    object.map('counters', codec(u32, perCpu(u64, possibleCpus())))
  const count = (map: EbpfMap<number, readonly bigint[]>, key: number): number =>
    Number(map.lookup(key)?.reduce((sum, n) => sum + n, 0n))

  it('tells device, hook and program', NEEDS_TCX, () => {
    using pair = openVethPair()
    using link = attachIn(pair, 'pass', { kind: 'tcx', ifindex: pair.hook, side: 'egress' })
    const { id, ...info } = link.info()
    const programId = programInfo(object.programFd('pass')).id
    assert.deepEqual(info, { type: 'tcx', ifindex: pair.hook, attachType: 'tcx-egress', programId })
    using same = linkFromId(id)
    assert.equal(same?.info().id, id)
    assert.equal(linkFromId(0x7fff_ffff), undefined)
  })

  it('to XDP can insist on the generic hook', () => {
    using pair = openVethPair()
    using link = attachIn(pair, 'bounce', { kind: 'xdp', ifindex: pair.hook, mode: 'generic' })
    assert.deepEqual([link.info().type, link.info().ifindex], ['xdp', pair.hook])
  })

  it('stands in the chain where its anchor says', NEEDS_TCX, async () => {
    using pair = openVethPair()
    using map = counters()
    const before = [GO_ON, OLD, NEW].map(key => count(map, key))
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
    const delta = (): number[] => [GO_ON, OLD, NEW].map((key, i) => count(map, key) - (before[i] ?? 0))
    await until(
      () => delta()[0] === 1,
      () => `counted ${delta().join()}`,
    )
    assert.deepEqual(delta(), [1, 0, 1])
  })

  it('replaces its program while packets come, and each packet is seen by one of the two', NEEDS_TCX, async () => {
    using pair = openVethPair()
    using map = counters()
    const seen = (): number => count(map, OLD) + count(map, NEW)
    const before = seen()
    const [old, fresh] = [object.programFd('count_old'), object.programFd('count_new')]
    using link = attachIn(pair, 'count_old', { kind: 'tcx', ifindex: pair.hook, side: 'ingress' })
    using sender = new FrameSender(pair.netns, pair.peer)
    const rounds = 200
    const burst = 20
    for (let round = 0; round < rounds; round++) {
      const sent = Array.from({ length: burst }, () => sender.send())
      link.update(fresh, old)
      await sent[burst / 2]
      link.update(old, fresh)
      await Promise.all(sent)
    }
    await until(
      () => seen() - before >= rounds * burst,
      () => `${seen() - before} of ${rounds * burst} seen`,
    )
    assert.equal(seen() - before, rounds * burst)
    assert.ok(count(map, NEW) > 0)
  })

  it('replaces its program only if it is the one expected', NEEDS_TCX, () => {
    using pair = openVethPair()
    using link = attachIn(pair, 'count_old', { kind: 'tcx', ifindex: pair.hook, side: 'ingress' })
    assert.throws(() => link.update(object.programFd('pass'), object.programFd('drop')), { code: 'EPERM' })
    assert.throws(() => link.update(object.programFd('bounce')), { code: 'EINVAL', command: 'LINK_UPDATE' })
    assert.equal(link.info().programId, programInfo(object.programFd('count_old')).id)
  })

  const failures: readonly [string, (pair: VethPair) => [string, Hook], string][] = [
    ['to a device that is not there', () => ['pass', { kind: 'tcx', ifindex: 9999, side: 'ingress' }], 'ENODEV'],
    ['to netkit, of a veth', pair => ['pass', { kind: 'netkit', ifindex: pair.hook, side: 'peer' }], 'EINVAL'],
    ['to tcx, of an XDP program', pair => ['bounce', { kind: 'tcx', ifindex: pair.hook, side: 'ingress' }], 'EINVAL'],
    ['to a cgroup that is a device', () => ['refuse', { kind: 'cgroup', cgroupFd: 0, hook: 'connect4' }], 'EBADF'],
  ]
  for (const [title, make, code] of failures) {
    it(`${title} fails with ${code}`, t => {
      using pair = openVethPair()
      const [program, hook] = make(pair)
      if (hook.kind === 'tcx' && NEEDS_TCX.skip !== false) return t.skip(NEEDS_TCX.skip)
      assert.throws(() => attachIn(pair, program, hook), { code, command: 'LINK_CREATE' })
    })
  }

  const ends: readonly [string, (pair: VethPair, link: Link) => void][] = [
    ['whose device has gone', pair => deleteDevice(pair)],
    ['that was detached', (_, link) => link.detach()],
  ]
  for (const [title, end] of ends) {
    it(`${title} names no device and takes no other program`, NEEDS_TCX, () => {
      using pair = openVethPair()
      using link = attachIn(pair, 'pass', { kind: 'tcx', ifindex: pair.hook, side: 'ingress' })
      end(pair, link)
      assert.equal(link.info().ifindex, 0)
      assert.throws(() => link.update(object.programFd('drop')), { code: 'ENOLINK' })
    })
  }

  it('that was closed says so instead of touching another descriptor', async () => {
    using pair = openVethPair()
    const link = attachIn(pair, 'bounce', { kind: 'xdp', ifindex: pair.hook, mode: 'generic' })
    link[Symbol.dispose]()
    link[Symbol.dispose]()
    const program = object.programFd('bounce')
    const uses = [
      () => link.fd,
      () => link.info(),
      () => link.update(program),
      () => link.detach(),
      () => link.pin('/'),
    ]
    for (const use of uses) assert.throws(use, { code: 'EBADF', message: /the link was closed/ }, String(use))
    await assert.rejects(link.detachAsync(), { code: 'EBADF' })
  })

  it('that is pinned holds on to its program until the pin goes', NEEDS_TCX, () => {
    using pair = openVethPair()
    using fs = openBpffs()
    const link = attachIn(pair, 'pass', { kind: 'tcx', ifindex: pair.hook, side: 'ingress' })
    link.pin(fs.path('link'))
    link[Symbol.dispose]()
    using again = linkFromPin(fs.path('link'))
    assert.equal(again?.info().ifindex, pair.hook)
    again?.update(object.programFd('drop'))
    assert.equal(again?.info().programId, programInfo(object.programFd('drop')).id)
    assert.equal(linkFromPin(fs.path('other')), undefined)
  })

  it('to a cgroup decides over connections of the processes in it', async () => {
    using cgroup = openCgroup()
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo // a server that listens on a port
    const attempt = (): Promise<string> => runChild('connect', [`${port}`], { through: cgroup.through })
    const link = attach(object.programFd('refuse'), { kind: 'cgroup', cgroupFd: cgroup.fd, hook: 'connect4' })
    assert.deepEqual([link.info().type, link.info().attachType], ['cgroup', 'connect4'])
    assert.equal(await attempt(), 'EPERM')
    link[Symbol.dispose]()
    assert.equal(await attempt(), 'connected')
    server.close()
  })

  it('is made, detached and closed on threads without holding up the event loop', NEEDS_TCX, async () => {
    const printed = await runChild('attach-async', [objects.path('maps')], { through: ['unshare', '--net'] })
    const seen = JSON.parse(printed) as { ifindexes: number[]; expected: number[]; after: number[]; failure: string }
    assert.equal(seen.expected.length, 16)
    assert.deepEqual(seen.ifindexes, seen.expected)
    assert.deepEqual(new Set(seen.after), new Set([0]))
    assert.match(seen.failure, /BpfError: LINK_CREATE of tcx-ingress of device 9999: ENODEV/)
  })
})

function deleteDevice({ netns, hook }: VethPair): void {
  using net = new NetlinkNet(`/proc/self/fd/${netns}`)
  net.run([{ op: 'link-delete', link: hook }])
}
