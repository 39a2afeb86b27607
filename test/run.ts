/**
 * `npm test [-- PATTERN…] [--only GROUP] [--name TEXT] [--repeat N]`: runs the project's tests in groups, one line a
 * file, failures in full, and totals with the slowest files at the end. Patterns are parts of a path.
 *
 * Tests lie beside what they test (`x.test.ts`) or under test/. Those that change the kernel run one at a time: eBPF
 * objects and machine-wide sysctls are not namespaced, and timing is part of what they assert.
 */
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { run } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Report } from './report.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FILE_TIMEOUT_MS = 15 * 60_000

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

async function runGroup(group: Group, files: readonly string[], namePattern: string | undefined, report: Report) {
  const events = run({
    files: files.map(f => join(ROOT, f)),
    cwd: ROOT,
    concurrency: group.concurrency,
    timeout: FILE_TIMEOUT_MS,
    ...(namePattern === undefined ? {} : { testNamePatterns: [new RegExp(namePattern)] }),
  })
  for await (const event of events) report.take(event)
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string', multiple: true, default: ORDER },
      name: { type: 'string' },
      repeat: { type: 'string', default: '1' },
    },
  })
  const unknown = values.only.find(name => !ORDER.includes(name))
  if (unknown !== undefined) throw new Error(`no group ${unknown}; there are ${ORDER.join(', ')}`)
  const files = testFiles(positionals)
  const report = new Report(ROOT, process.stdout)
  for (let round = 0; round < Number(values.repeat) && report.failed === 0; round++)
    for (const name of ORDER.filter(n => values.only.includes(n))) {
      const group = GROUPS.find(g => g.name === name)
      const own = files.filter(f => groupOf(f) === name)
      if (group === undefined || own.length === 0) continue
      report.heading(`${name}: ${own.length} file${own.length === 1 ? '' : 's'}`)
      await runGroup(group, own, values.name, report)
    }
  return report.finish()
}

process.exitCode = await main()
