/** What came of the files, for people: one line a file, failures in full, why tests were skipped, and totals. */
import { relative } from 'node:path'
import type { FileResult, Reason } from './run-file.ts'

const SLOWEST = 5

export class Report {
  readonly #root: string
  readonly #write: (text: string) => void
  readonly #started = performance.now()
  readonly #durations: { readonly file: string; readonly ms: number }[] = []
  #passed = 0
  #failed = 0
  #skipped = 0

  /** Files are shown relative to `root`. */
  constructor(root: string, write: (text: string) => void) {
    this.#root = root
    this.#write = write
  }

  get failed(): number {
    return this.#failed
  }

  heading(text: string): void {
    this.#print(`\n${text}`)
  }

  add({ file, ms, passed, failures, skipped, output }: FileResult): void {
    const path = relative(this.#root, file)
    this.#passed += passed
    this.#failed += failures.length
    this.#skipped += skipped.length
    this.#durations.push({ file: path, ms })
    const skips = skipped.length > 0 ? `, ${skipped.length} skipped` : ''
    const verdict = failures.length === 0 ? `✔ ${path}  ${passed} passed` : `✖ ${path}  ${failures.length} failed`
    this.#print(`  ${verdict}${skips} (${seconds(ms)})`)
    for (const { name, why } of skipped) this.#print(`    - ${name}: ${why || 'no reason given'}`)
    for (const failure of failures) this.#print(failureText(failure))
    if (failures.length > 0 && output !== '') this.#print(output)
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

  #print(text: string): void {
    this.#write(`${text}\n`)
  }
}

function failureText({ name, why }: Reason): string {
  return `    ✖ ${name}\n${why.replace(/^/gm, '      ')}`
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
