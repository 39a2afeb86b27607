/** `npm run test:vm`: every suite on every kernel asked for, some guests at once, and a table of what came of it. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mapAtOnce } from '../../daemon/state/map-at-once.ts'
import { type Arguments, HELP, parseArguments } from './arguments.ts'
import { compileObjects } from './compile-objects.ts'
import { compareGoldens, updateGoldens } from './goldens.ts'
import { type Kernel, KernelCache, type NoKernel } from './kernel-cache.ts'
import { REQUIRED_KERNELS } from './kernels.ts'
import { runSuite, type SuiteResult } from './run-suite.ts'
import { runsOn, type Suite } from './suites.ts'
import { countFailures, failuresText, tableText } from './table.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const OUTPUT = join(ROOT, 'build/vm')
const startedMs = performance.now()

/** Progress goes to standard error: standard output is for results. */
function say(text: string): void {
  process.stderr.write(`test:vm: ${text} (${((performance.now() - startedMs) / 1000).toFixed(0)} s)\n`)
}

async function run(args: Arguments, signal: AbortSignal): Promise<number> {
  if (process.arch !== 'x64') throw new Error(`guests are x86-64 machines yet, and this one is ${process.arch}`)
  using cache = KernelCache.open({ say })
  const found = await cache.find(args.kernels)
  const kernels = found.filter(k => 'release' in k)
  const missing = found.filter(k => 'reason' in k)
  await compileObjects(ROOT)
  mkdirSync(OUTPUT, { recursive: true })
  const guests = kernels.flatMap(kernel =>
    args.suites.filter(suite => runsOn(suite, kernel.expression)).map(suite => ({ kernel, suite })),
  )
  const results = await mapAtOnce(guests, args.atOnce, ({ kernel, suite }) => runGuest(kernel, suite, args, signal))
  cache.prune()
  return report(args, results, missing)
}

async function runGuest(kernel: Kernel, suite: Suite, args: Arguments, signal: AbortSignal): Promise<SuiteResult> {
  const name = `${kernel.expression} ${suite.name}`
  say(`${name}: booting Linux ${kernel.release}`)
  const progress: Parameters<typeof runSuite>[2]['progress'] = (files, seconds) => {
    const passed = files.reduce((total, file) => total + file.passed, 0)
    say(`${name}: ${passed} passed in ${files.length} files after ${seconds.toFixed(0)} s`)
  }
  const options = { root: ROOT, output: OUTPUT, limitMs: args.limitMs, env: {}, signal, progress }
  const result = withGoldens(await runSuite(kernel, suite, options), args.update)
  for (const notice of result.notices) say(`${name}: ${notice}`)
  say(`${name}: ${result.passed} passed, ${result.failures.length} failed in ${result.seconds.toFixed(1)} s`)
  return result
}

/** What the guest measured against docs/reference, or into it. */
function withGoldens(result: SuiteResult, update: boolean): SuiteResult & { readonly notices: readonly string[] } {
  if (update) {
    if (result.failures.length === 0) updateGoldens(ROOT, result)
    return { ...result, notices: [] }
  }
  const { failures, notices } = compareGoldens(ROOT, result)
  return { ...result, failures: [...result.failures, ...failures], notices }
}

function report(args: Arguments, results: readonly SuiteResult[], missing: readonly NoKernel[]): number {
  const absent = missing.filter(m => REQUIRED_KERNELS.includes(m.expression) && !m.mirrorAway)
  const print = (text: string): void => void process.stdout.write(text === '' ? '' : `${text}\n`)
  if (args.json) for (const result of [...results, ...missing]) print(JSON.stringify(result))
  else {
    print(tableText(results, missing))
    print(failuresText(results))
    for (const { expression } of absent)
      print(`every mirror has a kernel ${expression}: that it is missing is a failure`)
  }
  const failed = countFailures(results) + absent.length
  const sum = (of: (result: SuiteResult) => number): number => results.reduce((total, result) => total + of(result), 0)
  const [passed, skipped] = [sum(r => r.passed), sum(r => r.skipped) + missing.length]
  if (!args.json) print(`\n${passed} passed, ${failed} failed, ${skipped} skipped`)
  return failed === 0 && (passed > 0 || missing.length > 0) ? 0 : 1
}

async function main(): Promise<number> {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => stop.abort(new Error(`interrupted by ${signal}`)))
  try {
    const args = parseArguments(process.argv.slice(2))
    if (!args.help) return await run(args, stop.signal)
    process.stdout.write(HELP)
    return 0
  } catch (error) {
    say(error instanceof Error ? error.message : String(error))
    return stop.signal.aborted ? 130 : 1
  }
}

process.exitCode = await main()
