import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Mapping, NatReport } from '../../nat/report.ts'
import { type CommandContext, UsageError } from '../command.ts'
import { nat } from './nat.ts'

const WAY = {
  protocol: 'TCP',
  destination: '198.51.100.9',
  destinationPort: 443,
  egressAddress: '192.0.2.7',
} as const
const MAPPING: Mapping = {
  ...WAY,
  pod: 'default/web',
  podAddress: '10.1.0.2',
  podPort: 40_000,
  egressPort: 40_001,
  state: 'established',
  ageSeconds: 65,
}
const pods = ['default/web', 'default/db', 'default/log', 'default/etc'].map((pod, i) => ({ pod, used: 40 - 10 * i }))
const REPORT: NatReport = {
  masquerade: true,
  addresses: [
    {
      egressAddress: '192.0.2.7',
      devices: ['eth0', 'eth1'],
      mappings: 101,
      destinations: 2,
      headroom: 64_411,
      fullest: { ...WAY, used: 100 },
    },
    { egressAddress: 'fd00::7', devices: [], mappings: 0, destinations: 0, headroom: 64_512 },
  ],
  destinations: {
    total: 2,
    list: [{ ...WAY, used: 100, free: 64_411, total: 64_511, pods }],
  },
  pods: { total: 4, list: [{ pod: 'default/web', mappings: 41, destinations: 2, most: { ...WAY, used: 40 } }] },
  mappings: { total: 101, list: [MAPPING] },
}

/** What the command prints, columns apart by a bar, and what it asks for. */
async function run(
  options: Readonly<Record<string, string | true>> = {},
  { report = REPORT, format = 'table' }: { report?: NatReport; format?: string } = {},
) {
  let [out, asked] = ['', '']
  const context = {
    options: {
      text: (name: string) => (typeof options[name] === 'string' ? options[name] : undefined),
      flag: (name: string) => options[name] === true,
    },
    format,
    client: () => ({ json: (path: string) => Promise.resolve(((asked = path), report)) }),
    out: (text: string) => void (out += text),
  } as unknown as CommandContext // all that this command uses
  assert.equal(await nat.run(context), 0)
  const lines = out.split('\n').map(line =>
    line
      .trim()
      .split(/\s{2,}/)
      .join('|'),
  )
  return { out, lines: lines.filter(line => line !== ''), asked }
}

const SUMMARY = [
  'ADDRESS|DEVICES|MAPPINGS|DESTINATIONS|LEAST FREE|TO',
  '192.0.2.7|eth0, eth1|101|2|64411|TCP 198.51.100.9:443',
  'fd00::7|no more|0|0|64512|-',
  'DESTINATION|ADDRESS|USED|FREE|OF|PODS',
  'TCP 198.51.100.9:443|192.0.2.7|100|64411|64511|default/web 40, default/db 30, default/log 20, 1 more',
  '… and 1 more destinations; --top 2 shows all',
  'POD|MAPPINGS|DESTINATIONS|MOST TO|WITH|PORTS',
  'default/web|41|2|TCP 198.51.100.9:443|192.0.2.7|40',
  '… and 3 more pods; --top 4 shows all',
]
const MAPPINGS = [
  'PROTOCOL|POD|FROM|AS|TO|STATE|AGE',
  'TCP|default/web|10.1.0.2:40000|192.0.2.7:40001|198.51.100.9:443|established|1 min 5 s',
  '… and 100 more mappings; --limit 101 shows all',
]

test('without options it is a summary by address, destination and pod', async () => {
  const { lines, asked } = await run()
  assert.deepEqual(lines, SUMMARY)
  assert.equal(asked, '/v1/nat?top=10')
})

for (const [options, asked] of [
  [{ mappings: true }, '/v1/nat?top=10&mappings=50'],
  [{ limit: '7' }, '/v1/nat?top=10&mappings=7'],
  [{ pod: 'default/web', top: '3' }, '/v1/nat?top=3&mappings=50&pod=default%2Fweb'],
] as const)
  test(`with ${Object.keys(options).join(' and ')} single mappings follow`, async () => {
    const result = await run(options)
    assert.deepEqual(result.lines, [...SUMMARY, ...MAPPINGS])
    assert.equal(result.asked, asked)
  })

test('as JSON it is what the daemon answers', async () => {
  assert.deepEqual(JSON.parse((await run({}, { format: 'json' })).out), REPORT)
})

test('more than can be asked for are only counted', async () => {
  const { lines } = await run(
    { mappings: true },
    { report: { ...REPORT, mappings: { total: 10_002, list: [MAPPING] } } },
  )
  assert.equal(lines.at(-1), '… and 10001 more mappings')
})

const EMPTY = { total: 0, list: [] }
test('that masquerade is off is said, and what is open all the same', async () => {
  const off: NatReport = { masquerade: false, addresses: [], destinations: EMPTY, pods: EMPTY, mappings: EMPTY }
  assert.deepEqual((await run({}, { report: off })).lines, [
    'masquerade is off: pods leave the cluster with their own addresses',
  ])
  const { lines } = await run({}, { report: { ...REPORT, masquerade: false } })
  assert.deepEqual(lines, [
    'masquerade is off: pods leave the cluster with their own addresses; these flows were open before',
    ...SUMMARY,
  ])
})

test('where nothing leaves the cluster it is said', async () => {
  const quiet: NatReport = { ...REPORT, destinations: EMPTY, pods: EMPTY, mappings: EMPTY }
  const { lines } = await run({ mappings: true }, { report: quiet })
  assert.deepEqual(lines.slice(3), ['no flow leaves the cluster', 'no pods', 'no mappings'])
})

for (const name of ['top', 'limit'])
  test(`--${name} takes a number`, async () => {
    await assert.rejects(run({ [name]: 'many' }), new UsageError(`--${name} many is no number`, 'nat'))
  })
