/** What cluster sources write, as stories have it: nodes and pods always, other tables where they hold something. */
import { dump } from '../../daemon/state/dump.ts'
import type { Known } from './play.ts'

const MORE = ['services', 'endpointSlices', 'namespaces', 'networkPolicies', 'egressPolicies'] as const

/** `problems` are lines. */
export function describeTables({ tables }: Pick<Known, 'tables'>, problems: readonly string[]): string {
  const sync = tables.nodes.initialized ? 'complete' : 'not complete'
  const more = MORE.filter(name => tables[name].size > 0)
  return [
    `sync ${sync}\n`,
    ...(['nodes', 'pods', ...more] as const).map(name => `${name} ${dump<object>(tables[name])}`),
    ...problems.map(line => `problem ${line}\n`),
  ].join('')
}
