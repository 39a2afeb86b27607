/** Addresses of Azure network interfaces: IP configurations, each an address or a block, which the virtual network routes to the machine. */
import type { Plugin } from '../../daemon/plugin.ts'
import { type Clock, systemClock } from '../../daemon/state/clock.ts'
import { cloudPlugin } from '../cloud-core/node/node-plugin.ts'
import { parseOptions } from './options.ts'

/** The plugin with a clock of the caller's choice; the daemon uses `azure`. */
export function azureWith(clock: Clock): Plugin {
  return cloudPlugin({ name: 'azure', provider: 'azure', parse: parseOptions }, clock)
}

export const azure: Plugin = azureWith(systemClock)
