/** Which versions a list with chained plugins is offered with. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { FakeLog } from '../../test/support/fake-log.ts'
import { chainedVersions } from './chained-versions.ts'

const OWN = ['0.3.1', '0.4.0', '1.0.0', '1.1.0']

/** A folder of plugins that are shell scripts. */
function plugins(t: TestContext, scripts: Readonly<Record<string, string>>) {
  const binDirectory = mkdtempSync(join(tmpdir(), 'causeway-chained-'))
  t.after(() => rmSync(binDirectory, { recursive: true }))
  for (const [type, script] of Object.entries(scripts))
    writeFileSync(join(binDirectory, type), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  return { binDirectory, types: Object.keys(scripts), own: OWN, log: new FakeLog() }
}

function speaking(...versions: readonly string[]): string {
  const answer = JSON.stringify({ cniVersion: '1.0.0', supportedVersions: versions })
  return `[ "$CNI_COMMAND" = VERSION ] && echo '${answer}'`
}

test('without chained plugins a list is offered with all our versions', async t => {
  assert.deepEqual(await chainedVersions(plugins(t, {})), OWN)
})

test('a list is offered with the versions that each of its plugins speaks', async t => {
  const old = speaking('0.1.0', '0.4.0', '1.0.0')
  const options = plugins(t, { portmap: old, tuning: speaking('0.3.1', '1.0.0', '1.1.0') })
  assert.deepEqual(await chainedVersions(options), ['1.0.0'])
  assert.deepEqual(options.log.lines, [])
})

test('plugins with no version in common are refused by name', async t => {
  const options = plugins(t, { ancient: speaking('0.1.0', '0.2.0') })
  await assert.rejects(
    chainedVersions(options),
    /^ConfigError: cni\.chained: ancient speaks CNI 0\.1\.0, 0\.2\.0, none of 0\.3\.1, 0\.4\.0, 1\.0\.0, 1\.1\.0$/,
  )
})

const speechless: Readonly<Record<string, string>> = {
  'that fails': 'exit 3',
  'that answers no JSON': 'echo hello',
  'that answers something else': 'echo "{}"',
  'that does not end': 'exec sleep 1000',
  'whose child does not end': 'sleep 2\ntrue',
  'that answers without end': 'exec yes',
}
for (const [what, script] of Object.entries(speechless))
  test(`a plugin ${what} is taken to speak up to 1.0.0, and the log says so`, async t => {
    const options = { ...plugins(t, { odd: script }), timeoutMs: 200 }
    assert.deepEqual(await chainedVersions(options), ['0.3.1', '0.4.0', '1.0.0'])
    assert.match(options.log.lines.join('\n'), /^warn a chained CNI plugin cannot be asked .*\/odd/)
  })

test('a plugin that is not there is taken to speak up to 1.0.0, for runtimes look in other folders too', async t => {
  const options = { ...plugins(t, {}), types: ['elsewhere'] }
  assert.deepEqual(await chainedVersions(options), ['0.3.1', '0.4.0', '1.0.0'])
  assert.match(options.log.lines.join('\n'), /elsewhere.*ENOENT/)
})
