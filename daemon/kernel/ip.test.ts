import assert from 'node:assert/strict'
import { SocketAddress } from 'node:net'
import { test } from 'node:test'
import {
  canonicalAddress,
  canonicalPrefix,
  covers,
  familyOf,
  formatAddress,
  formatPrefix,
  fromMapped16,
  InvalidAddress,
  networkOf,
  parseAddress,
  parsePrefix,
  prefixContains,
  sizeOf,
  toMapped16,
  fromMappedPrefix,
  toMappedPrefix,
} from './ip.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

test('an address prints as inet_ntop prints it', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['10.0.0.1', '10.0.0.1'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8::0001', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['::ffff:c000:201', '::ffff:192.0.2.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['::1:2', '::0.1.0.2'],
    ['fe80::200:5aee:feaa:20a2', 'fe80::200:5aee:feaa:20a2'],
  ]
  for (const [given, want] of cases) assert.equal(canonicalAddress(given), want, given)
})

test('what inet_pton refuses is refused by name', () => {
  const cases = [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.0.0.1',
    '1.2.3.-4',
    '1.2.3.4 ',
    '0x1.2.3.4',
    '1e1.2.3.4',
    ':',
    ':::',
    '1:::2',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    '::1:2:3:4:5:6:7:8',
    ':1::2',
    '1::2:',
    '12345::',
    'g::',
    'fe80::1%eth0',
    '::1.2.3',
    '1.2.3.4::',
    '::1.2.3.4:5',
    '10.0.0.0/8',
  ]
  for (const text of cases)
    assert.throws(
      () => parseAddress(text),
      (err: unknown) => err instanceof InvalidAddress && err.text === text && err.message.startsWith(`'${text}' `),
      text,
    )
})

test('random addresses print as the C library prints them and read back', () => {
  for (let i = 0; i < 2000; i++) {
    const words = Array.from({ length: 8 }, () => (Math.random() < 0.5 ? 0 : Math.floor(Math.random() * 0x10000)))
    const text = words.map(word => word.toString(16)).join(':')
    const canonical = canonicalAddress(text)
    assert.equal(canonical, new SocketAddress({ address: text, family: 'ipv6' }).address, text)
    assert.deepEqual(parseAddress(canonical), parseAddress(text))
    assert.equal(formatAddress(parseAddress(text)), canonical)
  }
})

test('the family follows the text, also for mapped addresses', () => {
  assert.deepEqual(['1.2.3.4', '::1', '::ffff:1.2.3.4'].map(familyOf), [4, 6, 6])
  assert.deepEqual(parseAddress('1.2.3.4'), { family: 4, value: 0x01020304n })
  assert.deepEqual(parseAddress('::1'), { family: 6, value: 1n })
})

test('prefixes keep host bits when read and lose them when canonical', () => {
  assert.equal(formatPrefix(parsePrefix('10.1.2.3/24')), '10.1.2.3/24')
  const cases: readonly (readonly [string, string])[] = [
    ['10.1.2.3/24', '10.1.2.0/24'],
    ['10.1.2.3/0', '0.0.0.0/0'],
    ['10.1.2.3/32', '10.1.2.3/32'],
    ['FD00:1:2:3::9/64', 'fd00:1:2:3::/64'],
    ['::1/128', '::1/128'],
    ['fd00::/0', '::/0'],
  ]
  for (const [given, want] of cases) assert.equal(canonicalPrefix(given), want)
  assert.equal(sizeOf(parsePrefix('10.0.0.0/24')), 256n)
  assert.equal(sizeOf(parsePrefix('::/0')), 1n << 128n)
  assert.deepEqual(networkOf(parsePrefix('10.1.2.3/8')), { family: 4, value: 0x0a000000n, length: 8 })
})

test('a prefix without a usable length or address is refused', () => {
  for (const text of ['10.0.0.0', '10.0.0.0/', '10.0.0.0/33', '::/129', '10.0.0.0/08', '10.0.0.0/-1', '10.0/8', '/8'])
    assert.throws(() => parsePrefix(text), InvalidAddress, text)
})

test('a prefix contains addresses and longer prefixes of its own family', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.0.0.0/8', '10.1.0.0/16', true],
    ['10.1.0.0/16', '10.0.0.0/8', false],
    ['10.0.0.0/8', '10.0.0.0/8', true],
    ['0.0.0.0/0', '::/0', false],
    ['0.0.0.0/0', '1.2.3.4', true],
    ['fd00::/8', 'fd12::1', true],
    ['::/0', '1.2.3.4', false],
  ]
  for (const [outer, inner, want] of cases) assert.equal(prefixContains(outer, inner), want, `${outer} ${inner}`)
  assert.ok(covers(parsePrefix('10.0.0.0/8'), parseAddress('10.0.0.1')))
})

test('the 16 bytes of the maps carry IPv4 as mapped addresses, there and back', () => {
  assert.equal(hex(toMapped16('10.1.2.3')), '00000000000000000000ffff0a010203')
  assert.equal(hex(toMapped16('fd00::1')), 'fd000000000000000000000000000001')
  for (const address of ['10.1.2.3', '0.0.0.0', 'fd00::1', '::', '::1'])
    assert.equal(fromMapped16(toMapped16(address)), address)
  assert.throws(() => fromMapped16(new Uint8Array(4)), RangeError)
})

test('a view into a larger buffer reads as its own 16 bytes', () => {
  const buffer = Buffer.alloc(40)
  buffer.set(toMapped16('fd00::7'), 3)
  buffer.set(toMapped16('10.0.0.9'), 20)
  assert.equal(fromMapped16(buffer.subarray(3, 19)), 'fd00::7')
  assert.equal(fromMapped16(buffer.subarray(20, 36)), '10.0.0.9')
})

test('a prefix of the maps counts its length over 128 bits', () => {
  const v4 = toMappedPrefix('10.1.2.3/24')
  assert.deepEqual([hex(v4.bytes), v4.length], ['00000000000000000000ffff0a010200', 120])
  const v6 = toMappedPrefix('fd00::9/64')
  assert.deepEqual([hex(v6.bytes), v6.length], ['fd000000000000000000000000000000', 64])
})

for (const prefix of ['10.1.0.0/16', '0.0.0.0/0', '192.0.2.1/32', 'fd00:1::/64', '::/0', '2001:db8::1/128'])
  test(`the mapped form of ${prefix} leads back to it`, () => {
    const { bytes, length } = toMappedPrefix(prefix)
    assert.equal(fromMappedPrefix(bytes, length), prefix)
  })
