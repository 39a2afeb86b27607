/** The reference pages of docs/reference are what the code prints; `UPDATE_GOLDENS=1` prints them anew. */
import assert from 'node:assert/strict'
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { capabilitiesPage } from '../daemon/capabilities.ts'
import { commands } from '../daemon/cli/commands.ts'
import { cliPage } from '../daemon/cli/help.ts'
import { apiMetrics } from '../daemon/cluster/kubernetes/metrics.ts'
import { exposeSource } from '../daemon/cluster/source.ts'
import { configPage } from '../daemon/config/docs.ts'
import { keepConntrack } from '../daemon/datapath/conntrack.ts'
import { endpointMetrics } from '../daemon/endpoint/metrics.ts'
import { exposeCounters } from '../daemon/flow/counters.ts'
import { dropReasonsPage } from '../daemon/flow/drop-reasons.ts'
import { exposeNat } from '../daemon/nat/figures.ts'
import { cloudMetrics } from '../daemon/operator/cloud/metrics.ts'
import { operatorMetrics } from '../daemon/operator/metrics.ts'
import { exposeHealth, Health } from '../daemon/observe/health.ts'
import { createMetrics, metricsPage } from '../daemon/observe/metrics.ts'
import { exposeServices } from '../daemon/datapath/services.ts'
import { exposePolicies } from '../daemon/policy/not-enforced.ts'
import { createTables } from '../daemon/state/tables.ts'
import { Meter } from '../daemon/state/meter.ts'

const root = join(import.meta.dirname, '..')

const pages: readonly (readonly [file: string, print: () => string | Promise<string>])[] = [
  ['config.md', configPage],
  ['cli.md', () => cliPage(commands)],
  ['drop-reasons.md', dropReasonsPage],
  ['capabilities.md', capabilitiesPage],
  ['metrics.md', async () => metricsPage(await declaredMetrics())],
]
for (const [file, print] of pages) {
  test(`docs/reference/${file} is what the code prints`, async () => {
    const path = join(root, 'docs/reference', file)
    const text = await print()
    if (process.env.UPDATE_GOLDENS === '1') {
      mkdirSync(join(root, 'docs/reference'), { recursive: true })
      writeFileSync(path, text)
    } else assert.equal(readFileSync(path, 'utf8'), text)
  })
}

test('every metric that the daemon declares is on the page', async () => {
  const names = new Set((await declaredMetrics()).map(metric => metric.name))
  for (const file of globSync('daemon/**/*.ts', { cwd: root, exclude: path => path.endsWith('.test.ts') })) {
    const source = readFileSync(join(root, file), 'utf8')
    for (const [, name] of source.matchAll(/metrics\.(?:counter|gauge|histogram)\(\s*'(\w+)'/g)) {
      assert.ok(names.has(`causeway_${name}`), `${file} declares ${name}: make declaredMetrics declare it too`)
    }
  }
})

/** The metrics of the daemon itself, declared by the parts that use them; those of plugins are on the plugins' pages. */
async function declaredMetrics() {
  const metrics = createMetrics({ version: '', node: '' })
  endpointMetrics(metrics)
  exposeCounters(metrics, () => [])
  exposeSource(metrics, { name: '', problems: () => [], waitingFor: () => undefined, run: () => Promise.resolve() })
  exposeHealth(metrics, new Health())
  apiMetrics(metrics)
  exposePolicies(metrics, createTables())
  operatorMetrics(metrics, { leading: () => false, uses: () => [], problems: () => [], policies: () => 0 })
  cloudMetrics(metrics, () => undefined)
  new Meter('', metrics)
  exposeNat(metrics, () => Promise.resolve({ users: [], addresses: [] }))
  exposeServices(metrics, { ended: () => 0, hits: () => new Map() })
  const unused = () => Promise.reject(new Error('not called'))
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  await keepConntrack(
    {
      metrics,
      log,
      limit: 0,
      capacity: () => 0,
      rejected: () => 0,
      departed: () => false,
      expire: unused,
      grow: unused,
    },
    AbortSignal.abort(),
  )
  return metrics.list()
}
