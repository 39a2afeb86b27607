/** Alias ranges of Google Compute Engine interfaces, which the VPC routes to the machine. */
import type { Plugin } from '../../daemon/plugin.ts'
import { type Clock, systemClock } from '../../daemon/state/clock.ts'
import { cloudPlugin } from '../cloud-core/node/node-plugin.ts'
import { parseOptions } from './options.ts'

/** The plugin with a clock of the caller's choice; the daemon uses `gcp`. */
export function gcpWith(clock: Clock): Plugin {
  return cloudPlugin({ name: 'gcp', provider: 'gcp', parse: parseOptions }, clock)
}

export const gcp: Plugin = gcpWith(systemClock)
