/** `causeway uninstall`: takes everything off this node. */
import { type CommandSpec, configOptions } from '../command.ts'
import { readPlaces } from '../../config/settings-part.ts'

export const uninstall: CommandSpec = {
  name: 'uninstall',
  summary: 'Remove everything the daemon made on this node: devices, routes, programs, maps and files.',
  about:
    'The daemon must not be running. The configuration and the executables stay. Sysctls that it changed get the values they had before, unless somebody has changed them since.',
  options: {
    force: { type: 'boolean', about: 'Also when pods are attached, which lose their network.' },
    ...configOptions,
  },
  async run({ options, env, programs, signal, out }) {
    // No more of the configuration than that: a key or plugin this program does not know must not keep it from going.
    const places = readPlaces({ file: options.text('config'), set: options.texts('set'), env })
    await programs.uninstall(places, { force: options.flag('force'), signal, say: line => out(`${line}\n`) })
    return 0
  },
}
