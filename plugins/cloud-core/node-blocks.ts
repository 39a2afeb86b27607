/** Blocks of a node: their sizes and places. Pure. */
import { familyIn, widthOf } from '../../daemon/kernel/ip.ts'
import type { Family, Prefix } from '../../daemon/kernel/kernel.ts'
import type { NicId, SubnetId } from './model.ts'
import type { BlockPhase, BlockState, NicState, NodeState } from './node-state.ts'

/** A node that has not answered for so long needs blocks after all, or does not run. */
export const ANSWER_MS = 60_000

/** Addresses of an IPv4 block; of an IPv6 one, which has more than a node can use, as many as a number holds. */
export function sizeOfLength(family: Family, length: number): number {
  return 2 ** Math.min(30, widthOf(family) - length)
}

export function sizeOfBlock({ block }: Pick<BlockState, 'block'>): number {
  return sizeOfLength(familyIn(block), lengthOf(block))
}

export function lengthOf(block: Prefix): number {
  return Number(block.slice(block.indexOf('/') + 1))
}

export interface PlacedBlock extends BlockState {
  readonly family: Family
}

export function blocksOn(state: Pick<NodeState, 'blocks'>, nic: NicId): PlacedBlock[] {
  const found: PlacedBlock[] = []
  for (const block of state.blocks.values())
    if (block.nic === nic) found.push({ ...block, family: familyIn(block.block) })
  return found
}

/** Whether pods may get addresses of the interface that a block is on, now or when its way is through. */
export function inUse(state: Pick<NodeState, 'nics' | 'policy'>, { nic }: Pick<BlockState, 'nic'>): boolean {
  const on = state.nics.get(nic)
  return on !== undefined && isUsable(state, on)
}

/** One that is being made gets an index that is for pods. */
export function isUsable({ policy }: Pick<NodeState, 'policy'>, { phase, index }: NicState): boolean {
  if (phase === 'leaving' || phase === 'detached' || phase === 'foreign') return false
  return phase === 'made' || index >= policy.firstNic
}

/** With that block in another phase; a new life begins with `born`. */
export function withPhase(
  blocks: ReadonlyMap<Prefix, BlockState>,
  changes: Iterable<{ readonly block: Prefix; readonly phase: BlockPhase; readonly born?: number }>,
  nowMs: number,
): ReadonlyMap<Prefix, BlockState> {
  const next = new Map(blocks)
  for (const { block, phase, born } of changes) {
    const before = next.get(block)
    if (before === undefined) continue
    next.set(block, { ...before, phase, born: born ?? before.born, sinceMs: nowMs, missed: 0, missedMs: 0 })
  }
  return next
}

/** Whether an interface is in one of these subnets. */
export function isIn({ nics }: Pick<NodeState, 'nics'>, subnets: ReadonlySet<SubnetId>): boolean {
  return subnets.size > 0 && [...nics.values()].some(({ subnet }) => subnets.has(subnet))
}
