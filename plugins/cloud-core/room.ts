/** How many addresses a machine can give to pods at most. Whole numbers, pure. */
import { blocksOn, isUsable, sizeOfBlock, sizeOfLength } from './node-blocks.ts'
import type { NodeState } from './node-state.ts'

/**
 * IPv4 addresses: those on its interfaces, and what the room left there and interfaces to come can take, however much its
 * subnets have; no more than the node takes pods. Of a node with IPv6 alone, whose one block is more than it can use, so
 * many as it takes pods. Undefined before it is known what the machine can hold and has.
 */
export function mostAddresses(state: NodeState): number | undefined {
  const { limits, policy, observedMs } = state
  if (limits === undefined || observedMs === undefined) return undefined
  if (!policy.families.includes(4)) return policy.maxPods
  const [longest = 32] = limits.lengths[4]
  const size = sizeOfLength(4, policy.prefixes ? longest : 32)
  let sum = 0
  let there = 0
  for (const nic of state.nics.values()) {
    if (nic.phase === 'leaving' || nic.phase === 'detached') continue
    there++
    if (!isUsable(state, nic)) continue
    const blocks = blocksOn(state, nic.id).filter(({ family, phase }) => family === 4 && phase !== 'released')
    for (const block of blocks) sum += sizeOfBlock(block)
    sum += Math.max(0, limits.slots - blocks.length) * size
  }
  // Machines that are written as a whole get no more interfaces.
  if (!limits.wholeWrites) sum += Math.max(0, limits.nics - there) * limits.slots * size
  return Math.min(policy.maxPods, sum)
}
