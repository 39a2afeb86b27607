/** Links in general, on every kind of device hook; the oldest supported kernel has XDP. Below, those to cgroups. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { NetlinkNet } from '../netlink/net.ts'
import { inNetns } from '../netns/in-netns.ts'
import { lacking, lackingTcx } from '../testdata/lacking.ts'
import { codec, perCpu, u32, u64 } from './layout.ts'
import { attach, type Hook, type Link, type LinkInfo, linkFromId, linkFromPin } from './link.ts'
import { possibleCpus } from './map-info.ts'
import { loadObject, type LoadedObject } from './object.ts'
import { programInfo } from './program.ts'
import { openBpffs } from './testdata/bpffs.ts'
import { openCgroup } from './testdata/cgroup.ts'
import { runChild } from './testdata/child.ts'
import { compileTestdata, type Objects } from './testdata/compile.ts'
import { type DevicePair, FrameSender, openPair } from './testdata/pair.ts'
import { until } from '../testdata/until.ts'

interface Kind {
  readonly title: string
  /** Why this kernel has no such hook. */
  readonly skip: string | false
  readonly pair: 'veth' | 'netkit'
  readonly hook: (ifindex: number) => Hook
  readonly info: Pick<LinkInfo, 'type' | 'attachType'>
  /** Programs that count what they see; one of another type. */
  readonly old: string
  readonly fresh: string
  readonly misfit: string
  /** How often programs are exchanged; on XDP that waits for a grace period each time. */
  readonly rounds: number
}
const xdp = {
  skip: false,
  pair: 'veth',
  info: { type: 'xdp', attachType: 'xdp' },
  old: 'xdp_old',
  fresh: 'xdp_new',
  misfit: 'pass',
  rounds: 20,
} as const
const tc = { old: 'count_old', fresh: 'count_new', misfit: 'bounce', rounds: 200 } as const
const kinds: readonly Kind[] = [
  { ...xdp, title: 'the generic XDP hook', hook: ifindex => ({ kind: 'xdp', ifindex, mode: 'generic' }) },
  { ...xdp, title: "a driver's XDP hook", hook: ifindex => ({ kind: 'xdp', ifindex, mode: 'driver' }) },
  {
    ...tc,
    title: 'tcx',
    skip: lackingTcx(),
    pair: 'veth',
    hook: ifindex => ({ kind: 'tcx', ifindex, side: 'ingress' }),
    info: { type: 'tcx', attachType: 'tcx-ingress' },
  },
  {
    ...tc,
    title: 'netkit',
    skip: lacking('netkit'),
    pair: 'netkit',
    hook: ifindex => ({ kind: 'netkit', ifindex, side: 'primary' }),
    info: { type: 'netkit', attachType: 'netkit-primary' },
  },
]

/** Keys of the map `counters`, by the program that counts there. */
const OLD = 2
const NEW = 3

