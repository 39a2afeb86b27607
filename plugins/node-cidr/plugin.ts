/** Addresses from the pod ranges that somebody else assigned to this node, as its Node object has them. */
import type { Plugin } from '../../daemon/plugin.ts'
import { type Clock, systemClock } from '../../daemon/state/clock.ts'
import { NodePools } from '../pool-core/node-pools.ts'
import { parseOptions } from './options.ts'

const WAY_OUT =
  'kube-controller-manager assigns them with --allocate-node-cidrs and --cluster-cidr, GKE to VPC-native clusters; ' +
  'where nobody does, enable cluster-pool instead of node-cidr and make an IPPool'

/** The plugin with a clock of the caller's choice; the daemon uses `nodeCidr`. */
export function nodeCidrWith(clock: Clock): Plugin {
  return {
    name: 'node-cidr',
    configure(raw) {
      const pools = [parseOptions(raw)]
      return host => {
        const ipam = new NodePools({ pools, host, clock, metrics: 'node_cidr' })
        return { ipam, problems: () => ipam.lack(WAY_OUT), run: signal => ipam.run(signal) }
      }
    },
  }
}

export const nodeCidr: Plugin = nodeCidrWith(systemClock)
