import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatAddress, parseAddress, parsePrefix } from '../../daemon/kernel/ip.ts'
import { AddressRange } from './range.ts'

function range(text: string, ...exclude: string[]): AddressRange {
  return new AddressRange(parsePrefix(text), exclude.map(parsePrefix))
}
/** Takes the lowest free address. */
function next(r: AddressRange): string | undefined {
  const value = r.lowestFree()
  if (value === undefined) return undefined
  r.take(value)
  return formatAddress({ family: r.prefix.family, value })
}
function all(r: AddressRange): string[] {
  const given: string[] = []
  for (let address = next(r); address !== undefined; address = next(r)) given.push(address)
  return given
}

test('small ranges give every address but those the family or the configuration keeps', () => {
  const cases: readonly (readonly [string, readonly string[], string])[] = [
    ['10.0.0.0/29', [], '10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6'],
    ['10.0.0.0/30', [], '10.0.0.1 10.0.0.2'],
    ['10.0.0.0/31', [], '10.0.0.0 10.0.0.1'],
    ['10.0.0.7/32', [], '10.0.0.7'],
    ['fd00::/126', [], 'fd00::1 fd00::2 fd00::3'],
    ['fd00::/127', [], 'fd00:: fd00::1'],
    ['fd00::9/128', [], 'fd00::9'],
    ['10.0.0.0/29', ['10.0.0.0/30'], '10.0.0.4 10.0.0.5 10.0.0.6'],
    ['10.0.0.0/29', ['10.0.0.2/32', '10.0.0.5/32'], '10.0.0.1 10.0.0.3 10.0.0.4 10.0.0.6'],
    ['10.0.0.0/29', ['10.0.0.0/8'], ''],
    ['10.0.0.0/30', ['10.0.1.0/24', 'fd00::/64'], '10.0.0.1 10.0.0.2'],
    ['10.0.0.0/31', ['10.0.0.0/32', '10.0.0.1/32'], ''],
    ['fd00::/126', ['fd00::1/128', 'fd00::2/127'], ''],
    [
      '255.255.255.248/29',
      [],
      '255.255.255.249 255.255.255.250 255.255.255.251 255.255.255.252 255.255.255.253 255.255.255.254',
    ],
  ]
  for (const [text, exclude, want] of cases) {
    const r = range(text, ...exclude)
    assert.equal(BigInt(want === '' ? 0 : want.split(' ').length), r.usable, `${text} without ${exclude.join()}`)
    assert.equal(all(r).join(' '), want, `${text} without ${exclude.join()}`)
  }
})

test('exclusions are counted once, and not where the family reserves anyway', () => {
  const cases: readonly (readonly [string, readonly string[], bigint, bigint])[] = [
    ['10.0.0.0/24', ['10.0.0.0/28'], 240n - 1n, 15n],
    ['10.0.0.0/24', ['10.0.0.16/28', '10.0.0.16/30', '10.0.0.20/32'], 238n, 16n],
    ['10.0.0.0/24', ['10.0.0.255/32'], 254n, 0n],
    ['fd00::/64', ['fd00::/120'], (1n << 64n) - 256n, 255n],
  ]
  for (const [text, exclude, usable, excluded] of cases) {
    const { usable: u, excluded: e } = range(text, ...exclude)
    assert.deepEqual([u, e], [usable, excluded], `${text} without ${exclude.join()}`)
  }
})

test('a freed address is the next one given, for it is the lowest', () => {
  const r = range('10.0.0.0/16')
  for (let i = 0; i < 5000; i++) next(r)
  r.free(parseAddress('10.0.16.7').value)
  r.free(parseAddress('10.0.0.9').value)
  assert.deepEqual([next(r), next(r), next(r)], ['10.0.0.9', '10.0.16.7', '10.0.19.137'])
})

test('the widest ranges cost no more than what is taken in them', () => {
  const r = range('fd00::/8', 'fd00::/64')
  assert.equal(next(r), 'fd00:0:0:1::')
  r.take(parseAddress('fdff:ffff::1').value)
  assert.equal(r.gives(parseAddress('fdff:ffff::1')), true)
  assert.equal(next(r), 'fd00:0:0:1::1')
  assert.equal(next(range('::/0')), '::1')
})

test('what a range gives is within it and not excluded', () => {
  const r = range('10.0.0.0/24', '10.0.0.64/26')
  const cases: readonly (readonly [string, boolean])[] = [
    ['10.0.0.1', true],
    ['10.0.0.0', false],
    ['10.0.0.255', false],
    ['10.0.0.64', false],
    ['10.0.0.127', false],
    ['10.0.0.128', true],
    ['10.0.1.1', false],
    ['fd00::1', false],
  ]
  for (const [address, want] of cases) assert.equal(r.gives(parseAddress(address)), want, address)
})

test('random taking and freeing gives what a list of all addresses would give', () => {
  for (let round = 0; round < 30; round++) {
    const r = range('10.0.0.0/18', '10.0.15.240/28', '10.0.16.0/31')
    const base = parseAddress('10.0.0.0').value
    const free = new Set(
      Array.from({ length: 1 << 14 }, (_, i) => base + BigInt(i)).filter(value => r.gives({ family: 4, value })),
    )
    for (let i = 0; i < 600; i++) {
      const value = base + BigInt(Math.floor(Math.random() * (1 << 14)))
      if (Math.random() < 0.3) {
        if (r.gives({ family: 4, value })) free.add(value)
        r.free(value)
      } else {
        for (let n = Math.floor(Math.random() * 60); n > 0; n--) {
          const lowest = r.lowestFree()
          if (lowest === undefined) break
          r.take(lowest)
          free.delete(lowest)
        }
        free.delete(value)
        r.take(value)
      }
    }
    const want = [...free].reduce<bigint | undefined>(
      (low, value) => (low === undefined || value < low ? value : low),
      undefined,
    )
    assert.equal(r.lowestFree(), want)
  }
})
