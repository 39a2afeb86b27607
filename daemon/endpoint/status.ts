/** STATUS: whether an ADD could be served now. */
import type { Family } from '../kernel/kernel.ts'
import type { PoolStatus } from '../plugin.ts'
import { AttachmentError } from './errors.ts'

/**
 * Throws `AttachmentError` NOT_AVAILABLE naming what is waited for, or the pool that has no free address, none that will
 * be free once it has cooled down, and none to come.
 */
export function requireAvailable(
  waiting: readonly string[],
  families: readonly Family[],
  pools: readonly PoolStatus[],
): void {
  if (waiting.length > 0) throw new AttachmentError('NOT_AVAILABLE', `waiting for ${waiting.join(', ')}`)
  for (const family of families) {
    const of = pools.filter(pool => pool.family === family)
    if (of.length === 0) throw new AttachmentError('NOT_AVAILABLE', `no pool holds IPv${family} addresses`)
    if (of.every(pool => pool.free + pool.cooling === 0 && pool.more === undefined)) {
      throw new AttachmentError('NOT_AVAILABLE', of.map(exhaustion).join('; '))
    }
  }
}

function exhaustion(pool: PoolStatus): string {
  const { total, used, cooling, excluded } = pool
  const numbers = `${used} of ${total} used, ${cooling} cooling, ${excluded} excluded`
  return `pool ${pool.pool} is out of IPv${pool.family} addresses: ${numbers} (${pool.ranges.join(', ')})`
}
