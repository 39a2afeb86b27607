/** Decisions of the set-up that need no other machine: what is refused, what counts as installed. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { parseArguments } from './arguments.mjs'
import { compileDaemon } from './compile-daemon.mjs'
import { checkDisk, checkMachine } from './machine.mjs'
import { npmIsCurrent } from './npm.mjs'
import { installPackages, missingPackages } from './packages.mjs'

const good = {
  platform: 'linux',
  arch: 'x64',
  uid: 0,
  release: '6.1.0-18-amd64',
  osRelease: 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n',
}

const machines = {
  'a Mac': [{ platform: 'darwin' }, 'this is darwin; use a Linux machine or a virtual one'],
  'a RISC-V board': [{ arch: 'riscv64' }, 'processor riscv64; use x86-64 or arm64'],
  'a user': [{ uid: 1000 }, 'not root; run it with sudo or as root: it loads eBPF programs and makes namespaces'],
  Ubuntu: [
    { osRelease: 'PRETTY_NAME="Ubuntu 24.04"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n' },
    'this is Ubuntu 24.04; use Debian 12 or 13',
  ],
  'no os-release': [{ osRelease: '' }, 'this is an unknown distribution; use Debian 12 or 13'],
  'Linux 5.10': [{ release: '5.10.0-30' }, 'kernel 5.10.0-30 is too old; use Linux 6.1 or newer'],
  'Linux 6.0': [{ release: '6.0.9' }, 'kernel 6.0.9 is too old; use Linux 6.1 or newer'],
}
for (const [name, [facts, message]] of Object.entries(machines))
  test(`${name} is refused in one line that says what to do`, () => {
    assert.throws(() => checkMachine({ ...good, ...facts }), { name: 'SetupError', message })
  })

for (const release of ['6.1.0', '6.18.44-fc', '7.0'])
  test(`Linux ${release} is accepted`, () => checkMachine({ ...good, release }))

test('an old kernel is good enough where the project is only built, but not on another distribution', () => {
  checkMachine({ ...good, release: '5.4.0' }, { anyKernel: true })
  assert.throws(() => checkMachine({ ...good, osRelease: '' }, { anyKernel: true }), { name: 'SetupError' })
})

test('kubectl and helm come with the tests, and with the lab that has an API server', () => {
  const lab = (...rest) => parseArguments(['--run', 'deploy/lab/main.ts', ...rest]).kubernetes
  assert.deepEqual([lab(), lab('up', '--kubernetes', '--bare')], [false, true])
  assert.deepEqual([parseArguments([]).kubernetes, parseArguments(['--tests']).kubernetes], [false, true])
})

test('a full disk is refused in one line that says where', () => {
  const message = 'only 100 MiB free at /usr; make room: 1 GiB is needed'
  assert.throws(() => checkDisk('/usr', () => 100 << 20), { name: 'SetupError', message })
  checkDisk('/usr', () => 1 << 30)
})

/** A tree with a lock file and what npm says it installed. */
function tree(t, want, have) {
  const root = mkdtempSync(join(tmpdir(), 'causeway-setup-'))
  t.after(() => rmSync(root, { recursive: true }))
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages: { '': {}, ...want } }))
  mkdirSync(join(root, 'node_modules/.bin'), { recursive: true })
  writeFileSync(join(root, 'node_modules/.bin/node'), '')
  if (have) writeFileSync(join(root, 'node_modules/.package-lock.json'), JSON.stringify({ packages: have }))
  return root
}

const one = { version: '1.0.0', integrity: 'sha512-a' }
const installations = {
  'the same packages are current': { want: { a: one }, have: { a: one }, current: true },
  'another version is not': { want: { a: one }, have: { a: { ...one, version: '1.0.1' } }, current: false },
  'the same version with other content is not': {
    want: { a: one },
    have: { a: { ...one, integrity: 'sha512-b' } },
    current: false,
  },
  'a missing package is not': { want: { a: one, b: one }, have: { a: one }, current: false },
  "another platform's optional package may be missing": {
    want: { a: one, b: { ...one, optional: true } },
    have: { a: one },
    current: true,
  },
  'an installation that was interrupted is not': { want: { a: one }, have: undefined, current: false },
}
for (const [name, { want, have, current }] of Object.entries(installations))
  test(`npm: ${name}`, t => assert.equal(npmIsCurrent(tree(t, want, have)), current))

test('packages that are not installed are named in the order asked for', () => {
  assert.deepEqual(missingPackages(['no-such-package-2', 'dpkg', 'no-such-package-1']), [
    'no-such-package-2',
    'no-such-package-1',
  ])
})

/** A folder with an apt-get and a dpkg-query of our own first in PATH; they keep what is installed in a file. */
function fakeApt(t, aptGet) {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-apt-'))
  const path = process.env.PATH
  t.after(() => {
    process.env.PATH = path
    rmSync(folder, { recursive: true })
  })
  const script = (name, text) =>
    writeFileSync(join(folder, name), `#!/bin/sh\ncd ${folder}\n${text}\n`, { mode: 0o755 })
  script('apt-get', `echo "$*" >> calls\n${aptGet}`)
  script('dpkg-query', '[ ! -e installed ] || cat installed')
  process.env.PATH = `${folder}:${path}`
  return folder
}

test('missing packages are installed by name, after an update, without recommended ones', async t => {
  const folder = fakeApt(
    t,
    'echo "pmstatus:one:50:half" >&3 2>&- ; printf "one installed\\ntwo installed\\n" > installed',
  )
  assert.equal(await installPackages(['one', 'two'], folder), 'installed 2 Debian packages')
  const [update, simulation, install] = readFileSync(join(folder, 'calls'), 'utf8').split('\n')
  assert.match(update, / update -q$/)
  assert.match(simulation, /^install --simulate .* one two$/)
  assert.match(install, / install -q -y --no-install-recommends --no-remove -o APT::Status-Fd=3 one two$/)
  assert.ok(existsSync(join(folder, 'apt.log')))
})

