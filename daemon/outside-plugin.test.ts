import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { loadOutsidePlugins } from './outside-plugin.ts'

const folder = mkdtempSync(join(tmpdir(), 'causeway-plugin-'))
after(() => {
  rmSync(folder, { recursive: true })
})
const config = join(folder, 'config.yaml')
const write = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text)
  return `./${name}`
}

test('a module is found beside the configuration file and keeps its section', async () => {
  const module = write('good.ts', "export const plugin = { name: 'good', after: ['x'], configure: () => () => ({}) }\n")
  const loaded = await loadOutsidePlugins([{ module, section: { a: 1 } }], config)
  assert.deepEqual(
    loaded.map(({ plugin, section }) => [plugin.name, section]),
    [['good', { a: 1 }]],
  )
  const absolute = await loadOutsidePlugins([{ module: join(folder, 'good.ts'), section: {} }], undefined)
  assert.equal(absolute[0]?.plugin.name, 'good')
})

const refusals: readonly (readonly [what: string, module: () => string, message: string])[] = [
  ['a missing file', () => './none.ts', 'there is no file DIR/none.ts'],
  ['a bare name', () => 'some-package', "'some-package' is no path; allowed: a path that begins with ./, ../ or /"],
  ['a file with a fault', () => write('fault.mjs', "throw new Error('boom')\n"), 'DIR/fault.mjs does not load: boom'],
  [
    'another export',
    () => write('other.mjs', 'export const ipam = 1, x = 2\n'),
    "DIR/other.mjs must export 'plugin'; it exports ipam, x",
  ],
  ['no export', () => write('none.mjs', '\n'), "DIR/none.mjs must export 'plugin'; it exports nothing"],
  [
    'a number for a plugin',
    () => write('number.mjs', 'export const plugin = 3\n'),
    "the export 'plugin' of DIR/number.mjs is no plugin: it is a number",
  ],
  [
    'a name with capitals',
    () => write('name.mjs', "export const plugin = { name: 'Mine', configure() {} }\n"),
    "the export 'plugin' of DIR/name.mjs is no plugin: 'name' must be lower-case words joined by -",
  ],
  [
    'no configure',
    () => write('configure.mjs', "export const plugin = { name: 'mine' }\n"),
    "the export 'plugin' of DIR/configure.mjs is no plugin: 'configure' must be a function",
  ],
  [
    'a word for after',
    () => write('after.mjs', "export const plugin = { name: 'mine', configure() {}, after: 'x' }\n"),
    "the export 'plugin' of DIR/after.mjs is no plugin: 'after' must be a list of names",
  ],
]
for (const [what, module, message] of refusals) {
  test(`${what} is refused with what is allowed`, () =>
    assert.rejects(loadOutsidePlugins([{ module: module(), section: {} }], config), (err: unknown) => {
      assert.ok(err instanceof Error)
      assert.equal(err.message.replaceAll(folder, 'DIR'), `plugins.0.module: ${message}`)
      return true
    }))
}

test('a relative module without a configuration file is refused', () =>
  assert.rejects(loadOutsidePlugins([{ module: './x.ts', section: {} }], undefined), /there is none/))
