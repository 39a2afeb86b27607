/**
 * Builds the CNI executable, build/cni/causeway: TypeScript 5.9 checks cni/ against ES5's library and lowers it to ES5,
 * esbuild joins and shortens it, the C compiler links it with the host in cni/host and MuJS into one static file, and
 * that file's own heap with the program loaded becomes part of it. Plain JavaScript, because it runs before Node 24 is there.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { SetupError } from './setup-error.mjs'

const run = promisify(execFile)

/**
 * What compiles for a processor.
 *
 * @typedef {object} Toolchain
 * @property {readonly string[]} compiler command, to which flags and files are added
 * @property {string} objcopy
 * @property {readonly string[]} runner command that executes the result on this machine; empty when that is not needed
 * @property {string} mujs path of libmujs.a
 * @property {Readonly<Record<string, string>>} env of all of them, besides this process's own
 */

/** Static and not position-independent: it starts without a loader, and the heap in it keeps its addresses. */
const cFlags = '-std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -Wshadow -fstack-protector-strong -static -s'.split(
  ' ',
)

/**
 * Builds when a source, a tool or a flag has changed since the last build, or always with `force`.
 *
 * @param {{root: string, force?: boolean, out?: string, toolchain?: Toolchain}} options root: the project's folder, with
 *   its node_modules installed; out: the executable's folder, build/cni unless given; toolchain: this machine's unless given
 * @returns {Promise<{binary: string, built: boolean}>} the executable's path, and whether it was built by this call
 * @throws {SetupError} when one of the steps fails; the tool's own output is on standard error
 */
export async function compileCni({ root, force = false, out = join(root, 'build', 'cni'), toolchain }) {
  const tools = toolchain ?? (await ownToolchain())
  const binary = join(out, 'causeway')
  const stamp = join(out, 'stamp')
  const sources = await fingerprint(root, tools)
  const built = await readFile(stamp, 'utf8').catch(() => '')
  if (!force && built === `${sources} ${await digestOf(binary).catch(() => '')}`) return { binary, built: false }

  await mkdir(out, { recursive: true })
  await installTools(root)
  // A folder of its own: another process may be building too, and the last one wins.
  const work = await mkdtemp(join(out, 'work-'))
  try {
    await lower(root, work)
    await bundle(root, work)
    await link(root, work, tools)
    await fillImage(work, tools)
    const digest = await digestOf(join(work, 'causeway'))
    await rename(join(work, 'causeway'), binary)
    await writeFile(stamp, `${sources} ${digest}`)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return { binary, built: true }
}

async function digestOf(path) {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
}

/** Hash over everything the executable is made from. */
async function fingerprint(root, { mujs }) {
  const hash = createHash('sha256')
  const cni = join(root, 'cni')
  const sources = (await readdir(cni))
    .filter(f => /\.(ts|json)$/.test(f) && !f.endsWith('.test.ts'))
    .map(f => join(cni, f))
  const host = (await readdir(join(cni, 'host'))).map(f => join(cni, 'host', f))
  const tools = [join(root, 'node_modules/esbuild/package.json'), fileURLToPath(import.meta.url), mujs]
  for (const path of [...sources.sort(), ...host.sort(), ...tools]) {
    hash.update(`${path.replace(root, '')}\0`).update(await readFile(path))
  }
  return hash.digest('hex')
}

async function ownToolchain() {
  return { compiler: [await compiler()], objcopy: 'objcopy', runner: [], mujs: await mujsArchive(), env: {} }
}

async function mujsArchive() {
  const triplet = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }[process.arch]
  for (const path of [`/usr/lib/${triplet}/libmujs.a`, '/usr/lib/libmujs.a', '/usr/local/lib/libmujs.a']) {
    if (await readFile(path).catch(() => undefined)) return path
  }
  throw new SetupError('libmujs.a is missing', 'install the Debian package libmujs-dev')
}

