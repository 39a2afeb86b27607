/** Turns the events of node:test into one line a file, failures in full, and a summary. */
import { relative } from 'node:path'
import { inspect } from 'node:util'

/** The part of node:test's events that is read here; what they carry is described in Node's documentation of `run`. */
interface Event {
  readonly type: string
  readonly data: unknown
}
interface Outcome {
  readonly name: string
  readonly file?: string
  readonly nesting: number
  readonly line?: number
  readonly details?: { readonly duration_ms?: number; readonly error?: FailureError }
}
/** `exitCode` and `signal` are there when a file's process failed as a whole. */
interface FailureError {
  readonly cause?: unknown
  readonly failureType?: string
  readonly exitCode?: number | null
  readonly signal?: string | null
}
interface Output {
  readonly file?: string
  readonly message: string
}
interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}
interface Summary {
  readonly file?: string
  readonly counts: Counts & { readonly cancelled: number }
}

const SLOWEST = 5
const OUTPUT_LIMIT = 20_000

export class Report {
  readonly #root: string
  readonly #out: NodeJS.WritableStream
  readonly #started = performance.now()
  readonly #output = new Map<string, string>()
  readonly #failures = new Map<string, string[]>()
  /** What is known of files before their line is printed: both events come in either order. */
  readonly #took = new Map<string, number>()
  readonly #counts = new Map<string, Counts>()
  readonly #durations: { readonly file: string; readonly ms: number }[] = []
  #passed = 0
  #failed = 0
  #skipped = 0

  constructor(root: string, out: NodeJS.WritableStream) {
    this.#root = root
    this.#out = out
  }

  get failed(): number {
    return this.#failed
  }

  heading(text: string): void {
    this.#print(`\n${text}`)
  }

  take(event: Event): void {
    if (event.type === 'test:stdout' || event.type === 'test:stderr') this.#keepOutput(event.data as Output)
    else if (event.type === 'test:complete') this.#complete(event.data as Outcome)
    else if (event.type === 'test:fail') this.#keepFailure(event.data as Outcome)
    else if (event.type === 'test:summary') this.#endFile(event.data as Summary)
  }

  /** Prints the totals and returns the exit status. No test at all is a failure: a misspelt pattern must not pass. */
  finish(): number {
    const slowest = this.#durations.toSorted((a, b) => b.ms - a.ms).slice(0, SLOWEST)
    this.#print('\nslowest files:')
    for (const { file, ms } of slowest) this.#print(`  ${seconds(ms).padStart(8)}  ${file}`)
    const took = seconds(performance.now() - this.#started)
    this.#print(`\n${this.#passed} passed, ${this.#failed} failed, ${this.#skipped} skipped in ${took}`)
    return this.#failed === 0 && this.#passed > 0 ? 0 : 1
  }

  #keepOutput(output: Output): void {
    const file = output.file ?? ''
    this.#output.set(file, `${this.#output.get(file) ?? ''}${output.message}`.slice(-OUTPUT_LIMIT))
  }

  /** A file is itself a test, named by its path; that one knows how long the process took. */
  #complete(test: Outcome): void {
    if (test.file === undefined || test.name !== test.file) return
    this.#took.set(test.file, test.details?.duration_ms ?? 0)
    this.#printWhenKnown(test.file)
  }

  #keepFailure(test: Outcome): void {
    const error = test.details?.error
    if (test.file !== undefined && test.name === test.file) return this.#failFile(test.file, error)
    if (error?.failureType === 'subtestsFailed') return
    const place = test.line === undefined ? '' : ` (line ${test.line})`
    const text = inspect(error?.cause ?? error, { depth: 6 }).replace(/^/gm, '      ')
    const file = test.file ?? ''
    this.#failures.set(file, [...(this.#failures.get(file) ?? []), `    ✖ ${test.name}${place}\n${text}`])
  }

  /** The process of a file failed although its tests did not, or before it had any: it did not load, or ended badly. */
  #failFile(file: string, error: FailureError | undefined): void {
    const how = error?.signal ?? (typeof error?.exitCode === 'number' ? `exit status ${error.exitCode}` : error?.cause)
    this.#failures.set(file, [`    ✖ the process of this file failed: ${String(how)}`])
    this.#printFile(file, { passed: 0, failed: 1, skipped: 0 })
  }

  /** A summary without a file is the one of the whole run. */
  #endFile({ file, counts }: Summary): void {
    if (file === undefined) return
    this.#counts.set(file, { ...counts, failed: counts.failed + counts.cancelled })
    this.#printWhenKnown(file)
  }

  #printWhenKnown(file: string): void {
    const counts = this.#counts.get(file)
    if (counts === undefined || !this.#took.has(file)) return
    this.#counts.delete(file)
    this.#printFile(file, counts)
  }

  #printFile(file: string, counts: Counts): void {
    const path = relative(this.#root, file)
    const ms = this.#took.get(file) ?? 0
    this.#passed += counts.passed
    this.#failed += counts.failed
    this.#skipped += counts.skipped
    this.#durations.push({ file: path, ms })
    const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''
    const verdict = counts.failed === 0 ? `✔ ${path}  ${counts.passed} passed` : `✖ ${path}  ${counts.failed} failed`
    this.#print(`  ${verdict}${skipped} (${seconds(ms)})`)
    if (counts.failed > 0) this.#print([...(this.#failures.get(file) ?? []), this.#output.get(file) ?? ''].join('\n'))
    this.#failures.delete(file)
    if (counts.failed > 0) this.#output.delete(file)
  }

  #print(text: string): void {
    this.#out.write(`${text}\n`)
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
