/** `causeway status`, `health`, `tables` and `metrics`: what the daemon says about itself. */
import type { Status, TableStatus } from '../../api/status.ts'
import type { HealthReport } from '../../observe/health.ts'
import { type CommandContext, type CommandSpec, clientOptions, formatOption } from '../command.ts'
import { coloured, print } from '../output.ts'
import { columns, textTable } from '../text-table.ts'
import { duration } from '../units.ts'
import { poolsTable } from './lists.ts'

export const status: CommandSpec = {
  name: 'status',
  summary: 'Show what the daemon runs and what is wrong.',
  options: {
    table: { type: 'string', value: 'NAME', about: 'Show the rows of one table instead, always as JSON or YAML.' },
    ...formatOption,
    ...clientOptions,
  },
  async run(context) {
    const table = context.options.text('table')
    if (table === undefined) {
      print(context, await context.client().json<Status>('/v1/status'), value => statusText(value, context, Date.now()))
      return 0
    }
    const { text } = await context.client().get(`/v1/tables/${encodeURIComponent(table)}`)
    if (context.format === 'yaml') print(context, JSON.parse(text) as unknown, () => text)
    else context.out(text)
    return 0
  },
}

export const health: CommandSpec = {
  name: 'health',
  summary: 'Say whether the daemon is ready; exit status 1 while it is not.',
  options: { ...formatOption, ...clientOptions },
  async run(context) {
    const report = await context.client().json<HealthReport>('/v1/health', [200, 503])
    print(context, report, ({ ready, waiting }) =>
      ready ? 'ready\n' : `not ready\n${waiting.map(w => `  ${w}\n`).join('')}`,
    )
    return report.ready ? 0 : 1
  },
}

export const tables: CommandSpec = {
  name: 'tables',
  summary: 'List the tables of desired state.',
  options: { ...formatOption, ...clientOptions },
  async run(context) {
    print(context, await context.client().json<TableStatus[]>('/v1/tables'), list =>
      textTable(
        ['name', 'rows', 'revision', 'waiting for'],
        list.map(table => [table.name, String(table.rows), String(table.revision), table.pending.join(', ')]),
      ),
    )
    return 0
  },
}

export const metrics: CommandSpec = {
  name: 'metrics',
  summary: 'Print the metrics in the text format of Prometheus.',
  options: clientOptions,
  async run(context) {
    context.out((await context.client().get('/metrics')).text)
    return 0
  },
}

/** Everything on one screen. */
export function statusText(value: Status, context: Pick<CommandContext, 'colour'>, nowMs: number): string {
  const ready = value.ready
    ? coloured(context, 'green', 'ready')
    : coloured(context, 'yellow', `not ready, waiting for ${value.waiting.join('; ')}`)
  const problems = value.problems.map(({ place, message }) => `  ${place}: ${message}`)
  const facts: (readonly [string, string])[] = [
    ['node', `${value.node}, ${ready}`],
    ['version', `${value.build.version} on Node ${value.build.node}, Linux ${value.kernel}`],
    ['running for', duration(nowMs - value.startedMs)],
    ...Object.entries(value.datapath),
    ['sources', value.sources.map(source => `${source.name} (${source.synced ? 'in sync' : 'first sync'})`).join(', ')],
    [
      'plugins',
      value.plugins.map(plugin => [plugin.name, ...plugin.parts.map(part => `(${part})`)].join(' ')).join(', '),
    ],
    ['tables', value.tables.map(table => `${table.name} ${table.rows}`).join(', ')],
  ]
  const count = `${problems.length} problem${problems.length === 1 ? '' : 's'}`
  const title = problems.length === 0 ? 'no problems' : coloured(context, 'red', count)
  return `${columns(facts)}\n${poolsTable(value.pools)}\n${[title, ...problems].join('\n')}\n`
}
