/** What the sections of the three plugins of addresses from a cloud have in common: keys, defaults, refusals. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ConfigError } from '../../daemon/plugin.ts'
import type { CloudOptions } from '../../plugins/cloud-core/node/options.ts'

const DEFAULTS: CloudOptions = {
  preAllocate: 8,
  min: 0,
  maxAbove: 16,
  releaseDelayMs: 180_000,
  cooldownMs: 30_000,
  firstInterface: 0,
  prefixes: true,
  subnets: { ids: [], tags: {} },
  securityGroups: { ids: [], tags: {} },
  fallbackPool: '',
  fallbackForAll: false,
  endpoint: '',
  region: '',
  classes: [],
}

const REFUSALS: readonly (readonly [what: string, raw: unknown, message: RegExp])[] = [
  ['a word', 'x', /^SECTION: "x" is not allowed; allowed: a group of keys$/],
  ['an unknown key', { warm: 1 }, /^SECTION\.warm: unknown key; known here: preAllocate, min, .*classes$/],
  [
    'a negative count',
    { preAllocate: -1 },
    /^SECTION\.preAllocate: -1 is not allowed; allowed: a whole number from 0 to 1024$/,
  ],
  [
    'half a second',
    { cooldownSeconds: 0.5 },
    /^SECTION\.cooldownSeconds: 0\.5 is not allowed; allowed: a whole number/,
  ],
  ['too long a delay', { releaseDelaySeconds: 86_401 }, /^SECTION\.releaseDelaySeconds: 86401 is not allowed/],
  ['a word for a flag', { prefixes: 'yes' }, /^SECTION\.prefixes: "yes" is not allowed; allowed: true or false$/],
  [
    'subnets as a list',
    { subnets: ['subnet-1'] },
    /^SECTION\.subnets: \["subnet-1"\] is not allowed; allowed: a group with the keys ids and tags$/,
  ],
  [
    'a number for an id',
    { subnets: { ids: ['a', 4] } },
    /^SECTION\.subnets\.ids\.1: 4 is not allowed; allowed: a list of ids/,
  ],
  [
    'an unknown key of subnets',
    { subnets: { zone: 'a' } },
    /^SECTION\.subnets\.zone: unknown key; known here: ids, tags$/,
  ],
  [
    'a tag that is no text',
    { subnets: { tags: { a: 1 } } },
    /^SECTION\.subnets\.tags\.a: 1 is not allowed; allowed: a group whose members are texts$/,
  ],
  [
    'its own pool in its place',
    { fallbackPool: 'default' },
    /^SECTION\.fallbackPool: 'default' is this plugin's own pool/,
  ],
  [
    'a pool that is no name',
    { fallbackPool: 'Not a name' },
    /^SECTION\.fallbackPool: "Not a name" is not allowed; allowed: the name of a pool/,
  ],
  [
    'all pods to no pool',
    { fallbackForAll: true },
    /^SECTION\.fallbackForAll: there is no fallbackPool; allowed: false, or a fallbackPool$/,
  ],
  [
    'an endpoint that is no URL',
    { endpoint: 'localhost' },
    /^SECTION\.endpoint: "localhost" is not allowed; allowed: a URL such as/,
  ],
  [
    'an operator that is none',
    { classes: [{ nodeSelector: { matchExpressions: [{ key: 'a', operator: 'is' }] } }] },
    /^SECTION\.classes\.0\.nodeSelector\.matchExpressions\.0\.operator: "is" is not allowed; allowed: In, NotIn/,
  ],
  [
    'an unknown key of a class',
    { classes: [{ zone: 'a' }] },
    /^SECTION\.classes\.0\.zone: unknown key; known here: nodeSelector, subnets/,
  ],
]

export function cloudOptionsTests(section: string, parse: (raw: unknown) => CloudOptions): void {
  test(`${section}: an empty section is the defaults`, () => {
    for (const raw of [undefined, null, {}]) assert.deepEqual(parse(raw), DEFAULTS)
  })
  test(`${section}: what is given counts, seconds as milliseconds`, () => {
    const classes = [{ nodeSelector: { matchLabels: { a: 'b' } }, subnets: { ids: ['s'] } }]
    const raw = { releaseDelaySeconds: 60, cooldownSeconds: 0, fallbackPool: 'overlay', fallbackForAll: true, classes }
    assert.deepEqual(parse(raw), {
      ...DEFAULTS,
      releaseDelayMs: 60_000,
      cooldownMs: 0,
      fallbackPool: 'overlay',
      fallbackForAll: true,
      classes: [{ nodeSelector: { matchLabels: { a: 'b' }, matchExpressions: [] }, subnets: { ids: ['s'], tags: {} } }],
    })
  })
  for (const [what, raw, message] of REFUSALS)
    test(`${section}: ${what} is refused with the key and what is allowed`, () => {
      const pattern = new RegExp(message.source.replace('SECTION', section))
      assert.throws(
        () => parse(raw),
        (error: unknown) => error instanceof ConfigError && pattern.test(error.message),
      )
    })
  test(`${section}: the README has every key and its default`, () => {
    const readme = readFileSync(join(import.meta.dirname, '../../plugins', section, 'README.md'), 'utf8')
    const rows = new Map(
      [...readme.matchAll(/^\| `([A-Za-z]+)` +\|.*\| ([^|]*?) *\|$/gm)].map(([, key, value]) => [key, value]),
    )
    let refusal = ''
    try {
      parse({ unheardOf: 1 })
    } catch (error) {
      refusal = String(error)
    }
    const keys = /known here: (.*)$/.exec(refusal)?.[1]?.split(', ') ?? []
    assert.ok(keys.length > 10)
    for (const key of keys) assert.match(readme, new RegExp(`^\\| \`${key}[.\`]`, 'm'), key)
    for (const key of ['preAllocate', 'min', 'maxAbove', 'firstInterface'] as const)
      assert.equal(rows.get(key), String(DEFAULTS[key]))
    assert.deepEqual([rows.get('releaseDelaySeconds'), rows.get('cooldownSeconds')], ['180', '30'])
  })
}
