/** `causeway crds`: the definitions of the own kinds. */
import { definitionsText } from '../../cluster/kinds/definitions.ts'
import type { CommandSpec } from '../command.ts'

export const crds: CommandSpec = {
  name: 'crds',
  summary: 'Print the CustomResourceDefinitions of the own kinds: causeway crds | kubectl apply -f -',
  async run(context) {
    context.out(definitionsText())
    return await Promise.resolve(0)
  },
}
