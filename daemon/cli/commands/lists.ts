/** `causeway endpoints`, `pools` and `nodes`: tables of the daemon for people. */
import type { Status } from '../../api/status.ts'
import type { PoolStatus } from '../../plugin.ts'
import type { EndpointRow, IpcacheRow, NodeRow } from '../../state/tables.ts'
import { podName } from '../../flow/names.ts'
import { type CommandSpec, clientOptions, formatOption } from '../command.ts'
import { print } from '../output.ts'
import { textTable } from '../text-table.ts'

const options = { ...formatOption, ...clientOptions }

export const endpoints: CommandSpec = {
  name: 'endpoints',
  summary: "List the pods' interfaces on this node.",
  options,
  async run(context) {
    const rows = await context.client().json<EndpointRow[]>('/v1/tables/endpoints')
    print(context, rows, list =>
      textTable(['pod', 'addresses', 'interface', 'device', 'mtu', 'pool', 'id'], list.map(endpointCells)),
    )
    return 0
  },
}

export const pools: CommandSpec = {
  name: 'pools',
  summary: 'List the pools of addresses with their numbers.',
  options,
  async run(context) {
    print(context, (await context.client().json<Status>('/v1/status')).pools, poolsTable)
    return 0
  },
}

export const nodes: CommandSpec = {
  name: 'nodes',
  summary: 'List the nodes of the cluster and how their pods are reached from here.',
  options,
  async run(context) {
    const client = context.client()
    const rows = await client.json<NodeRow[]>('/v1/tables/nodes')
    const entries = await client.json<IpcacheRow[]>('/v1/tables/ipcache')
    const list = rows.map(row => ({ ...row, paths: pathsTo(row.name, entries), why: whyTo(row.name, entries) }))
    print(context, list, all =>
      textTable(
        ['name', 'addresses', 'pod ranges', 'paths', 'why'],
        all.map(row => [row.name, ...[row.addresses, row.podCidrs, row.paths, row.why].map(list => list.join(', '))]),
      ),
    )
    return 0
  },
}

/** A row names so many ranges: a cloud may give addresses one by one. */
const MOST_RANGES = 4

/** Pools with their numbers, as `status` shows them too; those of a cloud with its blocks by state. */
export function poolsTable(list: readonly PoolStatus[]): string {
  const numbers = (pool: PoolStatus): string[] =>
    [pool.total, pool.used, pool.cooling, pool.excluded, pool.free].map(String)
  const withBlocks = list.some(pool => pool.blocks !== undefined)
  const blocks = ({ blocks = {} }: PoolStatus): string =>
    Object.entries(blocks)
      .map(([state, count]) => `${count} ${state}`)
      .join(', ')
  return textTable(
    ['pool', 'family', 'ranges', 'total', 'used', 'cooling', 'excluded', 'free', ...(withBlocks ? ['blocks'] : [])],
    list.map(pool => [
      pool.pool,
      `ipv${pool.family}`,
      rangesText(pool.ranges),
      ...numbers(pool),
      ...(withBlocks ? [blocks(pool)] : []),
    ]),
    'no pools',
  )
}

function rangesText(ranges: readonly string[]): string {
  const rest = ranges.length - MOST_RANGES
  return rest > 1 ? `${ranges.slice(0, MOST_RANGES).join(', ')} and ${rest} more` : ranges.join(', ')
}

function endpointCells(row: EndpointRow): string[] {
  const { pod, addresses, interface: own, device } = row
  return [podName(pod, row.key), addresses.join(', '), own.name, device.name, String(own.mtu), row.pool, String(row.id)]
}

function pathsTo(node: string, rows: readonly IpcacheRow[]): string[] {
  const paths = rows
    .filter(row => row.node === node)
    .map(({ path }) => (path.kind === 'overlay' ? `overlay to ${path.tunnel}` : path.kind))
  return [...new Set(paths)]
}

function whyTo(node: string, rows: readonly IpcacheRow[]): string[] {
  return [...new Set(rows.filter(row => row.node === node).map(({ why }) => why))]
}
