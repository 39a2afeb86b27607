/** Addresses from ranges of the cluster, as far as they are pod ranges of this node. */
import type { Plugin } from '../../daemon/plugin.ts'
import { type Clock, systemClock } from '../../daemon/state/clock.ts'
import { NodePools } from '../pool-core/node-pools.ts'
import { parseOptions } from './options.ts'

const WAY_OUT =
  "on Kubernetes the operator assigns them from the IPPools that select the node: 'kubectl describe ippools' says what " +
  'they have left; in a directory they are written there'

/** The plugin with a clock of the caller's choice; the daemon uses `clusterPool`. */
export function clusterPoolWith(clock: Clock): Plugin {
  return {
    name: 'cluster-pool',
    configure(raw) {
      const pools = parseOptions(raw)
      return host => {
        const ipam = new NodePools({ pools, host, clock, metrics: 'cluster_pool' })
        return { ipam, problems: () => ipam.lack(WAY_OUT), run: signal => ipam.run(signal) }
      }
    },
  }
}

export const clusterPool: Plugin = clusterPoolWith(systemClock)
