import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Elf } from '../../bpf/gen/elf.ts'
import { parseBtf } from '../kernel/bpf/btf.ts'
import { converter, type Field, fieldsOf } from './map-fields.ts'
import { OBJECT_DIRECTORY } from './objects.ts'

const fields = (text: string): Map<string, Field> =>
  new Map(
    text.split(', ').map(each => {
      const [name = '', at, size] = each.split(' ')
      return [name, { at: Number(at), size: Number(size) }]
    }),
  )
const hex = (bytes: Uint8Array | undefined): string => (bytes ? Buffer.from(bytes).toString('hex') : 'nothing')

const cases: readonly (readonly [what: string, from: string, to: string, size: number, bytes: string, want: string])[] =
  [
    ['moved fields', 'a 0 2, b 2 2', 'b 0 2, a 2 2', 4, '01020304', '03040102'],
    ['a new field is zero', 'a 0 2', 'new 0 4, a 4 2', 6, '0102', '000000000102'],
    ['a field that went is left out', 'a 0 2, gone 2 2', 'a 0 2', 2, '01020304', '0102'],
    ['a number with more room', 'n 0 2', 'n 0 4', 4, '0102', '01020000'],
    ['a number with less room that fits', 'n 0 4', 'n 0 2', 2, '01020000', '0102'],
    ['a number with less room that does not', 'n 0 4', 'n 0 2', 2, '01020300', 'nothing'],
  ]
for (const [what, from, to, size, bytes, want] of cases) {
  test(`values: ${what}`, () => {
    const convert = converter(fields(from), fields(to), size, 'part')
    assert.equal(hex(convert(Buffer.from(bytes, 'hex'))), want)
  })
}

test('keys: an entry is left out whose key says more than the other layout can', () => {
  const convert = converter(fields('a 0 2, gone 2 2'), fields('a 0 2'), 2, 'whole')
  assert.equal(hex(convert(Buffer.from('01020000', 'hex'))), '0102')
  assert.equal(hex(convert(Buffer.from('01020001', 'hex'))), 'nothing')
})

test("fields of the programs' structures bear the names that C gives them", () => {
  const object = new Elf(readFileSync(join(OBJECT_DIRECTORY, 'pod.o')))
  const btf = parseBtf(object.section('.BTF') ?? new Uint8Array())
  const found = fieldsOf(btf, btf.find('struct', 'nat_key')?.id ?? 0)
  assert.deepEqual(found.get('destination.words[3]'), { at: 28, size: 4 })
  assert.deepEqual(found.get('protocol'), { at: 36, size: 1 })
  assert.equal(
    [...found.values()].reduce((sum, { size }) => sum + size, 0),
    btf.find('struct', 'nat_key')?.size,
  )
})