/** The tools of cni/ have their own lock file, so that their TypeScript is not the project's. */
async function installTools(root) {
  const cni = join(root, 'cni')
  const { devDependencies } = JSON.parse(await readFile(join(cni, 'package.json'), 'utf8'))
  const installed = await readFile(join(cni, 'node_modules/typescript/package.json'), 'utf8').catch(() => '{}')
  if (JSON.parse(installed).version === devDependencies.typescript) return
  await tool('npm', ['ci', '--prefix', cni], { cwd: cni })
}

/** ES5 with ES modules, checked against `lib: es5`: what MuJS lacks does not compile. */
async function lower(root, work) {
  const cni = join(root, 'cni')
  const options = ['-p', join(cni, 'es5.tsconfig.json'), '--outDir', join(work, 'es5'), '--pretty', 'false']
  await tool(process.execPath, [join(cni, 'node_modules/typescript/lib/tsc.js'), ...options])
}

async function bundle(root, work) {
  const { build } = createRequire(join(root, 'package.json'))('esbuild')
  const { outputFiles } = await build({
    entryPoints: [join(work, 'es5', 'main.js')],
    bundle: true,
    minify: true,
    format: 'iife',
    target: 'es5',
    charset: 'ascii',
    write: false,
    logLevel: 'silent',
  })
  const bytes = [...outputFiles[0].contents, 0].join(',')
  await writeFile(join(work, 'program.c'), `extern const char program[];\nconst char program[] = {${bytes}};\n`)
}

async function link(root, work, { compiler: command, mujs, env }) {
  const host = join(root, 'cni', 'host')
  const sources = (await readdir(host)).filter(f => f.endsWith('.c')).map(f => join(host, f))
  const inputs = [...sources.sort(), join(work, 'program.c'), mujs, '-lm']
  const [name, ...flags] = command
  const own = [`-ffile-prefix-map=${join(root, '/')}=`, `-ffile-prefix-map=${join(work, '/')}=`]
  await tool(name, [...flags, ...cFlags, ...own, '-o', join(work, 'causeway'), ...inputs], { env: withOwn(env) })
}

/** The unfinished executable loads the program and prints what its heap section shall hold (cni/host/heap.c). */
async function fillImage(work, { objcopy, runner, env }) {
  const target = join(work, 'causeway')
  const image = join(work, 'image')
  const [name, ...args] = [...runner, target]
  const heaps = []
  for (let i = 0; i < HEAPS; i++) {
    const running = tool(name, args, { encoding: 'buffer', env: { ...process.env, ...padding(i) } })
    heaps.push((await running).stdout)
  }
  await writeFile(image, sameInAll(heaps))
  await tool(objcopy, ['--update-section', `.image=${image}`, target], { env: withOwn(env) })
}

/** So many that a byte which is there by chance is the same in all of them once in 10^16. */
const HEAPS = 8

/**
 * The same sources give the same executable: what differs from run to run becomes zero. That is what calls that
 * returned left of their registers (jmp_buf).
 */
function sameInAll([first, ...others]) {
  return first.map((byte, at) => (others.every(other => other[at] === byte) ? byte : 0))
}

/** Moves the stack, which an emulator puts at the same place each time: it lies below the environment. */
function padding(amount) {
  const names = Array.from({ length: amount }, (_, i) => `PADDING${i}`)
  return Object.fromEntries(names.map(name => [name, 'x'.repeat(100_000 + 16 * amount)]))
}

function withOwn(env) {
  return { ...process.env, ...env }
}

async function compiler() {
  for (const name of ['clang-19', 'cc']) {
    if (await run(name, ['--version']).catch(() => undefined)) return name
  }
  throw new SetupError('no C compiler', 'install the Debian package clang-19')
}

async function tool(command, args, options = {}) {
  try {
    return await run(command, args, { ...options, maxBuffer: 1 << 24 })
  } catch (error) {
    const said = `${error.stdout ?? ''}${error.stderr ?? ''}`.trim()
    process.stderr.write(`${said || error.message}\n`)
    throw new SetupError(`building the CNI executable: ${command} failed`, 'see its messages above')
  }
}
