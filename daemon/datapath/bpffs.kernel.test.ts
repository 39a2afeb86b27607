import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { codec, u32 } from '../kernel/bpf/layout.ts'
import { newMap } from '../kernel/bpf/map.ts'
import { ensureBpffs, isBpffs, listPins, pin, unmountBpffs } from '../kernel/bpf/pin.ts'
import { openBpffs } from '../kernel/bpf/testdata/bpffs.ts'
import { preparePins, removePins } from './bpffs.ts'

interface Folder extends Disposable {
  readonly path: string
}
function temporary(): Folder {
  const path = mkdtempSync(join(tmpdir(), 'causeway-pins-'))
  return {
    path,
    [Symbol.dispose]: () => {
      if (isBpffs(join(path, 'bpf'))) unmountBpffs(join(path, 'bpf'))
      rmSync(path, { recursive: true, force: true })
    },
  }
}
function pinMap(path: string): void {
  using map = newMap({ type: 'array', name: 'test', keySize: 4, valueSize: 4, maxEntries: 1 }, codec(u32, u32))
  pin(map.fd, path)
}

test('a file system that was mounted for the pins goes with them, also after another start', () => {
  using folder = temporary()
  const bpf = join(folder.path, 'bpf')
  for (const _start of [1, 2]) pinMap(join(preparePins(bpf).maps, `map${_start}`))
  assert.equal(isBpffs(bpf), true)
  removePins(bpf)
  assert.equal(existsSync(bpf), false)
  removePins(bpf)
})

test("a directory in somebody else's file system goes, and what is beside it stays", () => {
  using fs = openBpffs()
  pinMap(fs.path('theirs'))
  const { maps, links } = preparePins(fs.path('causeway'))
  assert.ok(existsSync(links))
  pinMap(join(maps, 'ours'))
  removePins(fs.path('causeway'))
  assert.deepEqual(
    listPins(fs.dir).flatMap(p => (p.name.includes('.') ? [] : [p.name])),
    ['theirs'],
  )
})

test('a file system that somebody else mounted at the very directory stays, without our pins', () => {
  using fs = openBpffs()
  const before = readdirSync(fs.dir)
  pinMap(join(preparePins(fs.dir).maps, 'ours'))
  removePins(fs.dir)
  assert.equal(isBpffs(fs.dir), true)
  assert.deepEqual(readdirSync(fs.dir), before)
})

test('one of ours in which others have pins by now stays for them', () => {
  using folder = temporary()
  const bpf = join(folder.path, 'bpf')
  preparePins(bpf)
  pinMap(join(bpf, 'theirs'))
  removePins(bpf)
  assert.equal(isBpffs(bpf), true)
  assert.ok(existsSync(join(bpf, 'theirs')))
})

test('one that somebody else mounts where ours was is not taken for ours', () => {
  using folder = temporary()
  const bpf = join(folder.path, 'bpf')
  preparePins(bpf)
  unmountBpffs(bpf)
  ensureBpffs(bpf, { mount: true })
  preparePins(bpf)
  removePins(bpf)
  assert.equal(isBpffs(bpf), true)
})
