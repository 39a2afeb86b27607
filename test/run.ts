/**
 * `npm test [-- PATTERN…] [--only GROUP] [--name TEXT] [--repeat N] [--limit SECONDS] [--within SECONDS]`: runs the
 * project's tests in groups, one line a file, failures in full, and totals with the slowest files at the end. Patterns
 * are parts of a path; `--limit` bounds a file, `--within` the whole run, which fails when its time is over.
 *
 * Tests lie beside what they test (`x.test.ts`) or under test/. Those that change the kernel run one at a time: eBPF
 * objects and machine-wide sysctls are not namespaced, and timing is part of what they assert.
 */
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Report } from './report.ts'
import { type FileRun, runFile } from './run-file.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** Several times what the slowest takes on two quiet cores. */
const FILE_LIMIT_SECONDS = 300
const TEST_TIMEOUT_MS = 150_000
const WITHIN_SECONDS = 20 * 60

interface Group {
  readonly name: string
  readonly concurrency: number
  readonly holds: (path: string) => boolean
}

/** A file belongs to the first group that holds it. */
const GROUPS: readonly Group[] = [
  { name: 'cluster', concurrency: 1, holds: path => path.startsWith('test/cluster/') },
  { name: 'node', concurrency: 1, holds: path => path.startsWith('test/node/') },
  { name: 'kernel', concurrency: 1, holds: path => path.startsWith('test/bpf/') || path.includes('.kernel.test.') },
  { name: 'unit', concurrency: 2, holds: () => true },
]
/** Quick answers first. */
const ORDER = ['unit', 'kernel', 'node', 'cluster']

function groupOf(path: string): string {
  return GROUPS.find(g => g.holds(path))?.name ?? 'unit'
}

function testFiles(patterns: readonly string[]): string[] {
  const found = globSync('{bpf,cni,daemon,deploy,plugins,test}/**/*.test.{ts,mjs}', {
    cwd: ROOT,
    exclude: path => path.includes('node_modules'),
  })
  return found.filter(path => patterns.length === 0 || patterns.some(p => path.includes(p))).sort()
}

async function runGroup(group: Group, files: readonly string[], how: Omit<FileRun, 'file' | 'cwd'>, report: Report) {
  report.heading(`${group.name}: ${files.length} file${files.length === 1 ? '' : 's'}`)
  const queue = [...files]
  const worker = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift())
      report.add(await runFile({ ...how, file: join(ROOT, file), cwd: ROOT }))
  }
  await Promise.all(Array.from({ length: group.concurrency }, worker))
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string', multiple: true, default: ORDER },
      name: { type: 'string' },
      repeat: { type: 'string', default: '1' },
      limit: { type: 'string', default: `${FILE_LIMIT_SECONDS}` },
      within: { type: 'string' },
    },
  })
  const unknown = values.only.find(name => !ORDER.includes(name))
  if (unknown !== undefined) throw new Error(`no group ${unknown}; there are ${ORDER.join(', ')}`)
  const rounds = positive('--repeat', values.repeat)
  const how = {
    timeoutMs: positive('--limit', values.limit) * 1000,
    testTimeoutMs: TEST_TIMEOUT_MS,
    namePattern: values.name,
    signal: AbortSignal.timeout(positive('--within', values.within ?? `${WITHIN_SECONDS * rounds}`) * 1000),
  }
  const files = testFiles(positionals)
  const report = new Report(ROOT, text => process.stdout.write(text))
  for (let round = 0; round < rounds && report.failed === 0; round++)
    for (const name of ORDER.filter(n => values.only.includes(n))) {
      const group = GROUPS.find(g => g.name === name)
      const own = files.filter(f => groupOf(f) === name)
      if (group !== undefined && own.length > 0) await runGroup(group, own, how, report)
    }
  return report.finish()
}

function positive(option: string, text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new Error(`${option} takes a number from 1, not ${text}`)
}

process.exitCode = await main()
