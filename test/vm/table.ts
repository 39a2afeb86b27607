/** What came of all suites on all kernels, as a table for people. Pure. */
import type { NoKernel } from './kernel-cache.ts'
import { isBelowFloor } from './kernels.ts'
import type { SuiteResult } from './run-suite.ts'

const HEADER = ['kernel', 'package', 'suite', 'passed', 'failed', 'skipped', 'seconds']
/** Columns of numbers are set to the right. */
const FIRST_NUMBER = 3

/** One line a suite and one for each kernel that is not there. */
export function tableText(results: readonly SuiteResult[], missing: readonly NoKernel[]): string {
  const rows = results.map(({ kernel, suite, passed, failures, skipped, seconds }) => [
    kernel.expression,
    kernel.version,
    suite,
    `${passed}`,
    `${failures.length}`,
    `${skipped}`,
    seconds.toFixed(1),
  ])
  const widths = HEADER.map((title, i) => Math.max(title.length, ...rows.map(row => row[i]?.length ?? 0)))
  const set = (row: readonly string[]): string =>
    row.map((cell, i) => (i < FIRST_NUMBER ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ')
  const lines = [HEADER, ...rows].map(set)
  return [...lines, ...missing.map(({ expression, reason }) => `${expression}: skipped: ${reason}`)].join('\n')
}

/** Each failure with its suite's kernel, and where the guest's files are. */
export function failuresText(results: readonly SuiteResult[]): string {
  const failed = results.filter(({ failures }) => failures.length > 0)
  const texts = failed.map(({ kernel, suite, failures, folder }) => {
    const informs = isBelowFloor(kernel.release) ? ', which is below the floor: for information' : ''
    const heading = `${kernel.expression} (${kernel.release}), ${suite}${informs}; see ${folder}`
    return [heading, ...failures.map(({ name, why }) => `  ✖ ${name}\n${why.replace(/^/gm, '      ')}`)].join('\n')
  })
  return texts.join('\n')
}

/** Failures that count: a kernel below the floor only informs. */
export function countFailures(results: readonly SuiteResult[]): number {
  const counted = results.filter(({ kernel }) => !isBelowFloor(kernel.release))
  return counted.reduce((total, { failures }) => total + failures.length, 0)
}
