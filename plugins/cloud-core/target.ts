/** How many IPv4 addresses a node is to have, and has. Whole numbers, pure. */
import { familyIn } from '../../daemon/kernel/ip.ts'
import { expectedArrivals } from './arrivals.ts'
import { NO_DEMAND } from './model.ts'
import { blocksOn, inUse, sizeOfLength, sizeOfBlock } from './node-blocks.ts'
import type { NodeState } from './node-state.ts'

/**
 * Those in use, waited for and kept warm, at least `min` and at most what the node's pods can need; and besides as many as
 * cool down, which nobody can be given. `refillMs`: how long the next ones take to come.
 */
export function target(state: NodeState, refillMs: number, nowMs: number): number {
  const { policy, arrivals } = state
  const { assigned, waiting, cooling } = state.demand.get(4) ?? NO_DEMAND
  const warm = Math.max(policy.preAllocate, expectedArrivals(arrivals, nowMs, refillMs))
  const wanted = Math.max(policy.min, assigned + waiting + warm)
  return Math.min(wanted, Math.max(policy.maxPods, assigned)) + cooling
}

/** Those that pods may get, now or when what is under way has come. */
export function have(state: NodeState): number {
  let sum = 0
  for (const block of state.blocks.values())
    if (block.phase === 'allocatable' && familyIn(block.block) === 4 && inUse(state, block)) sum += sizeOfBlock(block)
  for (const { call } of state.pending.values()) {
    if (call.kind === 'assign' && call.family === 4) sum += call.count * sizeOfLength(4, call.length)
    if (call.kind === 'write')
      for (const { family, count, length } of call.add) if (family === 4) sum += count * sizeOfLength(4, length)
  }
  for (const { count, length } of state.intents.values()) sum += count * sizeOfLength(4, length)
  return sum
}

/** Addresses that are free or under way, beyond those that somebody waits for; less than none where pods are starved. */
export function spare(state: NodeState): number {
  const { assigned, waiting, cooling } = state.demand.get(4) ?? NO_DEMAND
  return have(state) - assigned - waiting - cooling
}

/** Blocks that an interface has no room for any more because others are there, come, or have not been seen gone. */
export function slotsTaken(state: NodeState, nic: string, family: 4 | 6): number {
  let taken = blocksOn(state, nic).filter(b => b.family === family && !(b.phase === 'released' && b.missed > 0)).length
  for (const { call } of state.pending.values()) {
    if (call.kind === 'assign' && call.nic === nic && call.family === family) taken += call.count
    if (call.kind === 'write')
      for (const add of call.add) if (add.nic === nic && add.family === family) taken += add.count
  }
  return taken
}
