/** Compiles the eBPF programs: each `bpf/NAME.bpf.c` becomes `build/bpf/NAME.o`. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SetupError } from './setup-error.mjs'

const CLANG = 'clang-19'
const FLAGS = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', '-Wall', '-Wextra', '-Werror', '-Wshadow']
/** Objects are kept here by what they were made from, as many as a few states of the tree have. */
const KEPT = 'build/objects'
const KEPT_FILES = 100
/** Compilers at a time: the smallest machine the project is built on has two cores. */
const PARALLEL = 2
/** Folders of the C compiler's own headers, by Node's name of the architecture (Debian multiarch). */
const MULTIARCH = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }

/** Compiles what is older than anything under bpf/. Answers the names of the objects made. */
export async function compileBpf({ root, force = false }) {
  const names = readdirSync(join(root, 'bpf')).filter(f => f.endsWith('.bpf.c'))
  const inputs = inputsOf(root)
  const stale = names
    .map(name => ({
      source: join(root, 'bpf', name),
      output: join(root, 'build/bpf', name.replace(/\.bpf\.c$/, '.o')),
    }))
    .filter(({ output }) => force || !isNewer(output, inputs))
  const queue = [...stale]
  const work = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) await compileObject({ root, ...next })
  }
  await Promise.all(Array.from({ length: PARALLEL }, work))
  return stale.map(({ output }) => basename(output))
}

/** Compiles one source file to one object unless the object is newer than all of bpf/ and its source. */
export async function compileIfStale({ root, source, output }) {
  if (!isNewer(output, [...inputsOf(root), source])) await compileObject({ root, source, output })
}

/**
 * Compiles one source file to one object; the object takes its name only when it is whole.
 * Throws SetupError, with the compiler's messages on stderr.
 */
export async function compileObject({ root, source, output }) {
  const kept = await keepObject({ root, source })
  mkdirSync(dirname(output), { recursive: true })
  const temporary = `${output}.${process.pid}`
  copyFileSync(kept, temporary)
  renameSync(temporary, output)
}

/** Compiles one source file unless that was done before with the same headers and flags. Answers where the object lies. */
export async function keepObject({ root, source }) {
  const folder = join(root, KEPT)
  const kept = join(folder, `${basename(source, '.bpf.c')}-${digestOf([...inputsOf(root), source])}.o`)
  if (existsSync(kept)) return kept
  mkdirSync(folder, { recursive: true })
  const temporary = `${kept}.${process.pid}`
  const includes = ['-I', join(root, 'bpf/lib'), `-I/usr/include/${MULTIARCH[process.arch] ?? process.arch}`]
  // Debug information names sources as seen from the project: wherever that lies, objects are the same.
  const names = [`-ffile-prefix-map=${join(root, '/')}=`, '-fdebug-compilation-dir=.']
  const status = await run(CLANG, [...FLAGS, ...names, ...includes, '-c', source, '-o', temporary])
  if (status !== 0) {
    rmSync(temporary, { force: true })
    throw new SetupError(`${source} does not compile`, 'see the messages above')
  }
  renameSync(temporary, kept)
  forgetOldest(folder)
  return kept
}

/** Names count: they are in the object's debug information. */
function digestOf(paths) {
  const hash = createHash('sha256')
  for (const path of paths.sort()) hash.update(`${path}\0`).update(readFileSync(path))
  return hash.digest('hex').slice(0, 16)
}

function forgetOldest(folder) {
  const files = readdirSync(folder).map(name => join(folder, name))
  if (files.length <= KEPT_FILES) return
  const made = new Map(files.map(file => [file, statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0]))
  for (const file of files.sort((a, b) => made.get(b) - made.get(a)).slice(KEPT_FILES)) rmSync(file, { force: true })
}

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] })
    child.on('error', error =>
      reject(new SetupError(`${command} does not run: ${error.message}`, `install ${command}`)),
    )
    child.on('close', status => resolve(status ?? 1))
  })
}

/** Everything an object may be made of. */
function inputsOf(root) {
  const files = readdirSync(join(root, 'bpf'), { recursive: true, encoding: 'utf8' })
  const sources = files.filter(f => /\.[ch]$/.test(f)).map(f => join(root, 'bpf', f))
  return [...sources, fileURLToPath(import.meta.url)]
}

function isNewer(output, inputs) {
  const made = statSync(output, { throwIfNoEntry: false })?.mtimeMs
  return made !== undefined && inputs.every(f => statSync(f).mtimeMs < made)
}
