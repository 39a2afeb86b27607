/** `causeway uninstall`: takes everything off this node. */
import { type CommandSpec, configOptions } from '../command.ts'
import { loadWith } from '../programs.ts'

export const uninstall: CommandSpec = {
  name: 'uninstall',
  summary: 'Remove everything the daemon made on this node: devices, routes, programs, maps and files.',
  about: 'The daemon must not be running. The configuration, the executables and sysctls stay.',
  options: {
    force: { type: 'boolean', about: 'Also when pods are attached, which lose their network.' },
    ...configOptions,
  },
  async run({ options, env, programs, out }) {
    const { config } = await loadWith(programs, { file: options.text('config'), set: options.texts('set') }, env)
    await programs.uninstall(config, options.flag('force'), line => out(`${line}\n`))
    return 0
  },
}
