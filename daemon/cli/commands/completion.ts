/** `causeway completion`: a script that completes command lines. */
import type { CommandSpec } from '../command.ts'
import { completion, type Shell, shells } from '../completion.ts'

export const completionCommand: CommandSpec = {
  name: 'completion',
  summary: 'Print a completion script for a shell.',
  about: 'For example: `causeway completion bash > /etc/bash_completion.d/causeway`.',
  operands: [{ name: 'SHELL', choices: shells }],
  async run({ operands, commands, out }) {
    // Checked against its choices by the parser.
    out(completion(operands[0] as Shell, commands))
    return await Promise.resolve(0)
  },
}