const ends: readonly [string, (pair: DevicePair, link: Link) => void][] = [
  ['whose device has gone', pair => deleteDevice(pair)],
  ['that was detached', (_, link) => link.detach()],
]

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

  const attachIn = (pair: DevicePair, program: string, hook: Hook): Link =>
    inNetns(pair.netns, () => attach(object.programFd(program), hook))
  const programId = (name: string): number => programInfo(object.programFd(name)).id
  for (const kind of kinds) describe(`to ${kind.title}`, { skip: kind.skip }, () => behavesAsLink(kind))

  function behavesAsLink({ pair: pairKind, hook, info, old, fresh, misfit, rounds }: Kind): void {
    it('tells device, hook and program', () => {
      using pair = openPair(pairKind)
      using link = attachIn(pair, old, hook(pair.hook))
      const { id, ...seen } = link.info()
      assert.deepEqual(seen, { ...info, ifindex: pair.hook, programId: programId(old) })
      using same = linkFromId(id)
      assert.equal(same?.info().id, id)
      assert.equal(linkFromId(0x7fff_ffff), undefined)
    })

    it('replaces its program while packets come, and each packet is seen by one of the two', async () => {
      using pair = openPair(pairKind)
      using map = object.map('counters', codec(u32, perCpu(u64, possibleCpus())))
      const count = (key: number): number => Number(map.lookup(key)?.reduce((sum, n) => sum + n, 0n))
      const seen = (): number => count(OLD) + count(NEW)
      const before = seen()
      using link = attachIn(pair, old, hook(pair.hook))
      // A netkit program sees what its own side sends, any other what arrives.
      const own = pairKind === 'netkit'
      using sender = new FrameSender(pair.netns, own ? pair.hook : pair.peer, { toldOfDrops: own })
      const burst = 20
      for (let round = 0; round < rounds; round++) {
        const sent = Array.from({ length: burst }, () => sender.send())
        const newBefore = count(NEW)
        link.update(object.programFd(fresh), object.programFd(old))
        // The burst may be over by now.
        sent.push(sender.send())
        await until(
          () => count(NEW) > newBefore,
          () => `round ${round}: the new program saw nothing`,
        )
        link.update(object.programFd(old), object.programFd(fresh))
        await Promise.all(sent)
      }
      const all = rounds * (burst + 1)
      await until(
        () => seen() - before >= all,
        () => `${seen() - before} of ${all} seen`,
      )
      assert.equal(seen() - before, all)
    })

    it('replaces its program only if it is the one expected, and of the same type', () => {
      using pair = openPair(pairKind)
      using link = attachIn(pair, old, hook(pair.hook))
      assert.throws(() => link.update(object.programFd(fresh), object.programFd(fresh)), { code: 'EPERM' })
      assert.throws(() => link.update(object.programFd(misfit)), { code: 'EINVAL', command: 'LINK_UPDATE' })
      assert.equal(link.info().programId, programId(old))
    })

    for (const [title, end] of ends) {
      it(`${title} names no device and takes no other program`, () => {
        using pair = openPair(pairKind)
        using link = attachIn(pair, old, hook(pair.hook))
        end(pair, link)
        assert.equal(link.info().ifindex, 0)
        assert.throws(() => link.update(object.programFd(fresh)), { code: 'ENOLINK' })
      })
    }

    it('that was closed says so instead of touching another descriptor', async () => {
      using pair = openPair(pairKind)
      const link = attachIn(pair, old, hook(pair.hook))
      link[Symbol.dispose]()
      link[Symbol.dispose]()
      const program = object.programFd(fresh)
      const uses = [() => link.fd, () => link.info(), () => link.update(program), () => link.detach()]
      for (const use of [...uses, () => link.pin('/')])
        assert.throws(use, { code: 'EBADF', message: /the link was closed/ }, String(use))
      await assert.rejects(link.detachAsync(), { code: 'EBADF' })
    })

    it('that is pinned holds on to its program until the pin goes', () => {
      using pair = openPair(pairKind)
      using fs = openBpffs()
      const link = attachIn(pair, old, hook(pair.hook))
      link.pin(fs.path('link'))
      link[Symbol.dispose]()
      using again = linkFromPin(fs.path('link'))
      assert.equal(again?.info().ifindex, pair.hook)
      again?.update(object.programFd(fresh))
      assert.equal(again?.info().programId, programId(fresh))
      assert.equal(linkFromPin(fs.path('other')), undefined)
    })

    it('is not made of a program of another type', () => {
      using pair = openPair(pairKind)
      assert.throws(() => attachIn(pair, misfit, hook(pair.hook)), { code: 'EINVAL', command: 'LINK_CREATE' })
    })
  }

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

  it('to a cgroup that is a device fails with EBADF', () => {
    assert.throws(() => attach(object.programFd('refuse'), { kind: 'cgroup', cgroupFd: 0, hook: 'connect4' }), {
      code: 'EBADF',
      command: 'LINK_CREATE',
    })
  })

  it('to netkit, of a veth, fails with the code of a kernel that knows netkit, or does not', () => {
    using pair = openPair()
    assert.throws(() => attachIn(pair, 'pass', { kind: 'netkit', ifindex: pair.hook, side: 'peer' }), {
      code: lacking('netkit') === false ? 'ENXIO' : 'EINVAL',
      command: 'LINK_CREATE',
    })
  })

  it('is made, detached and closed on threads', async () => {
    const printed = await runChild('attach-async', [objects.path('maps'), 'xdp'], { through: ['unshare', '--net'] })
    const { expected, ifindexes, after, failure } = JSON.parse(printed) as AttachAsync
    assert.equal(expected.length, 8)
    assert.deepEqual(ifindexes, expected)
    assert.deepEqual(new Set(after), new Set([0]))
    assert.match(failure, /BpfError: LINK_CREATE of xdp of device 9999: E/)
  })
})

/** What testdata/attach-async.ts prints. */
interface AttachAsync {
  readonly ifindexes: readonly number[]
  readonly expected: readonly number[]
  readonly after: readonly number[]
  readonly failure: string
}

function deleteDevice({ netns, hook }: DevicePair): void {
  using net = new NetlinkNet(`/proc/self/fd/${netns}`)
  net.run([{ op: 'link-delete', link: hook }])
}
