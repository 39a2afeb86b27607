/** The rules that hold for every file: who may import whom, how long a file may be, what no file may say. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { foldersIn, importsOf, type SourceFile, sourceFiles } from '../support/source-tree.ts'

const CODE = /\.(ts|mts|mjs|js)$/
const isTest = (path: string): boolean => /^test\/|\/testdata\/|\.test\.m?ts$/.test(path)
const code = sourceFiles(CODE).filter(file => !file.path.endsWith('.gen.ts'))
const within =
  (...folders: readonly string[]) =>
  (path: string): boolean =>
    folders.some(f => path.startsWith(f))

/** Lists what breaks a rule; the test's message is the list. */
function none(what: string, found: readonly string[]): void {
  assert.equal(found.length, 0, `${what}:\n  ${found.join('\n  ')}`)
}

/** Imports of the project's own files that `allowed` refuses, as `file imports file`. */
function strangers(files: readonly SourceFile[], allowed: (imported: string, file: string) => boolean): string[] {
  return files.flatMap(file =>
    importsOf(file)
      .filter(name => name.includes('/') && CODE.test(name) && !allowed(name, file.path))
      .map(name => `${file.path} imports ${name}`),
  )
}

const production = code.filter(file => !isTest(file.path))
const inFolder = (...folders: readonly string[]): SourceFile[] =>
  production.filter(file => within(...folders)(file.path))

/** A folder of plugins/ that is no plugin but what several share. */
const CORE = /^plugins\/[a-z0-9-]+-core\//
/** Plugins that share the allocation of cloud addresses; nobody else takes it from plugins/cloud-core. */
const CLOUD_PLUGINS = ['plugins/aws-eni/', 'plugins/azure/', 'plugins/gcp/']

test('imports are found in each of their forms', () => {
  const text = [
    "import { test } from 'node:test'",
    "import type { Table } from '../state/table.ts'",
    "import './effect.ts'",
    'import {',
    '  a,',
    "} from './long.ts'",
    "export { b } from './again.ts'",
    "const late = await import('../late.ts')",
  ].join('\n')
  assert.deepEqual(importsOf({ path: 'daemon/api/server.ts', text }), [
    'node:test',
    'daemon/state/table.ts',
    'daemon/api/effect.ts',
    'daemon/api/long.ts',
    'daemon/api/again.ts',
    'daemon/late.ts',
  ])
})

/** Whether a file below plugins/ may import another file of the project. */
function pluginMayImport(imported: string, file: string): boolean {
  const own = `${file.split('/').slice(0, 2).join('/')}/`
  if (within('daemon/plugin.ts', 'daemon/state/', 'daemon/kernel/', own)(imported)) return true
  // What is shared stands below the plugins; of it pools stand below addresses from a cloud, whose pool is one.
  if (!CORE.test(imported)) return false
  if (CORE.test(file)) return within('plugins/cloud-core/')(file) && within('plugins/pool-core/')(imported)
  return !imported.startsWith('plugins/cloud-core/') || within(...CLOUD_PLUGINS)(file)
}

test('a plugin imports the contract, state, kernel, itself and what plugins share, never another plugin', () => {
  const cases: readonly (readonly [imported: string, file: string, allowed: boolean])[] = [
    ['daemon/plugin.ts', 'plugins/cluster-pool/plugin.ts', true],
    ['daemon/config/load.ts', 'plugins/cluster-pool/plugin.ts', false],
    ['plugins/pool-core/pool.ts', 'plugins/cluster-pool/plugin.ts', true],
    ['plugins/cluster-pool/options.ts', 'plugins/node-cidr/plugin.ts', false],
    ['plugins/cluster-pool/options.ts', 'plugins/pool-core/pool.ts', false],
    ['plugins/cloud-core/blocks.ts', 'plugins/pool-core/pool.ts', false],
    ['plugins/pool-core/pool.ts', 'plugins/cloud-core/blocks.ts', true],
    ['plugins/cloud-core/blocks.ts', 'plugins/node-cidr/plugin.ts', false],
    ['plugins/cloud-core/blocks.ts', 'plugins/aws-eni/plugin.ts', true],
  ]
  for (const [imported, file, allowed] of cases)
    assert.equal(pluginMayImport(imported, file), allowed, `${file} imports ${imported}`)
  const files = inFolder('plugins/').filter(file => file.path !== 'plugins/index.ts')
  none('these imports make plugins depend on more than their contract', strangers(files, pluginMayImport))
})

/** Whether a file of the daemon may import one below plugins/. */
function daemonMayImport(imported: string, file: string): boolean {
  if (!imported.startsWith('plugins/') || within('daemon/main.ts', 'daemon/operator-clouds.ts')(file)) return true
  // The operator gives addresses of clouds, and the command line simulates that and prints what it takes; daemons do neither.
  if (file === 'daemon/cli/programs.ts' && /^plugins\/[a-z-]+\/permissions\.ts$/.test(imported)) return true
  const gives = within('daemon/operator/', 'daemon/cli/programs.ts', 'daemon/cli/commands/ipam')(file)
  return gives && imported.startsWith('plugins/cloud-core/')
}

