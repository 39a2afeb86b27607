import assert from 'node:assert/strict'
import { closeSync } from 'node:fs'
import { describe, it } from 'node:test'
import { mapFlag, type MapType } from './codes.ts'
import { bytes, codec, type Codec, type Layout, perCpu, u32, u64 } from './layout.ts'
import { EbpfMap, mapFromId, mapOfFd, newMap } from './map.ts'
import { createMap, type MapSpec, possibleCpus } from './map-info.ts'
import { loadInstructions, programInfo, returning } from './program.ts'
import { pin, unpin } from './pin.ts'
import { BpfError } from './syscall.ts'
import { openBpffs } from './testdata/bpffs.ts'
import { runChild } from './testdata/child.ts'
import { until } from '../testdata/until.ts'

const cpus = possibleCpus()
const perCpuU64 = perCpu(u64, cpus)
const one: Codec<number, bigint> = codec(u32, u64)
const perCpuOne: Codec<number, readonly bigint[]> = codec(u32, perCpuU64)
const prefix: Layout<number> = {
  // A /32 in an LPM trie over four bytes: the length, then the address in network order.
  size: 8,
  encode: (view, at, key) => {
    view.setUint32(at, 32, true)
    view.setUint32(at + 4, key, false)
  },
  decode: (view, at) => view.getUint32(at + 4, false),
}
const ENTRIES = 600

interface Case<V> {
  readonly title: string
  readonly type: MapType
  readonly flags?: number
  readonly layout: Codec<number, V>
  readonly valueSize: number
  readonly value: (n: number) => V
}
const single = { layout: one, valueSize: 8, value: (n: number): bigint => BigInt(n) << 20n }
const each = {
  layout: perCpuOne,
  valueSize: 8,
  value: (n: number): readonly bigint[] => Array.from({ length: cpus }, (_, cpu) => BigInt(n * 100 + cpu)),
}
const hashes: readonly (Case<bigint> | Case<readonly bigint[]>)[] = [
  { title: 'a hash', type: 'hash', ...single },
  { title: 'a hash that is not preallocated', type: 'hash', flags: mapFlag.NO_PREALLOC, ...single },
  { title: 'an LRU hash', type: 'lru-hash', ...single },
  { title: 'a per-CPU hash', type: 'percpu-hash', ...each },
  { title: 'a per-CPU LRU hash', type: 'lru-percpu-hash', ...each },
  { title: 'an LPM trie', type: 'lpm-trie', flags: mapFlag.NO_PREALLOC, ...single, layout: codec(prefix, u64) },
]
const arrays: readonly (Case<bigint> | Case<readonly bigint[]>)[] = [
  { title: 'an array', type: 'array', ...single },
  { title: 'an array that can be mapped', type: 'array', flags: mapFlag.MMAPABLE, ...single },
  { title: 'a per-CPU array', type: 'percpu-array', ...each },
]

function open<V>({ type, flags = 0, layout, valueSize }: Case<V>, maxEntries: number): EbpfMap<number, V> {
  return newMap({ type, name: 'test', keySize: layout.keySize, valueSize, maxEntries, flags }, layout)
}
function sorted<V>(map: EbpfMap<number, V>): (readonly [number, V])[] {
  return [...map.entries()].toSorted(([a], [b]) => a - b)
}
function rows<V>(c: Case<V>, from: number, to: number): [number, V][] {
  return Array.from({ length: to - from }, (_, i) => [from + i, c.value(from + i)])
}

/** Room enough that an LRU map of two CPUs evicts nothing. */
const ROOM = 16 * ENTRIES

