/** `causeway ipam`: addresses from the cloud as the operator sees them. */
import type { IpamNode, IpamStatus } from '../../operator/cloud/ipam-status.ts'
import type { CommandContext, CommandSpec } from '../command.ts'
import { askedHow, askOperator, operatorOptions } from '../ask-operator.ts'
import { coloured, print } from '../output.ts'
import { columns, textTable } from '../text-table.ts'

const NAME = 'ipam'

export const ipam: CommandSpec = {
  name: NAME,
  summary: 'Show addresses from the cloud: which node has and waits for how many, what subnets and budgets have left.',
  about: `${askedHow(NAME)} Only the one that leads knows.`,
  options: {
    ...operatorOptions,
    nodes: { type: 'boolean', about: 'List all nodes, not only those where pods wait or something is wrong.' },
  },
  async run(context) {
    const status = await askOperator<IpamStatus>(context, NAME, '/v1/ipam')
    print(context, status, value => ipamText(value, { ...context, allNodes: context.options.flag('nodes') }))
    return 0
  },
}

/** Everything on one screen. Exported for its test. */
export function ipamText(
  status: IpamStatus,
  context: Pick<CommandContext, 'colour'> & { readonly allNodes: boolean },
): string {
  const { provider, mode, failure, nodes, subnets, budgets, leftovers } = status
  const waiting = nodes.filter(({ demand }) => demand.waiting > 0)
  const facts = [
    ['cloud', provider],
    ['mode', mode === 'normal' ? mode : coloured(context, 'red', `${mode}: the cloud answers with errors`)],
    ...(failure === undefined ? [] : [['last error', failure]]),
    ['nodes', `${nodes.length}, pods wait on ${waiting.length}`],
    ['leftovers', `${leftovers} interfaces to be deleted`],
  ]
  return [
    columns(facts),
    textTable(
      ['subnet', 'zone', 'free', 'state'],
      subnets.map(({ id, zone, free, fullSeconds, fragmentedSeconds }) => {
        const full = fullSeconds === undefined ? '' : `full, asked again in ${fullSeconds} s`
        const split = fragmentedSeconds === undefined ? '' : `no whole prefix, asked again in ${fragmentedSeconds} s`
        return [id, zone, `${free}`, full === '' ? split : full]
      }),
      'no subnets are known yet',
    ),
    textTable(
      ['budget', 'calls left', 'a second'],
      budgets.map(({ name, calls, perSecond }) => [name, `${calls}`, perSecond.toFixed(1)]),
      'no calls yet',
    ),
    nodesText(context.allNodes ? nodes : nodes.filter(isTold), nodes.length),
  ].join('\n')
}

function isTold({ demand, failure, shortage }: IpamNode): boolean {
  return demand.waiting > 0 || failure !== undefined || shortage !== undefined
}

function nodesText(listed: readonly IpamNode[], all: number): string {
  const rows = listed.map(
    ({ name, machine, interfaces, has, demand, addresses, calls, shortage, failure, ...rest }) => [
      name,
      machine,
      `${interfaces}`,
      `${has}`,
      `${demand.assigned}`,
      `${demand.waiting}${rest.waitingSeconds === undefined ? '' : ` for ${rest.waitingSeconds} s`}`,
      `${demand.cooling}`,
      `${(addresses.draining ?? 0) + (addresses.drained ?? 0) + (addresses.releasing ?? 0)}`,
      calls.join(', '),
      failure ?? (shortage === undefined ? '' : `no more from the ${shortage}`),
    ],
  )
  const head = ['node', 'machine', 'interfaces', 'has', 'used', 'waiting', 'cooling', 'giving back', 'calls', 'problem']
  return textTable(head, rows, all === 0 ? 'no nodes' : 'no node lacks addresses (--nodes lists all)')
}
