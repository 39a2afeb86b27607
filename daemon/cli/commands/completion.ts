/** `causeway completion`: a script that completes command lines. */
import { type CommandSpec, clientOptions } from '../command.ts'
import { listPluginCommands } from '../plugin-command.ts'
import { completion, type Shell, shells } from '../completion.ts'

export const completionCommand: CommandSpec = {
  name: 'completion',
  summary: 'Print a completion script for a shell.',
  about:
    'For example: `causeway completion bash > /etc/bash_completion.d/causeway`. ' +
    'It knows the commands of plugins when the daemon runs.',
  operands: [{ name: 'SHELL', choices: shells }],
  options: clientOptions,
  async run({ operands, commands, client, out }) {
    const plugins = await listPluginCommands(client)
    // Checked against its choices by the parser.
    out(completion(operands[0] as Shell, commands, plugins))
    return 0
  },
}
