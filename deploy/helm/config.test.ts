/** What stands in the ConfigMap is a configuration that the daemon takes. */
import assert from 'node:assert/strict'
import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse, stringify } from 'yaml'
import { runCli } from '../../daemon/cli/cli.ts'
import { commands } from '../../daemon/cli/commands.ts'
import { realPrograms } from '../../daemon/cli/programs.ts'
import { cloudValues } from './manifests.ts'
import { renderManifests } from './render.ts'
import type { Values } from './values.ts'

/** The configuration file as a release with these values writes it. */
function configOf(values: readonly Values[]): Record<string, unknown> {
  const map = renderManifests({ values }).find(m => m.kind === 'ConfigMap' && m.metadata.name === 'causeway')
  const { data } = map as unknown as { data: Readonly<Record<string, string>> }
  return parse(data['config.yaml'] ?? '') as Record<string, unknown>
}

/** What `causeway config check` says of a configuration, without its path. */
async function check(config: object): Promise<string> {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'causeway-chart-'))
  const file = join(folder.path, 'config.yaml')
  writeFileSync(file, stringify(config))
  let said = ''
  const say = (text: string): void => void (said += text)
  const status = await runCli(
    {
      args: ['config', 'check', '--config', file],
      env: { CAUSEWAY_NODE_NAME: 'node1' },
      isTty: false,
      signal: new AbortController().signal,
      programs: realPrograms,
      out: say,
      err: say,
    },
    commands,
  )
  return `${status} ${said.replaceAll(file, 'FILE')}`
}

for (const [name, values] of cloudValues())
  test(`the daemon takes the configuration of ${name}`, async () => {
    assert.equal(await check(configOf(values)), '0 FILE is good\n')
  })

test('the daemon takes a configuration with API servers and TLS', async () => {
  const values = {
    apiServers: ['https://192.0.2.1:6443', 'https://[2001:db8::1]:6443'],
    metrics: { address: '127.0.0.1', port: 1, tls: { secret: 'a', clientCa: true } },
  }
  assert.equal(await check(configOf([values])), '0 FILE is good\n')
})

test('what is wrong in it is named', async () => {
  assert.match(await check({ ...configOf([]), mtu: 7 }), /^1 .*mtu: 7 is not allowed/s)
})
