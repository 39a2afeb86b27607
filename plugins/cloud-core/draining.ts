/** Which blocks a node is asked to give no more of, and when that is taken back. Pure. */
import { parsePrefix } from '../../daemon/kernel/ip.ts'
import { ANSWER_MS, inUse, sizeOfBlock, withPhase } from './node-blocks.ts'
import type { BlockState, NodeState } from './node-state.ts'
import type { World } from './plan.ts'
import { have, target } from './target.ts'

/**
 * What is above the target by more than the policy lets stand, of blocks that are idle for long: those of the interface
 * that has the fewest addresses in use first, so that whole interfaces come free; of one interface the highest.
 */
export function chooseDraining(state: NodeState, world: World, nowMs: number): NodeState {
  const { policy, limits, observedMs, doubtMs } = state
  if (limits === undefined || observedMs === undefined || doubtMs !== undefined) return state
  if (state.pending.size > 0 || state.intents.size > 0) return state
  let excess = have(state) - target(state, world.refillMs, nowMs) - policy.maxAbove
  if (excess <= 0) return state
  const chosen: BlockState[] = []
  for (const block of candidates(state)) {
    const size = sizeOfBlock(block)
    if (size > excess) continue
    chosen.push(block)
    excess -= size
  }
  if (chosen.length === 0) return state
  return {
    ...state,
    blocks: withPhase(
      state.blocks,
      chosen.map(({ block }) => ({ block, phase: 'draining' })),
      nowMs,
    ),
  }
}

/** Takes back what is wanted again, or was never answered; what the node has said of it until now does not count. */
export function cancelDraining(state: NodeState, world: World, nowMs: number): NodeState {
  let need = target(state, world.refillMs, nowMs) - have(state)
  let born = state.lastBorn
  const back: { block: string; phase: 'allocatable'; born: number }[] = []
  for (const block of ordered(state.blocks.values())) {
    const asked = block.phase === 'draining'
    if (!asked && block.phase !== 'drained') continue
    if (!inUse(state, block)) continue
    if (need <= 0 && !(asked && nowMs - block.sinceMs >= ANSWER_MS)) continue
    back.push({ block: block.block, phase: 'allocatable', born: ++born })
    need -= sizeOfBlock(block)
  }
  return back.length === 0 ? state : { ...state, blocks: withPhase(state.blocks, back, nowMs), lastBorn: born }
}

function candidates(state: NodeState): BlockState[] {
  const idle = new Set(state.idle)
  const busy = new Map<string, number>()
  const found: BlockState[] = []
  for (const block of state.blocks.values()) {
    if (block.phase !== 'allocatable' || block.block.includes(':')) continue
    if (idle.has(block.block)) found.push(block)
    else busy.set(block.nic, (busy.get(block.nic) ?? 0) + sizeOfBlock(block))
  }
  const indexOf = ({ nic }: BlockState): number => state.nics.get(nic)?.index ?? 0
  const rank = (a: BlockState, b: BlockState): number =>
    (busy.get(a.nic) ?? 0) - (busy.get(b.nic) ?? 0) || indexOf(b) - indexOf(a) || compare(b, a)
  return found.sort(rank)
}

function ordered(blocks: Iterable<BlockState>): BlockState[] {
  return [...blocks].sort(compare)
}

/** By address, then by length. */
function compare(a: BlockState, b: BlockState): number {
  const [x, y] = [parsePrefix(a.block), parsePrefix(b.block)]
  return x.value < y.value ? -1 : x.value > y.value ? 1 : x.length - y.length
}
