/** Addresses of EC2 network interfaces: secondary addresses and prefixes, which the VPC routes to the machine. */
import type { Plugin } from '../../daemon/plugin.ts'
import { type Clock, systemClock } from '../../daemon/state/clock.ts'
import { cloudPlugin } from '../cloud-core/node/node-plugin.ts'
import { parseOptions } from './options.ts'

/** The plugin with a clock of the caller's choice; the daemon uses `awsEni`. */
export function awsEniWith(clock: Clock): Plugin {
  return cloudPlugin({ name: 'aws-eni', provider: 'aws', parse: parseOptions }, clock)
}

export const awsEni: Plugin = awsEniWith(systemClock)
