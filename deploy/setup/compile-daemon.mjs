/**
 * Bundles the daemon and its command line into one file, build/daemon/causeway.cjs: it starts faster than the sources
 * and needs about 40 MiB less, because nothing is stripped of types at run time.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SetupError } from './setup-error.mjs'

const OUTPUT = 'build/daemon/causeway.cjs'
/** What the bundle was made from; written last, so that an interrupted build counts as none. */
const STAMP = 'build/daemon/stamp'
/** The command for a PATH, with the Node that the project brought. */
const COMMAND = 'build/bin/causeway'
const SCRIPT = `#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/../..
exec "$root/node_modules/.bin/node" "$root/${OUTPUT}" "$@"
`
const SOURCES = ['daemon', 'plugins']

/** Bundles when a source, a dependency or this file has changed; true when it did. Throws SetupError, with esbuild's messages on stderr. */
export async function compileDaemon({ root, force = false }) {
  const sources = SOURCES.flatMap(folder => filesBelow(join(root, folder)))
  // Dependencies are bundled in the versions of the lock file.
  const digest = digestOf([...sources, join(root, 'package-lock.json'), fileURLToPath(import.meta.url)])
  if (!force && isCurrent(root, digest)) return false
  const contents = await bundle(root)
  replaceFile(join(root, OUTPUT), contents)
  replaceFile(join(root, COMMAND), SCRIPT, 0o755)
  replaceFile(join(root, STAMP), digest)
  return true
}

function isCurrent(root, digest) {
  if (![OUTPUT, COMMAND, STAMP].every(path => existsSync(join(root, path)))) return false
  return readFileSync(join(root, STAMP), 'utf8') === digest
}

async function bundle(root) {
  const { build } = await import('esbuild')
  const bundling = build({
    absWorkingDir: root,
    entryPoints: ['daemon/cli/causeway.ts'],
    outfile: join(root, OUTPUT),
    write: false,
    bundle: true,
    platform: 'node',
    target: 'node24',
    // CommonJS can be kept in Node's compile cache together with its dependencies.
    format: 'cjs',
    // koffi brings a native library, which is found relative to its own files.
    external: ['koffi'],
    define: { 'import.meta.url': 'importMetaUrl', 'import.meta.main': 'true' },
    banner: { js: "const importMetaUrl = require('node:url').pathToFileURL(__filename).href;" },
    logLevel: 'warning',
    legalComments: 'none',
  })
  const { outputFiles } = await bundling.catch(() => {
    throw new SetupError('the daemon cannot be bundled', 'see the messages above')
  })
  return outputFiles[0].contents
}

/** The file takes its name when it is whole: daemons may be started from it meanwhile. */
function replaceFile(path, contents, mode = 0o644) {
  mkdirSync(dirname(path), { recursive: true })
  const temporary = `${path}.${process.pid}`
  writeFileSync(temporary, contents, { mode })
  renameSync(temporary, path)
}

function digestOf(paths) {
  const hash = createHash('sha256')
  for (const path of paths.sort()) hash.update(`${path}\0`).update(readFileSync(path))
  return hash.digest('hex')
}

/** Tests are left out: they are not bundled. */
function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts') && !name.includes('.test.'))
    .map(name => join(folder, name))
}
