/** Who is served first when not all can be: those with pods that wait, the longest wait first; then who has least to spare. Pure. */
import type { NodeState } from './node-state.ts'
import { have, spare, target } from './target.ts'

/** How much a node needs something, by which thousands are compared. */
export interface Need {
  readonly name: string
  /** Since when pods have waited that nothing is on the way for; Infinity when there are none. */
  readonly sinceMs: number
  readonly spare: number
  readonly lacking: number
}

export function needOf(state: NodeState, refillMs: number, nowMs: number): Need {
  const { name, waitingSinceMs } = state
  const left = spare(state)
  const starved = waitingSinceMs !== undefined && left < 0
  const lacking = target(state, refillMs, nowMs) - have(state)
  return { name, sinceMs: starved ? waitingSinceMs : Infinity, spare: starved ? 0 : left, lacking }
}

/** The neediest first; no further than it is asked for, for a budget mostly ends soon. The list is used up. */
export function* byNeed<T extends { readonly need: Need }>(members: T[]): Generator<T> {
  const heap = members
  for (let at = (heap.length >> 1) - 1; at >= 0; at--) sink(heap, at)
  for (let first = heap[0]; first !== undefined; first = heap[0]) {
    yield first
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    heap[0] = last
    sink(heap, 0)
  }
}

/** Brings a binary heap in order that is so but for this place. */
function sink<T extends { readonly need: Need }>(heap: T[], from: number): void {
  const moved = heap[from]
  if (moved === undefined) return
  let at = from
  for (;;) {
    let below = 2 * at + 1
    const [left, right] = [heap[below], heap[below + 1]]
    if (left === undefined) break
    if (right !== undefined && compare(right.need, left.need) < 0) below++
    const lesser = heap[below]
    if (lesser === undefined || compare(moved.need, lesser.need) <= 0) break
    heap[at] = lesser
    at = below
  }
  heap[at] = moved
}

function compare(a: Need, b: Need): number {
  if (a.sinceMs !== b.sinceMs) return a.sinceMs < b.sinceMs ? -1 : 1
  return a.spare - b.spare || b.lacking - a.lacking || (a.name < b.name ? -1 : 1)
}