test('apt-get that fails is reported with its log', async t => {
  const folder = fakeApt(t, 'exit 100')
  await assert.rejects(installPackages(['one'], folder), {
    name: 'SetupError',
    message: `apt-get update failed (status 100); see ${folder}/apt.log, mend it and run this again`,
  })
})

test('what the machine has is not removed for what it lacks', async t => {
  const folder = fakeApt(
    t,
    'case $* in *--simulate*) printf "Inst runc (1.1)\\nRemv containerd.io [1.7]\\nRemv docker-ce [27]\\n" ;; esac',
  )
  await assert.rejects(installPackages(['containerd', 'runc'], folder), {
    name: 'SetupError',
    message: /^installing containerd, runc would remove containerd\.io, docker-ce; /,
  })
  assert.doesNotMatch(readFileSync(join(folder, 'calls'), 'utf8'), /install -q -y/)
})

test('a package counts as there when another one brought the program that is used', t => {
  const folder = fakeApt(t, '')
  process.env.PATH = folder
  symlinkSync('/bin/sh', join(folder, 'sh'))
  symlinkSync('/bin/cat', join(folder, 'cat'))
  assert.deepEqual(missingPackages(['containerd', 'runc', 'gcc']), ['containerd', 'runc', 'gcc'])
  for (const name of ['containerd', 'gcc']) writeFileSync(join(folder, name), '', { mode: 0o755 })
  assert.deepEqual(missingPackages(['containerd', 'runc', 'gcc']), ['runc', 'gcc'])
})

test('a package that is missing after all is named', async t => {
  const folder = fakeApt(t, 'echo "one installed" > installed')
  await assert.rejects(installPackages(['one', 'two'], folder), { message: /^packages two are still missing; see / })
})

test('the daemon is bundled when a source or the lock file changed, or when the last time was interrupted', async t => {
  const root = tree(t, {})
  const write = (path, text) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  write('daemon/cli/causeway.ts', "import { a } from '../../plugins/a.ts'\nconsole.log(a)")
  write('plugins/a.ts', 'export const a: number = 1')
  const bundled = () => compileDaemon({ root })
  assert.deepEqual([await bundled(), await bundled()], [true, false])
  write('plugins/a.ts', 'export const a: number = 2')
  assert.deepEqual([await bundled(), await bundled()], [true, false])
  write('package-lock.json', '{"packages": {}}')
  assert.deepEqual([await bundled(), await bundled()], [true, false])
  write('plugins/a.test.ts', '')
  assert.equal(await bundled(), false)
  rmSync(join(root, 'build/daemon/stamp'))
  assert.deepEqual([await bundled(), await bundled()], [true, false])
  const run = spawnSync(process.execPath, [join(root, 'build/daemon/causeway.cjs')], { encoding: 'utf8' })
  assert.equal(run.stdout, '2\n')
})

test('what logs in by a kubeconfig is a file of its own, found beside the bundle', async t => {
  const root = tree(t, {})
  const write = (path, text) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  write('package-lock.json', '{}')
  mkdirSync(join(root, 'plugins'))
  write('node_modules/@kubernetes/client-node/dist/config.js', "exports.KubeConfig = class { name = 'of its own' }")
  const use = "const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js')"
  write('daemon/cli/causeway.ts', `async function main() { ${use}; console.log(new KubeConfig().name) }\nvoid main()`)
  await compileDaemon({ root })
  assert.doesNotMatch(readFileSync(join(root, 'build/daemon/causeway.cjs'), 'utf8'), /of its own/)
  const run = spawnSync(process.execPath, [join(root, 'build/daemon/causeway.cjs')], { encoding: 'utf8', cwd: '/' })
  assert.equal(run.stdout, 'of its own\n', run.stderr)
})

test("a cloud's SDK is a file of its own, found beside the bundle; a file of that name elsewhere is not", async t => {
  const root = tree(t, {})
  const write = (path, text) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  write('package-lock.json', '{}')
  write('node_modules/sdk/index.js', "exports.name = 'of the SDK'")
  write('plugins/aws-eni/sdk.ts', "export { name } from 'sdk'")
  write('plugins/aws-eni/provider.ts', "export const ask = async () => (await import('./sdk.ts')).name")
  write('plugins/other/sdk.ts', "export const other = 'no cloud'")
  const use = "const { other } = await import('../../plugins/other/sdk.ts'); console.log(await ask(), other)"
  const main = `import { ask } from '../../plugins/aws-eni/provider.ts'\nasync function main() { ${use} }\nvoid main()`
  write('daemon/cli/causeway.ts', main)
  await compileDaemon({ root })
  const text = readFileSync(join(root, 'build/daemon/causeway.cjs'), 'utf8')
  assert.doesNotMatch(text, /of the SDK/)
  assert.match(text, /no cloud/)
  const run = spawnSync(process.execPath, [join(root, 'build/daemon/causeway.cjs')], { encoding: 'utf8', cwd: '/' })
  assert.equal(run.stdout, 'of the SDK no cloud\n', run.stderr)
})

test('the lock file names the optional packages of all platforms: npm ci refuses one that does not', () => {
  const { packages } = JSON.parse(readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8'))
  const missing = Object.entries(packages).flatMap(([path, p]) =>
    Object.keys(p.optionalDependencies ?? {}).filter(
      name => !packages[`node_modules/${name}`] && !packages[`${path}/node_modules/${name}`],
    ),
  )
  assert.deepEqual(missing, [])
})
