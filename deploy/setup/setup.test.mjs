/** Decisions of the set-up that need no other machine: what is refused, what counts as installed. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkMachine } from './machine.mjs'
import { npmIsCurrent } from './npm.mjs'
import { installPackages, missingPackages } from './packages.mjs'

const good = {
  platform: 'linux',
  arch: 'x64',
  uid: 0,
  release: '6.1.0-18-amd64',
  osRelease: 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n',
  freeBytes: 1 << 30,
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
  'a full disk': [{ freeBytes: 100 << 20 }, 'only 100 MiB free; make room: 1 GiB is needed'],
}
for (const [name, [facts, message]] of Object.entries(machines))
  test(`${name} is refused in one line that says what to do`, () => {
    assert.throws(() => checkMachine('/', { ...good, ...facts }), { name: 'SetupError', message })
  })

for (const release of ['6.1.0', '6.18.44-fc', '7.0'])
  test(`Linux ${release} is accepted`, () => checkMachine('/', { ...good, release }))

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
  const [update, install] = readFileSync(join(folder, 'calls'), 'utf8').split('\n')
  assert.match(update, / update -q$/)
  assert.match(install, / install -q -y --no-install-recommends -o APT::Status-Fd=3 one two$/)
  assert.ok(existsSync(join(folder, 'apt.log')))
})

test('apt-get that fails is reported with its log', async t => {
  const folder = fakeApt(t, 'exit 100')
  await assert.rejects(installPackages(['one'], folder), {
    name: 'SetupError',
    message: `apt-get update failed (status 100); see ${folder}/apt.log, mend it and run this again`,
  })
})

test('a package that is missing after all is named', async t => {
  const folder = fakeApt(t, 'echo "one installed" > installed')
  await assert.rejects(installPackages(['one', 'two'], folder), { message: /^packages two are still missing; see / })
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
