import assert from 'node:assert/strict'
import { closeSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { NotSupported } from '../errors.ts'
import { inNetns } from '../netns/in-netns.ts'
import { codec, u32, u64 } from './layout.ts'
import { attach } from './link.ts'
import { mapFromPin, newMap } from './map.ts'
import { ensureBpffs, getPin, isBpffs, listPins, pin, unpin } from './pin.ts'
import { loadInstructions } from './program.ts'
import { openBpffs } from './testdata/bpffs.ts'
import { runChild } from './testdata/child.ts'
import { openPair } from './testdata/pair.ts'

const layout = codec(u32, u64)
const spec = { type: 'hash', name: 'pinned', keySize: 4, valueSize: 8, maxEntries: 4 } as const

describe('pins', () => {
  it('are opened by a new process with their content', async () => {
    using fs = openBpffs()
    using pair = openPair()
    using map = newMap(spec, layout)
    map.update(1, 42n)
    const program = loadInstructions('xdp', undefined, undefined, 'verdict')
    const hook = { kind: 'xdp', ifindex: pair.hook, mode: 'generic' } as const
    using link = inNetns(pair.netns, () => attach(program, hook))
    pin(map.fd, fs.path('map'))
    pin(program, fs.path('program'))
    link.pin(fs.path('link'))
    mkdirSync(fs.path('folder'))
    const seen = JSON.parse(await runChild('read-pins', [fs.dir])) as object
    const pins = ['folder: directory', 'link: link', 'map: map', 'program: program']
    assert.deepEqual(seen, { pins, value: '42', program: 'verdict', link: link.info() })
    closeSync(program)
  })

  it('are not overwritten unless asked to, and then in one step', () => {
    using fs = openBpffs()
    using first = newMap(spec, layout)
    using second = newMap(spec, layout)
    second.update(2, 2n)
    pin(first.fd, fs.path('map'))
    assert.throws(() => pin(second.fd, fs.path('map')), { code: 'EEXIST', object: fs.path('map') })
    pin(second.fd, fs.path('map'), { replace: true })
    using read = mapFromPin(fs.path('map'), layout)
    assert.equal(read?.lookup(2), 2n)
    assert.deepEqual(
      listPins(fs.dir).map(({ name }) => name),
      ['map'],
    )
  })

  it('that are not there are undefined, and removing them succeeds', () => {
    using fs = openBpffs()
    assert.equal(getPin(fs.path('nothing')), undefined)
    assert.deepEqual(listPins(fs.path('nothing')), [])
    unpin(fs.path('nothing'))
  })

  it('keep a map alive until they are removed', () => {
    using fs = openBpffs()
    const map = newMap(spec, layout)
    map.update(3, 3n)
    pin(map.fd, fs.path('map'))
    map[Symbol.dispose]()
    const again = mapFromPin(fs.path('map'), layout)
    assert.equal(again?.lookup(3), 3n)
    again?.[Symbol.dispose]()
    unpin(fs.path('map'))
    assert.equal(mapFromPin(fs.path('map'), layout), undefined)
  })

  it('need a bpf file system, which is mounted only where that is allowed', () => {
    const dir = mkdtempSync(join(tmpdir(), 'causeway-pins-'))
    try {
      assert.equal(isBpffs(dir), false)
      assert.throws(() => ensureBpffs(dir, { mount: false }), NotSupported)
      using map = newMap(spec, layout)
      assert.throws(() => pin(map.fd, join(dir, 'map')), { code: 'EPERM' })
      assert.throws(() => getPin(dir), { command: 'OBJ_GET' })
    } finally {
      rmSync(dir, { recursive: true })
    }
  })

  it('are not hidden by a second mount: a folder on a bpf file system is used as it is', () => {
    using fs = openBpffs()
    using map = newMap(spec, layout)
    pin(map.fd, fs.path('map'))
    ensureBpffs(fs.dir, { mount: true })
    ensureBpffs(fs.path('below'), { mount: false })
    assert.equal(isBpffs(fs.path('below')), true)
    assert.equal(isBpffs(fs.path('nothing')), false)
    assert.deepEqual(
      listPins(fs.dir).map(({ name, kind }) => `${name} ${kind}`),
      ['below directory', 'map map'],
    )
  })
})