test('only main and operator-clouds know the plugins, and what gives addresses of clouds their core', () => {
  const cases: readonly (readonly [imported: string, file: string, allowed: boolean])[] = [
    ['plugins/index.ts', 'daemon/main.ts', true],
    ['plugins/cloud-core/fleet.ts', 'daemon/operator/cloud/allocator.ts', true],
    ['plugins/aws-eni/provider.ts', 'daemon/operator/cloud/allocator.ts', false],
    ['plugins/cloud-core/fleet.ts', 'daemon/run.ts', false],
    ['plugins/cloud-core/fleet.ts', 'daemon/cli/commands/status.ts', false],
    ['plugins/aws-eni/permissions.ts', 'daemon/cli/programs.ts', true],
    ['plugins/aws-eni/permissions.ts', 'daemon/cli/commands/ipam-permissions.ts', false],
    ['plugins/aws-eni/provider.ts', 'daemon/cli/programs.ts', false],
  ]
  for (const [imported, file, allowed] of cases)
    assert.equal(daemonMayImport(imported, file), allowed, `${file} imports ${imported}`)
  none('the daemon does not name plugins', strangers(inFolder('daemon/'), daemonMayImport))
})

test('the kernel layer imports nothing else of the project', () => {
  none('the kernel layer stands alone', strangers(inFolder('daemon/kernel/'), within('daemon/kernel/')))
})

test('the CNI executable imports nothing outside its folder', () => {
  none('cni/ stands alone', strangers(inFolder('cni/'), within('cni/')))
})

test('what runs in production imports nothing of the tests', () => {
  const files = inFolder('daemon/', 'plugins/', 'cni/', 'bpf/', 'deploy/')
  none(
    'tests import code, not the other way round',
    strangers(files, imported => !isTest(imported)),
  )
})

test('there are no more folders than the design names', () => {
  const top = new Set(['.ci', 'bpf', 'cni', 'daemon', 'deploy', 'docs', 'plugins', 'test'])
  const tests = new Set(['bench', 'bpf', 'cluster', 'node', 'scenario', 'support', 'vm'])
  none('a new folder needs a strong reason', [
    ...foldersIn('.').filter(name => !top.has(name)),
    ...foldersIn('test')
      .filter(name => !tests.has(name))
      .map(name => `test/${name}`),
  ])
})

test('no file is longer than 400 lines', () => {
  const files = sourceFiles(/\.(ts|mts|mjs|js|c|h)$/).filter(file => !/\.gen\.ts$|vmlinux\.h$/.test(file.path))
  const long = files.map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 })).filter(f => f.lines > 400)
  none(
    'a reader would rather find two rooms here',
    long.map(({ path, lines }) => `${path}: ${lines} lines`),
  )
})

test("every plugin's README has the six sections", () => {
  const sections = ['Name', 'Description', 'Options', 'Examples', 'Metrics', 'Limits']
  const found = foldersIn('plugins').flatMap(name => {
    if (CORE.test(`plugins/${name}/`)) return []
    const [readme] = sourceFiles(new RegExp(`^plugins/${name}/README\\.md$`))
    const headings = [...(readme?.text ?? '').matchAll(/^## (.+)$/gm)].map(match => match[1])
    return sections.filter(section => !headings.includes(section)).map(section => `plugins/${name}: ${section}`)
  })
  none('these sections are missing', found)
})

test('the files that a README of the daemon names are there', () => {
  const files = sourceFiles(CODE).map(file => file.path)
  const found = sourceFiles(/^daemon\/.*README\.md$/).flatMap(({ path, text }) => {
    const folder = path.slice(0, path.lastIndexOf('/') + 1)
    const there = (name: string): boolean =>
      files.includes(name) || files.some(file => file.startsWith(folder) && file.endsWith(`/${name}`))
    return [...text.matchAll(/`([a-z0-9./-]+\.ts)`/g)].flatMap(([, name = '']) =>
      there(name) ? [] : [`${path}: ${name}`],
    )
  })
  none('these have gone', found)
})

/** This file, and the reporter, which node:test takes from a default export and from nothing else. */
const EXEMPT = ['test/node/house-rules.test.ts', 'test/file-events.ts']
/** What no code says, with the reason and a line that breaks the rule. */
const FORBIDDEN: readonly (readonly [reason: string, pattern: RegExp, broken: string])[] = [
  ['a thing has one name everywhere', /^export default\b/m, 'export default table'],
  ['a barrel hides where things are', /^export \* from\b/m, "export * from './table.ts'"],
  ['any switches the checker off', /(?:[:<,|&(]|\bas) *any\b(?! *['",.?:])/, 'const rows: any = []'],
  [
    'imports name the file with its extension',
    /\bfrom '\.{1,2}\/[^']*(?<!\.(?:ts|mts|mjs|js|json))'/,
    "import { Table } from './table'",
  ],
  [
    'a log has an error under the key error',
    /\.(?:debug|info|warn|error)\(\s*\{[^}]*\berr\b/,
    "log.warn({ err: error }, 'it failed')",
  ],
  ['a test that runs alone silences the others', /\btest\.only\(|\bonly: true/, "test.only('x')"],
]
for (const [reason, pattern, broken] of FORBIDDEN) {
  test(reason, () => {
    assert.match(broken, pattern)
    const found = code.flatMap(({ path, text }) => {
      const match = EXEMPT.includes(path) ? undefined : pattern.exec(withoutComments(text))
      return match ? [`${path}: ${match[0].trim()}`] : []
    })
    none(reason, found)
  })
}

test('no file names a package registry or a path of one machine', () => {
  // The brackets keep this file from finding itself.
  const pattern =
    /regist[r]y\.(n[p]mjs|yarn[p]kg)|(de[b]|securit[y])\.debian\.org|prox[y]\.golang|(?<![\w.~}$])\/(wor[k]|far[m])\//
  const found = sourceFiles(/./).flatMap(({ path, text }) => {
    const match = pattern.exec(text)
    return match ? [`${path}: ${match[0]}`] : []
  })
  none('a clone must work anywhere', found)
})

/** Comments may quote what code may not say. */
function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|^ *\/\/.*$/gm, '')
}
