import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseBtf } from './btf.ts'

const strings = ['', 'int', 'u8', 'point', 'x', 'y', 'hue', 'RED', 'alias', 'value', '.rodata', 'real']
const text = Buffer.from(`${strings.join('\0')}\0`)
const at = (name: string): number => text.indexOf(`\0${name}\0`) + 1

/** Words of the type section: name, kind and count, size or type, then what the kind adds. */
const kind = (k: number, count = 0, flag = 0): number => (flag << 31) | (k << 24) | count
const words = [
  [at('int'), kind(1), 4, (1 << 24) | 32], // 1: signed int
  [at('u8'), kind(1), 1, 8], // 2
  [0, kind(3), 0, 2, 1, 6], // 3: u8[6]
  [at('point'), kind(4, 2), 12, at('x'), 1, 0, at('y'), 3, 32], // 4: { int x; u8 y[6] }
  [at('point'), kind(4, 1, 1), 4, at('x'), 1, (3 << 24) | 5], // 5: bit field of 3 bits at 5
  [at('hue'), kind(6, 1, 1), 4, at('RED'), 0xffffffff], // 6: signed enum
  [0, kind(19, 1), 8, at('RED'), 1, 2], // 7: enum64
  [at('alias'), kind(8), 4], // 8: typedef of 4
  [0, kind(10), 8], // 9: const of 8
  [0, kind(2), 0], // 10: pointer to void
  [0, kind(13, 2), 1, 0, 1, 0, 1], // 11: function prototype of two parameters
  [at('value'), kind(14), 9, 1], // 12: variable
  [at('.rodata'), kind(15, 1), 16, 12, 4, 12], // 13
  [at('real'), kind(16), 8], // 14
  [at('alias'), kind(17), 4, 0], // 15: declaration tag
  [at('alias'), kind(7), 0], // 16: forward declaration
]

function raw(types: readonly (readonly number[])[] = words): Uint8Array {
  const body = new Uint8Array(Uint32Array.from(types.flat()).buffer)
  const header = new DataView(new ArrayBuffer(24))
  header.setUint16(0, 0xeb9f, true)
  header.setUint32(4, 24, true)
  header.setUint32(12, body.length, true)
  header.setUint32(16, body.length, true)
  header.setUint32(20, text.length, true)
  return Buffer.concat([new Uint8Array(header.buffer), body, text])
}

describe('BTF', () => {
  const btf = parseBtf(raw())

  it('is read type by type, whatever each kind adds', () => {
    assert.deepEqual(
      btf.types.map(({ kind: name }) => name).join(' '),
      'void int int array struct struct enum enum typedef const ptr func-proto var datasec float decl-tag fwd',
    )
    assert.deepEqual(btf.type(1), { id: 1, name: 'int', kind: 'int', size: 4, signed: true, bool: false })
    assert.deepEqual(btf.find('datasec', '.rodata')?.variables, [{ type: 12, offset: 4, size: 12 }])
  })

  it('knows members, bit fields and values of any sign and width', () => {
    const [plain, bits] = btf.all('struct')
    assert.deepEqual(plain?.members[1], { name: 'y', type: 3, bitOffset: 32, bitSize: 0 })
    assert.deepEqual(bits?.members[0], { name: 'x', type: 1, bitOffset: 5, bitSize: 3 })
    assert.deepEqual(
      btf.all('enum').map(type => type.values[0]?.value),
      [-1n, (2n << 32n) | 1n],
    )
  })

  it('looks behind typedefs and qualifiers', () => {
    assert.equal(btf.resolve(9).id, 4)
    assert.equal(btf.typedefName(9), 'alias')
    assert.equal(btf.typedefName(1), undefined)
    assert.deepEqual(
      [1, 3, 9, 10].map(id => btf.sizeOf(id)),
      [4, 6, 12, 8],
    )
    assert.throws(() => btf.sizeOf(11), RangeError)
    assert.throws(() => btf.type(99), RangeError)
  })

  it('of another byte order, or with kinds of the future, is refused', () => {
    assert.throws(() => parseBtf(new Uint8Array(24)), /no little-endian BTF/)
    assert.throws(() => parseBtf(raw([[0, kind(31), 0]])), /unknown kind 31/)
  })
})