function behavesAsHash<V>(c: Case<V>): void {
  it(`${c.title} adds what is absent and leaves what is there`, () => {
    using map = open(c, ROOM)
    assert.equal(map.add(7, c.value(1)), true)
    assert.equal(map.add(7, c.value(2)), false)
    assert.deepEqual(map.lookup(7), c.value(1))
    map.update(7, c.value(3))
    assert.deepEqual(map.lookup(7), c.value(3))
  })

  it(`${c.title} looks up, replaces and deletes single entries`, () => {
    using map = open(c, ROOM)
    assert.equal(map.lookup(7), undefined)
    map.update(7, c.value(1))
    map.update(7, c.value(2))
    assert.deepEqual(map.lookup(7), c.value(2))
    map.delete(7)
    map.delete(7)
    assert.equal(map.lookup(7), undefined)
  })
  it(`${c.title} takes and gives many entries`, () => {
    using map = open(c, ROOM)
    map.updateBatch(rows(c, 0, ENTRIES))
    assert.deepEqual(sorted(map), rows(c, 0, ENTRIES))
    map.updateBatch(new Map(rows(c, 10, 12)))
    map.deleteBatch([
      5,
      100_000,
      6,
      100_001,
      100_002,
      ...Array.from({ length: ENTRIES - 20 }, (_, i) => i + 20),
      200_000,
    ])
    assert.deepEqual(sorted(map), [...rows(c, 0, 5), ...rows(c, 7, 20)])
    map.deleteBatch([])
    map.updateBatch([])
  })
  it(`${c.title} is iterated once over while its entries are deleted`, () => {
    using map = open(c, ROOM)
    map.updateBatch(rows(c, 0, ENTRIES))
    const seen: number[] = []
    for (const [key] of map.entries()) {
      seen.push(key)
      map.delete(key)
      map.delete((key + 1) % ENTRIES)
    }
    assert.equal(new Set(seen).size, seen.length)
    assert.deepEqual(sorted(map), [])
  })
  it(`${c.title} is scanned without decoding`, () => {
    using map = open(c, ROOM)
    map.updateBatch(rows(c, 0, 50))
    const keys: number[] = []
    map.scan((view, key, value) => {
      assert.deepEqual(c.layout.decodeValue(view, value), c.value(c.layout.decodeKey(view, key)))
      keys.push(c.layout.decodeKey(view, key))
    })
    assert.deepEqual(
      keys.toSorted((a, b) => a - b),
      Array.from({ length: 50 }, (_, i) => i),
    )
  })
}

function behavesAsArray<V>(c: Case<V>): void {
  it(`${c.title} holds a value at every index`, () => {
    using map = open(c, ENTRIES)
    map.update(3, c.value(4))
    map.updateBatch(rows(c, 10, ENTRIES))
    assert.deepEqual(map.lookup(3), c.value(4))
    const empty = Array.from({ length: 10 }, (_, i): [number, V] => [i, i === 3 ? c.value(4) : c.value(0)])
    const read = sorted(map)
    assert.deepEqual(read.slice(10), rows(c, 10, ENTRIES))
    if (c.type === 'array') assert.deepEqual(read.slice(0, 10), empty)
    assert.equal(map.lookup(ENTRIES), undefined)
    assert.throws(() => map.delete(3), { code: 'EINVAL', command: 'MAP_DELETE_ELEM' })
    assert.throws(() => map.update(ENTRIES, c.value(0)), { code: 'E2BIG' })
  })
}

describe('maps of every type', () => {
  for (const c of hashes) behavesAsHash(c as Case<unknown>)
  for (const c of arrays) behavesAsArray(c as Case<unknown>)

  it('a program array takes descriptors and gives ids', () => {
    const program = loadInstructions('sched-cls', undefined, returning(5), 'five')
    using map = newMap(specOf('prog-array', { maxEntries: 4 }), codec(u32, u32))
    map.update(2, program)
    map.updateBatch([
      [0, program],
      [1, program],
    ])
    const id = programInfo(program).id
    assert.deepEqual(sorted(map), [
      [0, id],
      [1, id],
      [2, id],
    ])
    map.deleteBatch([0, 1])
    assert.equal(map.lookup(0), undefined)
    closeSync(program)
  })

  for (const type of ['array-of-maps', 'hash-of-maps'] as const) {
    it(`an ${type} takes descriptors and gives ids`, () => {
      using inner = newMap(specOf('array', { name: 'inner', maxEntries: 3 }), codec(u32, u32))
      using outer = newMap(specOf(type, { maxEntries: 4, innerMapFd: inner.fd }), codec(u32, u32))
      inner.update(1, 77)
      outer.update(2, inner.fd)
      outer.updateBatch([
        [0, inner.fd],
        [1, inner.fd],
      ])
      using found = mapFromId(outer.lookup(2) ?? 0, codec(u32, u32))
      assert.equal(found?.lookup(1), 77)
      const id = inner.info.id
      assert.deepEqual(sorted(outer), [
        [0, id],
        [1, id],
        [2, id],
      ])
      outer.delete(0)
      assert.equal(outer.lookup(0), undefined)
    })
  }

  it('a ring buffer is created and described', () => {
    const fd = createMap({ type: 'ring-buffer', name: 'ring', keySize: 0, valueSize: 0, maxEntries: 4096 })
    using map = new EbpfMap(fd, codec(bytes(0), bytes(0)))
    assert.deepEqual([map.info.type, map.info.maxEntries], ['ring-buffer', 4096])
  })
})

