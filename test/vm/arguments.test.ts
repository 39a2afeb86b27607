import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { test } from 'node:test'
import { HELP, parseArguments } from './arguments.ts'
import { SUITES } from './suites.ts'

test('without arguments the floor, the stable and the newest kernel run every suite', () => {
  const { kernels, suites, limitMs, atOnce, update, json } = parseArguments([])
  assert.deepEqual(kernels, ['6.1', '6.12', 'newest'])
  assert.deepEqual([suites, limitMs, atOnce, update, json], [SUITES, 900_000, availableParallelism(), false, false])
})

test('kernels and suites can be chosen; each kernel runs once', () => {
  const { kernels, suites } = parseArguments(['6.12', '5.10', '6.12', '--only', 'veri', '--only', 'path'])
  assert.deepEqual(kernels, ['6.12', '5.10'])
  assert.deepEqual(
    suites.map(s => s.name),
    ['verifier', 'path'],
  )
})

for (const [argv, message] of [
  [['bookworm'], /^Error: no kernel 'bookworm': name a version such as 6\.1/],
  [['--only', 'nothing'], /^Error: no suite has 'nothing' in its name; there are verifier, /],
  [['--limit', '0'], /^Error: --limit takes seconds from 1, not 0$/],
  [['--at-once', '0.5'], /^Error: --at-once takes guests from 1, not 0\.5$/],
  [['--limit', 'long'], /not long$/],
  [['--kernel', '6.1'], /Unknown option '--kernel'/],
] as const)
  test(`${argv.join(' ')} is refused in words`, () => {
    assert.throws(() => parseArguments(argv), message)
  })

test('the help names every suite', () => {
  for (const { name } of SUITES) assert.match(HELP, new RegExp(`^  ${name} `, 'm'))
})
