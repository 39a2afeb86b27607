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
import type { Shape } from '../../daemon/config/field.ts'
import { schema } from '../../daemon/config/schema.ts'
import { plugins } from '../../plugins/index.ts'
import { cloudValues } from './manifests.ts'
import { PROMISED_KEYS, PROMISED_PLUGINS } from './promised.ts'
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

/** Takes out what the code does not have yet. */
function withoutPromised(config: Record<string, unknown>): object {
  const left = structuredClone(config)
  for (const name of PROMISED_PLUGINS) delete left[name]
  for (const key of Object.keys(PROMISED_KEYS)) {
    const path = key.split('.')
    const last = path.pop() ?? key
    const group = path.reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], left)
    if (group !== undefined) delete (group as Record<string, unknown>)[last]
  }
  return left
}

for (const [name, values] of cloudValues())
  test(`the daemon takes the configuration of ${name}`, async () => {
    assert.equal(await check(withoutPromised(configOf(values))), '0 FILE is good\n')
  })

test('the daemon takes a configuration with API servers and TLS', async () => {
  const values = {
    apiServers: ['https://192.0.2.1:6443', 'https://[2001:db8::1]:6443'],
    metrics: { address: '[2001:db8::7]', port: 1, tls: { secret: 'a', clientCa: true } },
  }
  assert.equal(await check(withoutPromised(configOf([values]))), '0 FILE is good\n')
})

test('what is wrong in it is named', async () => {
  assert.match(await check({ ...configOf([]), mtu: 7 }), /^1 .*mtu: 7 is not allowed/s)
})

test('nothing is promised that is there', () => {
  const there = Object.keys(PROMISED_KEYS).filter(key => {
    let fields: Shape | undefined = schema.fields
    return key.split('.').every(part => {
      const found: Shape[string] | undefined = fields?.[part]
      fields = found?.kind === 'section' ? found.fields : undefined
      return found !== undefined
    })
  })
  const names = plugins.map(plugin => plugin.name)
  assert.deepEqual([...there, ...PROMISED_PLUGINS.filter(name => names.includes(name))], [], 'take it from promised.ts')
})