describe('a map', () => {
  it('that can be mapped shares its values with programs and the system call', () => {
    using map = newMap({ ...specOf('array', { valueSize: 8, maxEntries: 3 }), flags: mapFlag.MMAPABLE }, one)
    using memory = map.mmap()
    const values = new BigUint64Array(memory.buffer)
    assert.equal(values.length, 3)
    values[1] = 99n
    assert.equal(map.lookup(1), 99n)
    map.update(2, 5n)
    assert.equal(values[2], 5n)
  })

  it('whose codec does not fit is refused, naming both sizes, and its descriptor is closed', () => {
    const fd = createMap(specOf('hash', { name: 'misfit', maxEntries: 1 }))
    assert.throws(() => new EbpfMap(fd, one), /map misfit has keys of 4 and values of 4 bytes.*expects 4 and 8/)
    assert.throws(() => closeSync(fd), { code: 'EBADF' })
  })

  it('that is full names itself and the entry that found no room', () => {
    using map = newMap(specOf('hash', { name: 'small', valueSize: 8, maxEntries: 4 }), one)
    const entries = Array.from({ length: 6 }, (_, i): [number, bigint] => [i, 0n])
    assert.throws(
      () => map.updateBatch(entries),
      (error: unknown) => {
        assert.ok(error instanceof BpfError)
        assert.deepEqual([error.code, error.object, error.command], ['E2BIG', 'map small', 'MAP_UPDATE_BATCH'])
        assert.match(error.message, /entry 4 of 6/)
        return true
      },
    )
    assert.equal([...map.entries()].length, 4)
  })

  it('that is frozen refuses updates', () => {
    using map = newMap(specOf('array', { valueSize: 8, maxEntries: 1 }), one)
    map.freeze()
    assert.throws(() => map.update(0, 1n), { code: 'EPERM' })
  })

  it('that was closed says so instead of touching another descriptor', () => {
    let touched = 0
    const touch = (): number => ++touched
    const counting = { ...u32, encode: touch, decode: touch }
    const map = newMap(specOf('array', { maxEntries: 1, flags: mapFlag.MMAPABLE }), codec(counting, counting))
    map[Symbol.dispose]()
    map[Symbol.dispose]()
    const uses: readonly [string, () => unknown][] = [
      ['lookup', () => map.lookup(0)],
      ['update', () => map.update(0, 1)],
      ['delete', () => map.delete(0)],
      ['updateBatch', () => map.updateBatch([])],
      ['updateBatch of many', () => map.updateBatch([0, 1, 2].map(n => [n, n] as const))],
      ['deleteBatch', () => map.deleteBatch([])],
      ['deleteBatch of many', () => map.deleteBatch([0, 1, 2])],
      ['entries', () => [...map.entries()]],
      ['scan', () => map.scan(touch)],
      ['freeze', () => map.freeze()],
      ['mmap', () => map.mmap()],
      ['fd', () => map.fd],
    ]
    for (const [name, use] of uses) assert.throws(use, { code: 'EBADF', message: /the map was closed/ }, name)
    assert.equal(touched, 0, 'memory that was given back is left alone')
  })

  it('that is closed while it is iterated ends the iteration', () => {
    const map = newMap(specOf('hash', { maxEntries: 200_000, valueSize: 8 }), one)
    map.updateBatch(Array.from({ length: 200_000 }, (_, i) => [i, 0n] as const))
    assert.throws(
      () => {
        for (const _ of map.entries()) map[Symbol.dispose]()
      },
      { code: 'EBADF' },
    )
  })

  it('opened over another descriptor outlives it', () => {
    const fd = createMap(specOf('array', { valueSize: 8, maxEntries: 1 }))
    using map = mapOfFd(fd, one)
    closeSync(fd)
    map.update(0, 3n)
    assert.equal(map.lookup(0), 3n)
    assert.equal(mapFromId(0x7fff_ffff, one), undefined)
  })

  it('takes, gives and loses 100,000 entries', () => {
    const layout = codec(bytes(16), bytes(32))
    using map = newMap({ ...specOf('hash', { maxEntries: 100_000 }), keySize: 16, valueSize: 32 }, layout)
    const keys = Array.from({ length: 100_000 }, (_, i) => new Uint8Array(new Uint32Array([i, 1, 2, 3]).buffer))
    map.updateBatch(keys.map(key => [key, new Uint8Array(32).fill(key[0] ?? 0)] as const))
    let sum = 0
    const seen = new Set<number>()
    map.scan((view, key, value) => {
      seen.add(view.getUint32(key, true))
      sum += view.getUint8(key) === view.getUint8(value + 31) ? 1 : 0
    })
    assert.deepEqual([seen.size, sum], [100_000, 100_000])
    map.deleteBatch(keys)
    assert.equal([...map.entries()].length, 0)
  })

  for (const type of ['hash', 'lpm-trie'] as const) {
    it(`of type ${type} is iterated once over while another process adds and deletes entries`, async () => {
      using fs = openBpffs()
      const layout = codec(prefix, u64)
      const shape = { keySize: 8, valueSize: 8, flags: mapFlag.NO_PREALLOC }
      using map = newMap({ ...specOf(type, { maxEntries: 4000 }), ...shape }, layout)
      const stay = Array.from({ length: 700 }, (_, key) => key)
      map.updateBatch(stay.map(key => [key, 0n] as const))
      pin(map.fd, fs.path('map'))
      const churn = runChild('churn', [fs.path('map')])
      const changing = (): boolean => map.lookup(1000) !== undefined
      await until(changing, () => 'nothing changes')
      let changes = 0
      for (let round = 0; round < 300; round++) {
        const keys = [...map.entries()].map(([key]) => key)
        changes += keys.length === stay.length ? 0 : 1
        assert.equal(new Set(keys).size, keys.length, 'a key came twice')
        assert.deepEqual(
          keys.filter(key => key < 1000).toSorted((a, b) => a - b),
          stay,
        )
      }
      unpin(fs.path('map'))
      await churn
      assert.ok(changes > 0, 'nothing changed meanwhile')
    })
  }

  it('is read bucket by bucket also when a bucket holds more than was asked for', () => {
    // One element fits into a chunk of this map; the kernel answers ENOSPC for any bucket with more.
    const large = codec(u32, bytes(20_000))
    using map = newMap({ ...specOf('hash', { maxEntries: 400 }), valueSize: 20_000, flags: mapFlag.NO_PREALLOC }, large)
    for (let i = 0; i < 400; i++) map.update(i, new Uint8Array(20_000).fill(i))
    const keys = [...map.entries()].map(([key, value]) => (value[19_999] === (key & 255) ? key : -1))
    assert.deepEqual(
      keys.toSorted((a, b) => a - b),
      Array.from({ length: 400 }, (_, i) => i),
    )
  })
})

function specOf(type: MapType, rest: Partial<MapSpec> & { readonly maxEntries: number }): MapSpec {
  return { type, name: 'test', keySize: 4, valueSize: 4, ...rest }
}
