import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatPrefix } from '../../daemon/kernel/ip.ts'
import { ConfigError } from '../../daemon/plugin.ts'
import { parseOptions } from './options.ts'

test('an empty section gives every address of the node, after the usual cooldown', () => {
  const want = { name: 'default', exclude: [], cooldownMs: 30_000 }
  for (const raw of [undefined, null, {}]) assert.deepEqual(parseOptions(raw), want)
})

test('exclusions are prefixes and addresses of both families', () => {
  const { exclude, cooldownMs } = parseOptions({
    exclude: ['10.64.1.0/28', '10.64.1.77', 'FD00:64::5'],
    cooldownSeconds: 0,
  })
  assert.deepEqual(exclude.map(formatPrefix), ['10.64.1.0/28', '10.64.1.77/32', 'fd00:64::5/128'])
  assert.equal(cooldownMs, 0)
})

const refusals: readonly (readonly [what: string, raw: unknown, message: string])[] = [
  ['a word', 'x', 'node-cidr: "x" is not allowed; allowed: a group with the keys exclude and cooldownSeconds'],
  [
    "ranges, which are the node object's",
    { ranges: [] },
    'node-cidr.ranges: unknown key; known here: exclude and cooldownSeconds',
  ],
  [
    'a text for exclusions',
    { exclude: '10.64.1.0/28' },
    'node-cidr.exclude: "10.64.1.0/28" is not allowed; allowed: a list of prefixes and addresses such as 10.64.0.0/28 or 10.64.0.1',
  ],
  [
    'a number among exclusions',
    { exclude: ['10.64.1.1', 4] },
    'node-cidr.exclude.1: 4 is not allowed; allowed: a list of prefixes and addresses such as 10.64.0.0/28 or 10.64.0.1',
  ],
  [
    'an exclusion that is nothing',
    { exclude: ['first'] },
    'node-cidr.exclude.0: "first" is not allowed; allowed: a prefix such as 10.64.0.0/28 or an address such as 10.64.0.1',
  ],
  [
    'host bits in an exclusion',
    { exclude: ['10.64.0.1/28'] },
    'node-cidr.exclude.0: 10.64.0.1/28 has host bits set; allowed: 10.64.0.0/28',
  ],
  [
    'a cooldown below nothing',
    { cooldownSeconds: -1 },
    'node-cidr.cooldownSeconds: -1 is not allowed; allowed: a whole number from 0 to 3600',
  ],
]
for (const [what, raw, message] of refusals) {
  test(`${what}: refused with the key and what is allowed`, () =>
    assert.throws(
      () => parseOptions(raw),
      (error: unknown) => {
        assert.ok(error instanceof ConfigError)
        assert.equal(error.message, message)
        return true
      },
    ))
}
