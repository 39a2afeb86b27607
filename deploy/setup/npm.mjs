/** npm dependencies: whether what is installed is what package-lock.json asks for, and installing it. */
import { spawnSync } from 'node:child_process'
import { existsSync, lstatSync, readFileSync, symlinkSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { SetupError } from './setup-error.mjs'

/**
 * Compares the lock file with the one npm leaves inside node_modules when it has finished: an interrupted, partial or
 * older installation differs. Optional packages of other platforms may be absent.
 */
export function npmIsCurrent(root) {
  const want = readPackages(join(root, 'package-lock.json'))
  const have = readPackages(join(root, 'node_modules/.package-lock.json'))
  if (!want || !have || !existsSync(join(root, 'node_modules/.bin/node'))) return false
  return Object.entries(want).every(([path, p]) => {
    const installed = have[path]
    if (path === '') return true
    return installed ? installed.version === p.version && installed.integrity === p.integrity : p.optional === true
  })
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages
  } catch {
    return undefined
  }
}

/**
 * Of every `npm ci`. Its warnings are about the Node that npm itself runs by, which is not the one that dependencies get.
 */
export const NPM_OPTIONS = ['--no-audit', '--no-fund', '--loglevel=error']

/** Runs `npm ci`. Node 24 comes with it, as the optional package for this processor. */
export function installNpm(root) {
  const modules = join(root, 'node_modules')
  if (lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink())
    throw new SetupError('node_modules is a link and not up to date', 'run npm ci where it leads, or remove the link')
  process.stderr.write('set-up: installing npm dependencies\n')
  const result = spawnSync('npm', ['ci', ...NPM_OPTIONS, '--include=dev', '--include=optional'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, PATH: pathWithout(join(modules, '.bin')) },
  })
  if (result.error) throw new SetupError(`npm does not start: ${result.error.message}`, 'install npm')
  if (result.status !== 0) throw new SetupError('npm ci failed', 'see its message above')
  linkNode(modules)
  if (!existsSync(join(modules, '.bin/node')))
    throw new SetupError('Node 24 is missing', 'let npm install optional dependencies (npm config get omit)')
  return 'installed npm dependencies'
}

/** npm 9, which Debian 13 has, installs the optional package with Node 24 but does not link its executable. */
function linkNode(modules) {
  const target = `../node-linux-${process.arch}/bin/node`
  const link = join(modules, '.bin/node')
  if (!existsSync(link) && existsSync(join(modules, '.bin', target))) symlinkSync(target, link)
}

/** npm replaces node_modules: it must not itself run by the Node in there. */
function pathWithout(folder) {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter(p => p !== folder)
    .join(delimiter)
}
