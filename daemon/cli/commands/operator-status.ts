/** `causeway operator status`: the cluster as the operator sees it. */
import { readOperatorPlace } from '../../config/settings-part.ts'
import type { NodeStatus, OperatorStatus } from '../../operator/status.ts'
import { ApiClient } from '../client.ts'
import { type CommandContext, type CommandSpec, configOptions, formatOption } from '../command.ts'
import { operatorAt } from '../operator-place.ts'
import { coloured, print } from '../output.ts'
import { columns, textTable } from '../text-table.ts'

export const operatorStatus: CommandSpec = {
  name: 'operator status',
  summary: 'Show which operator leads, what pools have left, which nodes are not ready and what is wrong.',
  about:
    'It asks the operator of this machine, by `operator.listen` of the configuration; only the one that leads knows the ' +
    'cluster, the others name it. In a cluster: kubectl --namespace kube-system exec deployment/causeway-operator -- ' +
    'causeway operator status.',
  options: {
    address: { type: 'string', value: 'HOST:PORT', about: 'Ask there instead; an IPv6 address in brackets.' },
    nodes: { type: 'boolean', about: 'List all nodes, not only those that are not ready.' },
    ...formatOption,
    ...configOptions,
  },
  async run(context) {
    const { options, env, signal } = context
    const input = { file: options.text('config'), set: options.texts('set'), env }
    const client = new ApiClient(operatorAt(readOperatorPlace(input), options.text('address')), signal)
    const status = await client.json<OperatorStatus>('/v1/status')
    print(context, status, value => operatorText(value, { ...context, allNodes: options.flag('nodes') }))
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
