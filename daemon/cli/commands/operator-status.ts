/** `causeway operator status`: the cluster as the operator sees it. */
import type { NodeStatus, OperatorStatus } from '../../operator/status.ts'
import type { CommandContext, CommandSpec } from '../command.ts'
import { askedHow, askOperator, operatorOptions } from '../ask-operator.ts'
import { coloured, print } from '../output.ts'
import { columns, textTable } from '../text-table.ts'

const NAME = 'operator status'

export const operatorStatus: CommandSpec = {
  name: NAME,
  summary: 'Show which operator leads, what pools have left, which nodes are not ready and what is wrong.',
  about: `${askedHow(NAME)} Only the one that leads knows the cluster; the others name it.`,
  options: {
    ...operatorOptions,
    nodes: { type: 'boolean', about: 'List all nodes, not only those that are not ready.' },
  },
  async run(context) {
    const status = await askOperator<OperatorStatus>(context, NAME, '/v1/status')
    print(context, status, value => operatorText(value, { ...context, allNodes: context.options.flag('nodes') }))
    return 0
  },
}

/** Everything on one screen. Exported for its test. */
export function operatorText(
  status: OperatorStatus,
  context: Pick<CommandContext, 'colour'> & { readonly allNodes: boolean },
): string {
  const { identity, leading, leader, build, nodes, gone, pools, problems } = status
  const facts = [
    ['operator', `${identity}, ${leading ? coloured(context, 'green', 'leads') : 'does not lead'}`],
    ...(leading ? [] : [['leader', leader === '' ? coloured(context, 'red', 'none') : leader]]),
    ['version', `${build.version} on Node ${build.node}`],
  ]
  const count = `${problems.length} problem${problems.length === 1 ? '' : 's'}`
  const title = problems.length === 0 ? 'no problems' : coloured(context, 'red', count)
  const wrong = [title, ...problems.map(({ place, message }) => `  ${place}: ${message}`)]
  if (!leading) return `${columns(facts)}\n${wrong.join('\n')}\n`
  const ready = nodes.filter(node => node.ready).length
  const left = gone.map(({ name, podCidrs }) => `${name} (${podCidrs.join(', ')})`)
  const cluster = [
    ['nodes', `${ready} of ${nodes.length} ready`],
    ...(left.length === 0 ? [] : [['gone lately', left.join(', ')]]),
  ]
  const poolRows = pools.map(({ name, nodes: users, free, conflict = '' }) => [name, `${users}`, `${free}`, conflict])
  return [
    columns([...facts, ...cluster]),
    textTable(['pool', 'nodes', 'ranges left', 'not used because'], poolRows, 'no pools'),
    ...nodesText(nodes, context.allNodes),
    `${wrong.join('\n')}\n`,
  ].join('\n')
}

/** Nothing where all are ready and not all are wanted. */
function nodesText(nodes: readonly NodeStatus[], all: boolean): readonly string[] {
  const listed = all ? nodes : nodes.filter(node => !node.ready)
  if (listed.length === 0) return []
  const rows = listed.map(({ name, ready, tainted, podCidrs, pool }) => [
    name,
    ready ? 'yes' : 'no',
    tainted ? 'yes' : 'no',
    podCidrs.join(', '),
    pool,
  ])
  return [textTable(['node', 'ready', 'tainted', 'pod ranges', 'pool'], rows)]
}
