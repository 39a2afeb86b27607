/** What the configuration says of services, as the planner takes it. Pure. */
import type { Settings } from '../config/schema.ts'
import type { Prefix } from '../kernel/kernel.ts'
import type { Forwarding, TableSize } from '../state/service-rows.ts'

export interface Balancing {
  readonly tableSize: TableSize
  /** Maglev for clients of this node too. */
  readonly inside: boolean
  /** Of services that say nothing of it; of all where others are not possible. */
  readonly forwarding: Forwarding
  readonly dsr: boolean
  /** Of the node's addresses those that have node ports; all when there are none. */
  readonly nodePortRanges: readonly Prefix[]
  /** Processes of the node find node ports at its loopback addresses too. */
  readonly nodePortLoopback: boolean
}

export function balancingOf({ maglev, forwarding, dsr, nodePorts }: Settings['services']): Balancing {
  const { addresses: nodePortRanges, loopback: nodePortLoopback } = nodePorts
  return { ...maglev, forwarding, dsr: dsr.dispatch !== 'off', nodePortRanges, nodePortLoopback }
}
