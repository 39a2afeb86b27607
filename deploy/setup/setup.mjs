/**
 * Set-up: brings a fresh Debian 12 or 13 machine to where the project builds and runs, and does nothing, quickly, when
 * nothing changed. Plain JavaScript without dependencies, because it runs before there are any, on Node 20.
 *
 *   setup.mjs [--tests] [--vm] [--build] [--any-kernel] [--force] [--run FILE [arguments…]]
 *
 * Order: machine → npm dependencies (they bring Node 24) → Debian packages → kubectl and helm → eBPF objects, CNI
 * executable, probe.
 * `--tests` adds what tests and benches need, `--vm` what guests need, `--build` leaves Debian packages out, `--any-kernel`
 * is for machines where the project is only built, `--force` compiles again, `--run` ends by running FILE with Node 24.
 * kubectl and helm come with `--tests`, and where FILE is given `--kubernetes`: the lab's other form.
 */
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArguments } from './arguments.mjs'
import { installKubernetesTools } from './kubernetes-tools.mjs'
import { holdLock } from './lock.mjs'
import { checkDisk, checkMachine, debianVersion } from './machine.mjs'
import { installNpm, npmIsCurrent } from './npm.mjs'
import {
  BUILD_PACKAGES,
  installPackages,
  KUBERNETES_PACKAGES,
  missingPackages,
  TEST_PACKAGES,
  vmPackages,
} from './packages.mjs'
import { runWithNode24 } from './run.mjs'
import { SetupError } from './setup-error.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')

/** Runs a step and prints one line if it did something, that is, returned a text saying what. */
async function step(action) {
  const started = performance.now()
  const text = await action()
  if (!text) return
  process.stderr.write(`set-up: ${text} (${((performance.now() - started) / 1000).toFixed(1)} s)\n`)
}

/** These modules are loaded when their turn comes: they may need what an earlier step installed. */
async function compileAll(options) {
  const { compileBpf } = await import('./compile-bpf.mjs')
  const { compileCni } = await import('./compile-cni.mjs')
  const { compileDaemon } = await import('./compile-daemon.mjs')
  const { compileProbe } = await import('./compile-probe.mjs')
  await step(async () => compiled(await compileBpf(options)))
  await step(async () => compiled((await compileCni(options)).built ? ['the CNI executable'] : []))
  await step(async () => compiled((await compileDaemon(options)) ? ['the daemon'] : []))
  await step(async () => compiled(compileProbe(options)))
}

function compiled(names) {
  return names.length > 0 && `compiled ${names.join(', ')}`
}

function packagesFor({ tests, kubernetes, vm }) {
  return [
    ...BUILD_PACKAGES,
    ...(tests ? TEST_PACKAGES : []),
    ...(kubernetes ? KUBERNETES_PACKAGES : []),
    ...(vm ? vmPackages(debianVersion()) : []),
  ]
}

async function setUp(options) {
  if (!npmIsCurrent(root)) {
    checkDisk(root)
    await step(() => installNpm(root))
  }
  if (options.packages) {
    const missing = missingPackages(packagesFor(options))
    if (missing.length > 0) {
      checkDisk('/usr')
      await step(() => installPackages(missing, join(root, 'build/setup')))
    }
  }
  if (options.kubernetes) await step(() => installKubernetesTools(root))
  await compileAll({ root, force: options.force })
}

async function main() {
  const options = parseArguments(process.argv.slice(2))
  checkMachine(undefined, options)
  mkdirSync(join(root, 'build/setup'), { recursive: true })
  const lock = openSync(join(root, 'build/setup/lock'), 'a')
  holdLock(lock)
  await setUp(options)
  closeSync(lock)
  return options.file === undefined ? 0 : await runWithNode24(root, options.file, options.rest)
}

try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  process.stderr.write(`set-up: ${error.message}\n`)
  process.exitCode = 1
}
