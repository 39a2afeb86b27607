import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { eventually } from '../../test/support/eventually.ts'
import { type FakeHost, fakeHost } from '../../test/support/fake-host.ts'
import { AGENT_DEFAULTS } from './agent-config.ts'
import { AgentFile } from './agent-file.ts'

let directory: string
let host: FakeHost
let applied: (readonly string[])[]
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'causeway-agent-'))
  host = fakeHost()
  applied = []
})
afterEach(async () => {
  await host.stop()
  rmSync(directory, { recursive: true })
})

function follow(path = join(directory, 'config')): AgentFile {
  return new AgentFile({ path, host, apply: ranges => applied.push(ranges) })
}
const write = (text: string): void => writeFileSync(join(directory, 'config'), text)
const only = (range: string): string => `nonMasqueradeCIDRs: [${range}]\nmasqLinkLocal: true\nmasqLinkLocalIPv6: true\n`

test('without a file the defaults hold', async () => {
  const file = follow()
  await file.read()
  assert.deepEqual(applied, [AGENT_DEFAULTS.ranges])
  assert.equal(host.metrics.value('masquerade_agent_file_valid'), 1)
})

test('a mistake keeps what held before and is told with file and line, until it is mended', async () => {
  write(only('10.1.0.0/16'))
  const file = follow()
  await file.read()
  write('nonMasqueradeCIDRs:\n  - nonsense\n')
  await file.read()
  await file.read()
  assert.deepEqual(applied, [['10.1.0.0/16']])
  assert.equal(host.metrics.value('masquerade_agent_file_valid'), 0)
  const [problem] = file.problems()
  assert.equal(problem?.place, `${join(directory, 'config')}:2`)
  assert.match(problem?.message ?? '', /^nonMasqueradeCIDRs\.0: .*; what the file said before holds$/)
  write(only('10.1.0.0/16'))
  await file.read()
  assert.deepEqual(file.problems(), [])
  assert.equal(host.metrics.value('masquerade_agent_file_valid'), 1)
})

test('a change is noticed, as an editor makes it and as kubelet does', async () => {
  // A ConfigMap's file is a link into a directory that a second link names.
  await mkdir(join(directory, '1'))
  await mkdir(join(directory, '2'))
  writeFileSync(join(directory, '1', 'config'), only('10.1.0.0/16'))
  writeFileSync(join(directory, '2', 'config'), only('10.2.0.0/16'))
  symlinkSync('1', join(directory, '..data'))
  symlinkSync('..data/config', join(directory, 'config'))
  const done = follow().run(host.signal)
  await eventually(() => isDeepStrictEqual(applied, [['10.1.0.0/16']]))
  symlinkSync('2', join(directory, '..next'))
  renameSync(join(directory, '..next'), join(directory, '..data'))
  await eventually(() => isDeepStrictEqual(applied.at(-1), ['10.2.0.0/16']))
  rmSync(join(directory, 'config'))
  write(only('10.3.0.0/16'))
  await eventually(() => isDeepStrictEqual(applied.at(-1), ['10.3.0.0/16']))
  await host.stop()
  await done
})

test('a path that is a directory is a mistake', async () => {
  const file = follow(directory)
  await file.read()
  assert.match(file.problems()[0]?.message ?? '', /EISDIR/)
  assert.deepEqual(applied, [])
})
