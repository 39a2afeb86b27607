/** A suite on a kernel: boots a guest, runs the suite's tests there, and brings back what came of them. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readResults } from '../results-folder.ts'
import type { FileResult, Reason } from '../run-file.ts'
import { CONSOLE_FILE, type GuestEnd, runGuest } from './boot.ts'
import { OUTPUT_FILE } from './guest-script.ts'
import type { Kernel } from './kernel-cache.ts'
import type { Suite } from './suites.ts'

export interface SuiteOptions {
  readonly root: string
  /** Everything that guests leave, by kernel and suite. */
  readonly output: string
  readonly limitMs: number
  /** For the tests, beside their own. */
  readonly env: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  /** Called with the results so far, now and then. */
  readonly progress: (results: readonly FileResult[], seconds: number) => void
}
export interface SuiteResult {
  readonly kernel: Kernel
  readonly suite: string
  readonly passed: number
  readonly skipped: number
  readonly failures: readonly Reason[]
  readonly seconds: number
  /** Where output, console, kernel log and TAP are. */
  readonly folder: string
}

const PROGRESS_MS = 10_000
const TAIL_LINES = 20

/** Rejects only with the signal's reason: whatever keeps the tests from running is a failure of the suite. */
export async function runSuite(kernel: Kernel, suite: Suite, options: SuiteOptions): Promise<SuiteResult> {
  const started = performance.now()
  const seconds = (): number => (performance.now() - started) / 1000
  const folder = join(options.output, kernel.expression, suite.name)
  const timer = setInterval(() => options.progress(readResults(folder), seconds()), PROGRESS_MS)
  const end = await boot(kernel, suite, folder, options).finally(() => clearInterval(timer))
  const results = readResults(folder)
  const failures = [...results.flatMap(r => r.failures.map(f => withFile(f, r))), ...failuresOf(end, results, folder)]
  return {
    kernel,
    suite: suite.name,
    passed: sum(results, r => r.passed),
    skipped: sum(results, r => r.skipped.length),
    failures,
    seconds: seconds(),
    folder,
  }
}

async function boot(kernel: Kernel, suite: Suite, folder: string, options: SuiteOptions): Promise<GuestEnd> {
  const { root, output, limitMs, env, signal } = options
  const within = Math.ceil(limitMs / 1000)
  const node = join(root, 'node_modules/.bin/node')
  const runner = ['--disable-warning=ExperimentalWarning', join(root, 'test/run.ts'), '--results', folder]
  const limits = ['--limit', `${within}`, '--within', `${within}`]
  try {
    return await runGuest({
      kernel,
      command: [node, ...runner, ...limits, ...suite.tests],
      cwd: root,
      // The emulated processor is slow at compiling, too: one guest's work serves those after it.
      env: { NODE_COMPILE_CACHE: join(output, 'compile-cache'), GUEST_RESULTS: folder, ...env },
      shared: output,
      folder,
      memoryMiB: suite.memoryMiB,
      limitMs,
      countInstructions: suite.countInstructions,
      signal,
    })
  } catch (error) {
    signal.throwIfAborted()
    return { status: undefined, problem: error instanceof Error ? error.message : String(error) }
  }
}

function withFile({ name, why }: Reason, { file }: FileResult): Reason {
  return { name: `${file}: ${name}`, why }
}

/** What the tests themselves could not tell. */
function failuresOf(end: GuestEnd, results: readonly FileResult[], folder: string): Reason[] {
  if (end.status === undefined) return [{ name: 'the guest', why: end.problem }]
  if (end.status === 0 && results.length > 0) return []
  if (results.some(r => r.failures.length > 0)) return []
  const path = [OUTPUT_FILE, CONSOLE_FILE].map(name => join(folder, name)).find(name => existsSync(name))
  const lines = path === undefined ? [] : readFileSync(path, 'utf8').trimEnd().split('\n').slice(-TAIL_LINES)
  return [{ name: 'the test runner', why: [`ended with status ${end.status}:`, ...lines].join('\n  ') }]
}

function sum(results: readonly FileResult[], of: (result: FileResult) => number): number {
  return results.reduce((total, result) => total + of(result), 0)
}
