/**
 * `npm test [-- PATTERN…] [--except PATTERN] [--only GROUP] [--name TEXT] [--repeat N] [--limit SECONDS]
 * [--within SECONDS] [--results FOLDER]`: runs the project's tests in groups, one line a file, failures in full, and
 * totals with the slowest files at the end. Patterns are parts of a path; `--limit` bounds a file, `--within` the whole
 * run, which fails when its time is over. `--results` keeps what came of each file in a folder, also as TAP.
 *
 * Tests lie beside what they test (`x.test.ts`) or under test/. Those that change the kernel run one at a time: eBPF
 * objects and machine-wide sysctls are not namespaced, and timing is part of what they assert.
 */
import { globSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Report } from './report.ts'
import { ResultsFolder } from './results-folder.ts'
import { type FileRun, runFile } from './run-file.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** Several times what the slowest takes on two quiet cores. */
const FILE_LIMIT_SECONDS = 360
const TEST_TIMEOUT_MS = 150_000
const WITHIN_SECONDS = 2400

interface Group {
  readonly name: string
  readonly concurrency: number
  readonly holds: (path: string) => boolean
}

/** A file belongs to the first group that holds it. */
const GROUPS: readonly Group[] = [
  { name: 'guest', concurrency: 1, holds: path => path.startsWith('test/vm/guest/') },
  { name: 'vm', concurrency: 1, holds: path => path.includes('.vm.test.') },
  { name: 'cluster', concurrency: 1, holds: path => path.startsWith('test/cluster/') },
  { name: 'node', concurrency: 1, holds: path => path.startsWith('test/node/') },
  { name: 'kernel', concurrency: 1, holds: path => path.startsWith('test/bpf/') || path.includes('.kernel.test.') },
  { name: 'unit', concurrency: 2, holds: () => true },
]
/** Quick answers first. */
const ORDER = ['unit', 'kernel', 'node', 'cluster']
/** Run when they are named: what boots guests, and what `npm run test:vm` runs in them. */
const NAMED = ['vm', 'guest']

function groupOf(path: string): string {
  return GROUPS.find(g => g.holds(path))?.name ?? 'unit'
}

function testFiles(patterns: readonly string[], except: readonly string[]): string[] {
  const found = globSync('{bpf,cni,daemon,deploy,plugins,test}/**/*.test.{ts,mjs}', {
    cwd: ROOT,
    exclude: path => path.includes('node_modules'),
  })
  const chosen = found.filter(path => patterns.length === 0 || patterns.some(p => path.includes(p)))
  return chosen.filter(path => !except.some(p => path.includes(p))).sort()
}

type How = Omit<FileRun, 'file' | 'cwd' | 'tap'> & { readonly results: ResultsFolder | undefined }

async function runGroup(group: Group, files: readonly string[], how: How, report: Report): Promise<void> {
  report.heading(`${group.name}: ${files.length} file${files.length === 1 ? '' : 's'}`)
  const { results, ...run } = how
  const queue = [...files]
  const worker = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const result = await runFile({ ...run, file: join(ROOT, file), cwd: ROOT, tap: results?.tapOf(file) })
      results?.add({ ...result, file })
      report.add(result)
    }
  }
  await Promise.all(Array.from({ length: group.concurrency }, worker))
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string', multiple: true, default: ORDER },
      except: { type: 'string', multiple: true, default: [] },
      name: { type: 'string' },
      repeat: { type: 'string', default: '1' },
      limit: { type: 'string', default: `${FILE_LIMIT_SECONDS}` },
      within: { type: 'string' },
      results: { type: 'string' },
    },
  })
  const groups = [...ORDER, ...NAMED]
  const unknown = values.only.find(name => !groups.includes(name))
  if (unknown !== undefined) throw new Error(`no group ${unknown}; there are ${groups.join(', ')}`)
  const rounds = positive('--repeat', values.repeat)
  const how = {
    timeoutMs: positive('--limit', values.limit) * 1000,
    testTimeoutMs: TEST_TIMEOUT_MS,
    namePattern: values.name,
    results: values.results === undefined ? undefined : new ResultsFolder(resolve(values.results)),
    signal: AbortSignal.timeout(positive('--within', values.within ?? `${WITHIN_SECONDS * rounds}`) * 1000),
  }
  const files = testFiles(positionals, values.except)
  const report = new Report(ROOT, text => process.stdout.write(text))
  for (let round = 0; round < rounds && report.failed === 0; round++)
    for (const name of groups.filter(n => values.only.includes(n))) {
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
