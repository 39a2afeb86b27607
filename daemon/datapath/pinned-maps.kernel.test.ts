import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { compileObject } from '../../deploy/setup/compile-bpf.mjs'
import { codec, u32, u64 } from '../kernel/bpf/layout.ts'
import { mapFromId, mapOfFd } from '../kernel/bpf/map.ts'
import { mapInfo } from '../kernel/bpf/map-info.ts'
import { listPins } from '../kernel/bpf/pin.ts'
import { type Bpffs, openBpffs } from '../kernel/bpf/testdata/bpffs.ts'
import { skbContext, testRun } from '../kernel/bpf/test-run.ts'
import { eventually } from '../../test/support/eventually.ts'
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

  const load = (directory: string, name: string, layouts: Layouts, size = 16): Promise<LoadedSet> =>
    loadSet({ directory, objects: [join(folder, `${name}.o`)], constants: {}, sizes: { flows: size }, layouts })
  const seenBy = (set: LoadedSet, mark: number): number =>
    testRun(set.programFd('count'), { data: new Uint8Array(64), context: skbContext({ mark }) }).retval
  const pinsIn = (fs: Bpffs): string[] => listPins(fs.dir).map(p => p.name)
  const small = codec(u32, u32)
  const large = codec(u32, u64)

  it('are found again by the next daemon with their content', async () => {
    using fs = openBpffs()
    {
      using set = await load(fs.dir, 'flows-v1', first)
      await set.pin()
      using map = mapOfFd(set.mapFd('flows'), small)
      map.update(7, 70)
    }
    using again = await load(fs.dir, 'flows-v1', first)
    assert.equal(seenBy(again, 7), 70)
  })

  it('grow with all their entries, also those that came while the programs changed over', async () => {
    using fs = openBpffs()
    using set = await load(fs.dir, 'flows-v1', first)
    await set.pin()
    using old = mapOfFd(set.mapFd('flows'), small)
    for (let key = 1; key <= 16; key++) old.update(key, key * 10)
    using grown = await load(fs.dir, 'flows-v1', first, 64)
    await grown.pin()
    old.delete(16)
    old.update(99, 990)
    using map = mapOfFd(grown.mapFd('flows'), small)
    map.update(5, 55)
    assert.deepEqual(await grown.catchUp(), { copied: 1, lost: 0 })
    assert.equal(mapInfo(grown.mapFd('flows')).maxEntries, 64)
    assert.deepEqual(
      [1, 5, 99].map(key => seenBy(grown, key)),
      [10, 55, 990],
    )
    using later = await load(fs.dir, 'flows-v1', first)
    assert.equal(mapInfo(later.mapFd('flows')).maxEntries, 64, 'a map that has grown stays so')
  })

  it('are migrated entry by entry when their layout changes, and the old pin goes', async () => {
    using fs = openBpffs()
    {
      using set = await load(fs.dir, 'flows-v1', first)
      await set.pin()
      using map = mapOfFd(set.mapFd('flows'), small)
      map.updateBatch([
        [1, 10],
        [2, 0],
        [3, 30],
      ])
    }
    using set = await load(fs.dir, 'flows-v2', second)
    await set.pin()
    assert.deepEqual(pinsIn(fs), ['flows_v1', 'flows_v2'])
    await set.catchUp()
    using map = mapOfFd(set.mapFd('flows'), large)
    assert.deepEqual(
      new Map(map.entries()),
      new Map([
        [1, 10n],
        [3, 30n],
      ]),
    )
    assert.deepEqual(pinsIn(fs), ['flows_v2'])
  })

  it('go over by the names of their fields, to a newer build and back to one that does not know its layout', async () => {
    using fs = openBpffs()
    const newer: Layouts = { flows: { version: 2 } }
    {
      using set = await load(fs.dir, 'flows-v1', first)
      await set.pin()
      using map = mapOfFd(set.mapFd('flows'), small)
      map.update(1, 0xfffffff0)
    }
    {
      using set = await load(fs.dir, 'flows-v2', newer)
      await set.pin()
      using map = mapOfFd(set.mapFd('flows'), large)
      map.update(2, 20n)
      await set.catchUp()
      assert.deepEqual(
        new Map(map.entries()),
        new Map([
          [1, 0xfffffff0n],
          [2, 20n],
        ]),
      )
      map.update(3, 1n << 40n)
    }
    using back = await load(fs.dir, 'flows-v1', first)
    await back.pin()
    await back.catchUp()
    using map = mapOfFd(back.mapFd('flows'), small)
    const want = new Map([
      [1, 0xfffffff0],
      [2, 20],
    ])
    assert.deepEqual(new Map(map.entries()), want, 'one number is too large for the older layout')
    assert.deepEqual(pinsIn(fs), ['flows_v1'])
  })

  it('of another layout under the same version are refused by name', async () => {
    using fs = openBpffs()
    using set = await load(fs.dir, 'flows-v1', first)
    await set.pin()
    await assert.rejects(load(fs.dir, 'flows-v2', first), /map flows: its layout changed but its version 1 did not/)
  })

  it('stay as they are when one program of the set is refused', async () => {
    using fs = openBpffs()
    using set = await load(fs.dir, 'flows-v1', first)
    await set.pin()
    const id = mapInfo(set.mapFd('flows')).id
    const objects = ['flows-v1', 'refused'].map(name => join(folder, `${name}.o`))
    await assert.rejects(loadSet({ directory: fs.dir, objects, constants: {}, sizes: { flows: 64 }, layouts: first }), {
      name: 'VerifierError',
      program: 'reads_too_far',
    })
    using again = await load(fs.dir, 'flows-v1', first)
    assert.equal(mapInfo(again.mapFd('flows')).id, id)
  })

  it('get what programs wrote to the old map when the daemon is killed between pinning and attaching', async () => {
    using fs = openBpffs()
    using attached = await load(fs.dir, 'flows-v1', first)
    await attached.pin()
    using old = mapOfFd(attached.mapFd('flows'), small)
    old.update(1, 10)
    for (const size of [32, 64]) {
      using killed = await load(fs.dir, 'flows-v1', first, size)
      await killed.pin()
      old.update(size, 10 * size)
    }
    using next = await load(fs.dir, 'flows-v1', first)
    assert.equal(mapInfo(next.mapFd('flows')).maxEntries, 64)
    await next.pin()
    old.update(3, 30)
    assert.deepEqual(await next.catchUp(), { copied: 1, lost: 0 })
    assert.deepEqual(
      [1, 32, 64, 3].map(key => seenBy(next, key)),
      [10, 320, 640, 30],
    )
    assert.deepEqual(pinsIn(fs), ['flows_v1'])
  })

  it('of the old layout are still there for the old build when the new one is killed before it has attached', async () => {
    using fs = openBpffs()
    using attached = await load(fs.dir, 'flows-v1', first)
    await attached.pin()
    {
      using killed = await load(fs.dir, 'flows-v2', second)
      await killed.pin()
    }
    using map = mapOfFd(attached.mapFd('flows'), small)
    map.update(7, 70)
    using back = await load(fs.dir, 'flows-v1', first)
    await back.pin()
    await back.catchUp()
    assert.equal(seenBy(back, 7), 70)
    assert.deepEqual(pinsIn(fs), ['flows_v1'])
  })

  it('go back to their place with what came meanwhile when a set is put in use again', async () => {
    using fs = openBpffs()
    using set = await load(fs.dir, 'flows-v1', first)
    await set.pin()
    using grown = await load(fs.dir, 'flows-v1', first, 64)
    await grown.pin()
    using map = mapOfFd(grown.mapFd('flows'), small)
    map.update(5, 50)
    await set.pin()
    await set.catchUp()
    assert.equal(seenBy(set, 5), 50)
    assert.deepEqual(pinsIn(fs), ['flows_v1'])
    using again = await load(fs.dir, 'flows-v1', first)
    assert.equal(mapInfo(again.mapFd('flows')).id, mapInfo(set.mapFd('flows')).id)
  })

  it('that have no room for everything say how much was lost', async () => {
    using fs = openBpffs()
    using set = await load(fs.dir, 'flows-v1', first)
    await set.pin()
    using old = mapOfFd(set.mapFd('flows'), small)
    for (let key = 1; key <= 16; key++) old.update(key, key)
    using grown = await load(fs.dir, 'flows-v1', first, 20)
    await grown.pin()
    using map = mapOfFd(grown.mapFd('flows'), small)
    for (let key = 101; key <= 104; key++) map.update(key, key)
    old.delete(1)
    old.update(17, 17)
    assert.deepEqual(await grown.catchUp(), { copied: 0, lost: 1 })
  })

  it('that were replaced are given back to the kernel', async () => {
    using fs = openBpffs()
    let id
    {
      using set = await load(fs.dir, 'flows-v1', first)
      await set.pin()
      ;({ id } = mapInfo(set.mapFd('flows')))
    }
    using grown = await load(fs.dir, 'flows-v1', first, 64)
    await grown.pin()
    await grown.catchUp()
    await eventually(() => {
      using map = mapFromId(id, small)
      return map === undefined
    })
    assert.equal(seenBy(grown, 1), -1)
  })

  it('stay as large as they are when a smaller one is asked for', async () => {
    using fs = openBpffs()
    using set = await load(fs.dir, 'flows-v1', first, 64)
    await set.pin()
    using again = await load(fs.dir, 'flows-v1', first, 16)
    assert.equal(mapInfo(again.mapFd('flows')).id, mapInfo(set.mapFd('flows')).id)
  })

  it('of transient content get the size asked for, without entries', async () => {
    using fs = openBpffs()
    const transient: Layouts = { flows: { version: 1, transient: true } }
    using set = await load(fs.dir, 'flows-v1', transient, 64)
    await set.pin()
    using old = mapOfFd(set.mapFd('flows'), small)
    old.update(1, 10)
    using smaller = await load(fs.dir, 'flows-v1', transient, 16)
    await smaller.pin()
    assert.deepEqual(pinsIn(fs), ['flows_v1'])
    assert.deepEqual(await smaller.catchUp(), { copied: 0, lost: 0 })
    assert.equal(mapInfo(smaller.mapFd('flows')).maxEntries, 16)
    assert.equal(seenBy(smaller, 1), -1)
  })

  it('are loaded by nobody who sets a constant that no program has', async () => {
    using fs = openBpffs()
    const objects = [join(folder, 'flows-v1.o')]
    await assert.rejects(
      loadSet({ directory: fs.dir, objects, constants: { overlay_mtuu: 1 }, sizes: {}, layouts: first }),
      /no program has the constant overlay_mtuu/,
    )
  })
})
