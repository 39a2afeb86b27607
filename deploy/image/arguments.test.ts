import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseArguments } from './arguments.ts'
import { ownArchitecture } from './oci-image.ts'

const defaults = { build: '/b', version: '1.2.3' }
const parse = (line: string, env = {}) => parseArguments(line === '' ? [] : line.split(' '), env, defaults)

test('without arguments it is for this machine, in the folder of what is built', () => {
  assert.deepEqual(parse(''), {
    help: false,
    architectures: [ownArchitecture()],
    output: '/b/causeway.tar',
    tag: 'localhost/causeway:1.2.3',
    tree: undefined,
    seconds: 0,
  })
})

test('processors, place, name and time can be said', () => {
  const line = '--arch arm64,amd64 --output /x/layout --tag registry.example:5000/net/causeway:main'
  const { architectures, output, tag, seconds } = parse(line, { SOURCE_DATE_EPOCH: '86400' })
  assert.deepEqual(architectures, ['arm64', 'amd64'])
  assert.deepEqual([output, tag, seconds], ['/x/layout', 'registry.example:5000/net/causeway:main', 86_400])
})

const wrong: Readonly<Record<string, RegExp>> = {
  '--arch riscv64': /--arch takes amd64, arm64, not riscv64/,
  '--tag causeway': /--tag takes HOST\/NAME:TAG/,
  '--tag localhost/Causeway:1': /--tag takes HOST\/NAME:TAG in lower case, not localhost\/Causeway:1/,
  '--arch amd64,arm64 --tree /x': /--tree takes one processor/,
  '--platform x': /--platform/,
}
for (const [line, message] of Object.entries(wrong))
  test(`${line} is refused`, () => assert.throws(() => parse(line), message))

test('a time that is no number is refused', () => {
  assert.throws(() => parse('', { SOURCE_DATE_EPOCH: 'now' }), /SOURCE_DATE_EPOCH is a number of seconds, not now/)
})
