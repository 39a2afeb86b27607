/** `causeway install`: the part of the project that the container runtime starts itself. */
import { join } from 'node:path'
import { type CommandSpec, UsageError } from '../command.ts'

export const install: CommandSpec = {
  name: 'install',
  summary: "Put the CNI executable into the runtime's directory, in one step.",
  about:
    'One that runs meanwhile goes on undisturbed, and whoever starts it finds the old one or the new one whole. The daemon writes the network configuration once it is ready.',
  options: {
    'cni-bin': {
      type: 'string',
      value: 'DIR',
      about: "The node's directory of CNI executables, such as /opt/cni/bin.",
    },
  },
  async run({ options, programs, out }) {
    const directory = options.text('cni-bin')
    if (directory === undefined) throw new UsageError('install needs --cni-bin DIR', 'install')
    const changed = await programs.install(directory)
    out(`${join(directory, 'causeway')} ${changed ? 'was put in place' : 'is in place already'}\n`)
    return 0
  },
}
