/** Who is served first when not all can be: those with pods that wait, the longest wait first; then who has least to spare. Pure. */
import type { NodeState } from './node-state.ts'
import { have, spare, target } from './target.ts'

export function byNeed<T extends { readonly state: NodeState }>(
  members: readonly T[],
  refillMs: number,
  nowMs: number,
): T[] {
  const ranked = members.map(member => {
    const { waitingSinceMs } = member.state
    const starved = waitingSinceMs !== undefined && spare(member.state) < 0
    const lacking = target(member.state, refillMs, nowMs) - have(member.state)
    const waits = starved ? waitingSinceMs : Infinity
    return { member, waits, spare: starved ? 0 : spare(member.state), lacking }
  })
  ranked.sort(
    (a, b) =>
      compare(a.waits, b.waits) ||
      a.spare - b.spare ||
      b.lacking - a.lacking ||
      (a.member.state.name < b.member.state.name ? -1 : 1),
  )
  return ranked.map(({ member }) => member)
}

function compare(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1
}
