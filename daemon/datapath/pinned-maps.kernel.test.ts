import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { compileObject } from '../../deploy/setup/compile-bpf.mjs'
import { codec, u32, u64 } from '../kernel/bpf/layout.ts'
import { mapOfFd } from '../kernel/bpf/map.ts'
import { mapInfo } from '../kernel/bpf/map-info.ts'
import { listPins } from '../kernel/bpf/pin.ts'
import { openBpffs } from '../kernel/bpf/testdata/bpffs.ts'
import { skbContext, testRun } from '../kernel/bpf/test-run.ts'
import { type Layouts, type LoadedSet, loadSet } from './pinned-maps.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const first: Layouts = { flows: { version: 1 } }
const second: Layouts = {
  flows: {
    version: 2,
    migrate: { 1: (key, value) => (value[0] === 0 ? undefined : [key, Uint8Array.from([...value, 0, 0, 0, 0])]) },
  },
}

describe('pinned maps', () => {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-maps-'))
  before(async () => {
    for (const name of ['flows-v1', 'flows-v2', 'refused'])
      await compileObject({
        root: ROOT,
        source: join(ROOT, `daemon/datapath/testdata/${name}.bpf.c`),
        output: join(folder, `${name}.o`),
      })
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  const load = (directory: string, name: string, layouts: Layouts, size = 16): LoadedSet =>
    loadSet({ directory, objects: [join(folder, `${name}.o`)], constants: {}, sizes: { flows: size }, layouts })
  const seenBy = (set: LoadedSet, mark: number): number =>
    testRun(set.programFd('count'), { data: new Uint8Array(64), context: skbContext({ mark }) }).retval
  const small = codec(u32, u32)
  const large = codec(u32, u64)

  it('are found again by the next daemon with their content', () => {
    using fs = openBpffs()
    {
      using set = load(fs.dir, 'flows-v1', first)
      set.pin()
      using map = mapOfFd(set.mapFd('flows'), small)
      map.update(7, 70)
    }
    using again = load(fs.dir, 'flows-v1', first)
    assert.equal(seenBy(again, 7), 70)
  })

  it('grow with all their entries, also those that came while the programs changed over', () => {
    using fs = openBpffs()
    using set = load(fs.dir, 'flows-v1', first)
    set.pin()
    using old = mapOfFd(set.mapFd('flows'), small)
    for (let key = 1; key <= 16; key++) old.update(key, key * 10)
    using grown = load(fs.dir, 'flows-v1', first, 64)
    grown.pin()
    old.delete(16)
    old.update(99, 990)
    using map = mapOfFd(grown.mapFd('flows'), small)
    map.update(5, 55)
    assert.equal(grown.catchUp(), 1)
    assert.equal(mapInfo(grown.mapFd('flows')).maxEntries, 64)
    assert.deepEqual(
      [1, 5, 99].map(key => seenBy(grown, key)),
      [10, 55, 990],
    )
    using later = load(fs.dir, 'flows-v1', first)
    assert.equal(mapInfo(later.mapFd('flows')).maxEntries, 64, 'a map that has grown stays so')
  })

  it('are migrated entry by entry when their layout changes, and the old pin goes', () => {
    using fs = openBpffs()
    {
      using set = load(fs.dir, 'flows-v1', first)
      set.pin()
      using map = mapOfFd(set.mapFd('flows'), small)
      map.updateBatch([
        [1, 10],
        [2, 0],
        [3, 30],
      ])
    }
    using set = load(fs.dir, 'flows-v2', second)
    set.pin()
    using map = mapOfFd(set.mapFd('flows'), large)
    assert.deepEqual(
      new Map(map.entries()),
      new Map([
        [1, 10n],
        [3, 30n],
      ]),
    )
    assert.deepEqual(
      listPins(fs.dir).map(p => p.name),
      ['flows_v2'],
    )
  })

  it('of another layout under the same version are refused by name', () => {
    using fs = openBpffs()
    using set = load(fs.dir, 'flows-v1', first)
    set.pin()
    assert.throws(() => load(fs.dir, 'flows-v2', first), /map flows: its layout changed but its version 1 did not/)
  })

  it('stay as they are when one program of the set is refused', () => {
    using fs = openBpffs()
    using set = load(fs.dir, 'flows-v1', first)
    set.pin()
    const id = mapInfo(set.mapFd('flows')).id
    const objects = ['flows-v1', 'refused'].map(name => join(folder, `${name}.o`))
    assert.throws(() => loadSet({ directory: fs.dir, objects, constants: {}, sizes: { flows: 64 }, layouts: first }), {
      name: 'VerifierError',
      program: 'reads_too_far',
    })
    using again = load(fs.dir, 'flows-v1', first)
    assert.equal(mapInfo(again.mapFd('flows')).id, id)
  })
})
