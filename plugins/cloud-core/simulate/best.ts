/**
 * The least that a burst can wait whatever the algorithm: each node that runs out needs at least one call, a call brings all
 * that its node will ever need, and calls are granted by the cloud's bucket alone, to whoever's pods would wait longest.
 */
import type { Rate } from '../provider.ts'

/** `runOutMs`: when each node's first pod without an address comes; `comes`: when all of those come, node by node. */
export function bestWaits(comes: readonly (readonly number[])[], { burst, perSecond }: Rate, callMs: number): number[] {
  const nodes = comes.filter(times => times.length > 0).toSorted((a, b) => (a[0] ?? 0) - (b[0] ?? 0))
  const waits: number[] = []
  nodes.forEach((times, n) => {
    // The nth call can be made when so many tokens have flowed in, and helps from its answer on.
    const grantedMs = n < burst ? 0 : ((n + 1 - burst) * 1000) / perSecond
    for (const atMs of times) waits.push(Math.max(0, grantedMs + callMs - atMs))
  })
  return waits.sort((a, b) => a - b)
}
