import assert from 'node:assert/strict'
import test from 'node:test'
import { Attributes, BodyWriter, readMessages, writeMessage } from './message.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

test('an attribute has its own length and is padded to four bytes', () => {
  assert.equal(
    hex(new BodyWriter().attributeText(3, 'eth0').attributeU8(1, 7).finish()),
    hex(bytes('0900 0300 65746830 00 000000' + '0500 0100 07 000000')),
  )
})

test('a nested attribute is marked and counts what it holds', () => {
  const body = new BodyWriter().nest(18, w => w.attributeText(1, 'veth').nest(2, data => data.attributeU32(5, 1)))
  assert.equal(
    hex(body.finish()),
    hex(bytes('1c00 1280' + '0900 0100 76657468 00 000000' + '0c00 0280' + '0800 0500 01000000')),
  )
})

test('a value in network order has its high byte first', () => {
  assert.equal(hex(new BodyWriter().attributeBe16(15, 4789).finish()), '06000f0012b50000')
})

test('a body grows beyond what it began with', () => {
  const body = new BodyWriter()
  for (let i = 0; i < 1000; i++) body.attributeU32(i, i)
  const read = new Attributes(body.finish())
  assert.deepEqual([read.all.length, read.u32(0), read.u32(999)], [1000, 0, 999])
})

test('a message carries its length, type, flags, sequence number and the REQUEST flag', () => {
  const into = new Uint8Array(64)
  const end = writeMessage({ type: 16, flags: 0x404, body: bytes('aabbccdd') }, 0x01020304, into, 4)
  assert.equal(end, 24)
  assert.equal(hex(into.subarray(0, 24)), hex(bytes('00000000 14000000 1000 0504 04030201 00000000 aabbccdd')))
})

test('attributes nobody asks for are kept by number', () => {
  const read = new Attributes(new BodyWriter().attributeU32(4, 1500).attribute(999, bytes('0badcafe')).finish())
  assert.equal(read.u32(4), 1500)
  assert.deepEqual(
    read.all.map(a => [a.type, hex(a.value)]),
    [
      [4, 'dc050000'],
      [999, '0badcafe'],
    ],
  )
})

test('flags in an attribute type are not part of its number', () => {
  const read = new Attributes(bytes('0800 0480 01000000'))
  assert.equal(read.u32(4), 1)
})

test('absent and too short attributes are undefined', () => {
  const read = new Attributes(bytes('0500 0100 07 000000'))
  assert.deepEqual(
    [read.u8(1), read.u16(1), read.u32(1), read.u32(2), read.text(2), read.nested(2).all],
    [7, undefined, undefined, undefined, undefined, []],
  )
})

for (const [name, damaged] of [
  ['length zero', '0000 0100 00000000'],
  ['a length below its header', '0300 0100 00000000'],
  ['a length beyond the message', 'ff00 0200 00000000'],
] as const) {
  test(`an attribute with ${name} ends the list`, () => {
    assert.deepEqual(
      new Attributes(bytes(`0800 0400 01000000 ${damaged}`)).all.map(a => a.type),
      [4],
    )
  })
}

test('a datagram is cut into its messages, and one that is cut short ends it', () => {
  const datagram = bytes(
    '12000000 1000 0200 07000000 00000000 aabb 0000' + // 18 bytes, padded
      '10000000 0300 0200 07000000 00000000' +
      'ff000000 1000 0000 07000000 00000000',
  )
  assert.deepEqual(
    [...readMessages(datagram)].map(m => [m.type, m.flags, m.sequence, hex(m.body)]),
    [
      [16, 2, 7, 'aabb'],
      [3, 2, 7, ''],
    ],
  )
})
