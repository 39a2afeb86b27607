/**
 * Bundles the daemon and its command line into one file, build/daemon/causeway.cjs: it starts faster than the sources
 * and needs about 40 MiB less, because nothing is stripped of types at run time.
 */
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const OUTPUT = 'build/daemon/causeway.cjs'
/** The command for a PATH, with the Node that the project brought. */
const COMMAND = 'build/bin/causeway'
const SCRIPT = `#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/../..
exec "$root/node_modules/.bin/node" "$root/${OUTPUT}" "$@"
`
const SOURCES = ['daemon', 'plugins']

/** Bundles when a source is newer than the bundle; true when it did. Throws esbuild's error. */
export async function compileDaemon({ root, force = false }) {
  const output = join(root, OUTPUT)
  if (
    !force &&
    existsSync(join(root, COMMAND)) &&
    !SOURCES.some(folder => newest(join(root, folder)) > modified(output))
  )
    return false
  const { build } = await import('esbuild')
  await build({
    absWorkingDir: root,
    entryPoints: ['daemon/cli/causeway.ts'],
    outfile: output,
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
  mkdirSync(join(root, 'build/bin'), { recursive: true })
  writeFileSync(join(root, COMMAND), SCRIPT, { mode: 0o755 })
  return true
}

/** Time of the newest file below a folder, milliseconds since 1970. Tests are left out: they are not bundled. */
function newest(folder) {
  let latest = 0
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) latest = Math.max(latest, newest(path))
    else if (entry.name.endsWith('.ts') && !entry.name.includes('.test.')) latest = Math.max(latest, modified(path))
  }
  return latest
}

function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await compileDaemon({ root: process.cwd(), force: true })
