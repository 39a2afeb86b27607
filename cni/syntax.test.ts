/** Address and MAC syntax against Node's own reading of addresses. */
import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import { addressOf, familyOf, macOf } from './syntax.ts'

const addresses = `0.0.0.0 255.255.255.255 10.0.0.1 256.0.0.1 1.2.3 1.2.3.4.5 01.2.3.4 1.2.3. :: ::1 fe80::1 1::
  1:2:3:4:5:6:7:8 1:2:3:4:5:6:7 1:2:3:4:5:6:7:8:9 1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8 1::2::3 ::: : :1 1: g:: 12345::
  ::1.2.3.4 ::ffff:1.2.3.4 1:2:3:4:5:6:1.2.3.4 1:2:3:4:5:6:7:1.2.3.4 1.2.3.4:: ::1.2.3.4:5 ::1.2.3.256 FE80::A ::1/64`
for (const text of ['', ' 1.2.3.4', ...addresses.split(/\s+/)]) {
  test(`family of ${JSON.stringify(text)} is ${isIP(text)}`, () => assert.equal(familyOf(text), isIP(text)))
}

const withLength: readonly (readonly [value: unknown, want: string | undefined])[] = [
  ['10.0.0.1/24', '10.0.0.1'],
  ['10.0.0.1', '10.0.0.1'],
  ['fd00::1/128', 'fd00::1'],
  ['10.0.0.1/33', undefined],
  ['fd00::1/129', undefined],
  ['10.0.0.1/', undefined],
  ['10.0.0.1/1/2', undefined],
  ['10.0.0.1/-1', undefined],
  [7, undefined],
]
for (const [value, want] of withLength) {
  test(`${JSON.stringify(value)} ${want === undefined ? 'is no address' : `is the address ${want}`}`, () =>
    assert.equal(addressOf(value), want))
}

const macs: readonly (readonly [value: unknown, want: string | undefined])[] = [
  ['02:AB:cd:00:00:01', '02:ab:cd:00:00:01'],
  ['01:00:5e:00:00:01', undefined],
  ['ff:ff:ff:ff:ff:ff', undefined],
  ['00:00:00:00:00:00', undefined],
  ['02-ab-cd-00-00-01', undefined],
  ['02:ab:cd:00:00', undefined],
  ['02:ab:cd:00:00:01:02', undefined],
  [null, undefined],
]
for (const [value, want] of macs) {
  test(`${JSON.stringify(value)} ${want === undefined ? 'is no unicast MAC' : `is the MAC ${want}`}`, () =>
    assert.equal(macOf(value), want))
}
