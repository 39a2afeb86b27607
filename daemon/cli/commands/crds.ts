/** `causeway crds`: the definitions of the own kinds, and whether a cluster has them. */
import { definitionsText } from '../../cluster/kinds/definitions.ts'
import { GOOD_STATES, type InstalledDefinition } from '../../cluster/kinds/installed.ts'
import { type CommandContext, type CommandSpec, configOptions, formatOption } from '../command.ts'
import { coloured, print } from '../output.ts'
import { loadWith } from '../programs.ts'
import { columns } from '../text-table.ts'

export const crds: CommandSpec = {
  name: 'crds',
  summary: 'Print the CustomResourceDefinitions of the own kinds: causeway crds | kubectl apply --server-side -f -',
  about:
    'With --check nothing is printed but whether the cluster of the configuration has those of this build, or newer ones; exit status 1 when it does not.',
  options: {
    check: { type: 'boolean', about: 'Compare with the definitions that the cluster has.' },
    ...formatOption,
    ...configOptions,
  },
  async run(context) {
    if (context.options.flag('check')) return await check(context)
    context.out(definitionsText())
    return 0
  },
}

async function check(context: CommandContext): Promise<number> {
  const { programs, options, env, signal } = context
  const input = { file: options.text('config'), set: options.texts('set') }
  const { config } = await loadWith(programs, input, env)
  const found = await programs.installedDefinitions(config, signal)
  print(context, found, all => text(all, context))
  return found.every(isGood) ? 0 : 1
}

function text(all: readonly InstalledDefinition[], context: Pick<CommandContext, 'colour'>): string {
  const states = new Map(all.map(each => [each.state as string, isGood(each)]))
  const table = columns(all.map(({ state, name, message }) => [state, name, message]))
  return table.replace(/^\w+(?= )/gm, state => coloured(context, states.get(state) === true ? 'green' : 'red', state))
}

function isGood({ state }: InstalledDefinition): boolean {
  return GOOD_STATES.includes(state)
}
