import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bytes, codec, type Layout, perCpu, u32, u64 } from './layout.ts'
import { countCpuList } from './map-info.ts'

describe('layouts', () => {
  const cases: readonly [string, Layout<unknown>, unknown, string][] = [
    ['u32', u32, 0x01020304, '04030201'],
    ['u64', u64, 0x0102030405060708n, '0807060504030201'],
    ['bytes', bytes(3), new Uint8Array([1, 2, 3]), '010203'],
    ['per-CPU values', perCpu(u32, 2), [1, 2], '01000000ffffffff02000000ffffffff'],
  ]
  for (const [title, layout, value, want] of cases) {
    it(`write ${title} where they are told and read them back`, () => {
      const memory = Buffer.alloc(layout.size + 4, 0xff)
      const view = new DataView(memory.buffer, memory.byteOffset + 2)
      layout.encode(view, 2, value)
      assert.equal(memory.toString('hex'), `ffffffff${want}`)
      assert.deepEqual(layout.decode(view, 2), value)
    })
  }

  it('of bytes and CPUs refuse a value of another length', () => {
    const view = new DataView(new ArrayBuffer(32))
    assert.throws(() => bytes(6).encode(view, 0, new Uint8Array(5)), /want 6 bytes, got 5/)
    assert.throws(() => perCpu(u64, 2).encode(view, 0, [1n]), /needs 2 elements, not 1/)
  })

  it('make up codecs', () => {
    const both = codec(u32, u64)
    const view = new DataView(new ArrayBuffer(16))
    both.encodeKey(view, 0, 7)
    both.encodeValue(view, 8, 9n)
    assert.deepEqual([both.keySize, both.valueSize, both.decodeKey(view, 0), both.decodeValue(view, 8)], [4, 8, 7, 9n])
  })
})

describe('a CPU list', () => {
  for (const [list, count] of [
    ['0', 1],
    ['0-1\n', 2],
    ['0-3,8', 5],
    ['0,2-3,16-31', 19],
  ] as const) {
    it(`${JSON.stringify(list)} counts ${count}`, () => assert.equal(countCpuList(list), count))
  }
})
