import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { inNetns } from '../netns/in-netns.ts'
import { isSince, lackingTcx } from '../testdata/lacking.ts'
import { codec, u32, u64 } from './layout.ts'
import { attach } from './link.ts'
import { EbpfMap, mapFromPin, mapOfFd, newMap } from './map.ts'
import { createMap } from './map-info.ts'
import { loadObject, readObject } from './object.ts'
import { listPins, pin } from './pin.ts'
import { probeDeviceHook, probeMap, probeProgram } from './program.ts'
import { RingBuffer } from './ring-buffer.ts'
import { openBpffs } from './testdata/bpffs.ts'
import { runChild } from './testdata/child.ts'
import { compileTestdata, type Objects } from './testdata/compile.ts'
import { openPair } from './testdata/pair.ts'

const layout = codec(u32, u64)

describe('the bpf layer', () => {
  let objects: Objects
  before(async () => {
    objects = await compileTestdata('maps', 'refused', 'ring')
  })
  after(() => objects[Symbol.dispose]())

  for (const [kind, skip] of [
    ['xdp', false],
    ['tcx', lackingTcx()],
  ] as const) {
    it(`keeps what the kernel is given while the garbage collector runs, links to ${kind} among it`, {
      skip,
    }, async () => {
      const printed = await runChild('gc-stress', [objects.path('maps'), objects.path('refused'), kind], {
        nodeOptions: ['--expose-gc'],
        through: ['unshare', '--net'],
      })
      assert.equal(printed, 'done')
    })
  }

  it('leaves no descriptor open, whether it succeeds or fails', () => {
    using fs = openBpffs()
    using pair = openPair()
    const cases: readonly [string, () => void][] = [
      ['load', () => loadObject(objects.path('maps'))[Symbol.dispose]()],
      ['read', () => readObject(objects.path('maps'))],
      ['verifier error', fails(() => loadObject(objects.path('refused')))],
      ['missing file', fails(() => loadObject('/nowhere.o'))],
      ['bad constant', fails(() => loadObject(objects.path('maps'), { constants: { answer: -1 } }))],
      ['map', () => newMap(spec('hash'), layout)[Symbol.dispose]()],
      ['map of another shape', fails(() => new EbpfMap(createMap(spec('hash')), codec(u32, u32)))],
      ['pin', () => pinAndOpen(fs.path('map'))],
      ['pins', () => listPins(fs.dir)],
      ['probes', () => [probeProgram('tracing'), probeDeviceHook('netkit-peer'), probeMap(spec('lru-hash'))]],
      ['link', () => attachAndClose(objects, pair)],
      ['ring', () => openRing(objects)],
      ['ring of something else', fails(() => new RingBuffer(0, { onRecord: () => undefined }))],
    ]
    for (const [, run] of cases) run() // what is opened once and kept, such as libraries
    for (const [title, run] of cases) {
      const before = openFds()
      for (let i = 0; i < 3; i++) run()
      assert.deepEqual(openFds(), before, title)
    }
  })

  it('leaves no mapping behind', () => {
    openRing(objects)
    const before = mappings()
    for (let i = 0; i < 20; i++) openRing(objects)
    assert.ok(mappings() - before < 20, `${mappings() - before} more mappings`)
  })
})

describe('a probe', () => {
  it('finds what this kernel has, and says why it has not', () => {
    assert.deepEqual(probeProgram('sched-cls'), { state: 'present' })
    assert.deepEqual(probeProgram('xdp'), { state: 'present' })
    assert.deepEqual(probeProgram('cgroup-sock-addr', 'connect4'), { state: 'present' })
    assert.equal(probeDeviceHook('tcx-ingress').state, isSince(6, 6) ? 'present' : 'absent')
    assert.deepEqual(probeMap({ ...spec('ring-buffer'), keySize: 0, valueSize: 0, maxEntries: 4096 }), {
      state: 'present',
    })
  })

  it('tells a refusal from the want of a feature by its reason', () => {
    // An instruction that does not exist stands for a helper that this kernel lacks.
    const feature = probeProgram('sched-cls', undefined, new BigUint64Array([0xffn, 0x95n]))
    assert.deepEqual(feature, { state: 'absent', reason: 'sched-cls programs: the kernel answers EINVAL' })
  })
})

function spec(type: 'hash' | 'lru-hash' | 'ring-buffer') {
  return { type, name: 'leak', keySize: 4, valueSize: 8, maxEntries: 8 } as const
}

function fails(run: () => unknown): () => void {
  return () => {
    assert.throws(run)
  }
}

function pinAndOpen(path: string): void {
  using map = newMap(spec('hash'), layout)
  pin(map.fd, path, { replace: true })
  using pinned = mapFromPin(path, layout)
  assert.ok(pinned)
  using copy = mapOfFd(pinned.fd, layout)
  assert.equal(copy.info.id, map.info.id)
}

function attachAndClose(objects: Objects, pair: { readonly netns: number; readonly hook: number }): void {
  using object = loadObject(objects.path('maps'), { only: ['bounce'] })
  const hook = { kind: 'xdp', ifindex: pair.hook, mode: 'generic' } as const
  using link = inNetns(pair.netns, () => attach(object.programFd('bounce'), hook))
  assert.throws(() => inNetns(pair.netns, () => attach(object.programFd('bounce'), hook)), { code: 'EBUSY' })
  link.detach()
}

function openRing(objects: Objects): void {
  using object = loadObject(objects.path('ring'))
  using ring = new RingBuffer(object.mapFd('events'), { onRecord: () => undefined })
  assert.equal(ring.drain(), 0)
}

function openFds(): string[] {
  return readdirSync('/proc/self/fd')
}
function mappings(): number {
  return readFileSync('/proc/self/maps', 'utf8').split('\n').length
}
