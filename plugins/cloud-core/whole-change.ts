/** A write of a whole machine, as clouds carry it out: interface by interface. Pure. */
import type { Prefix } from '../../daemon/kernel/kernel.ts'
import type { NicId, Request, WriteCall } from './model.ts'
import { CloudFailure } from './provider.ts'

/** What is to change on one interface. */
export interface NicChange {
  readonly add: readonly Request[]
  readonly remove: readonly Prefix[]
}

export function changesOf({ add, remove }: WriteCall): ReadonlyMap<NicId, NicChange> {
  const changes = new Map<NicId, { readonly add: Request[]; readonly remove: Prefix[] }>()
  const of = (nic: NicId) => {
    const change = changes.get(nic) ?? { add: [], remove: [] }
    changes.set(nic, change)
    return change
  }
  for (const request of add) of(request.nic).add.push(request)
  for (const { nic, block } of remove) of(nic).remove.push(block)
  return changes
}

/** For people. */
export function changeText({ add, remove }: WriteCall): string {
  const added = add.map(({ count, length }) => `${count} of /${length} more`)
  const removed = remove.length === 0 ? [] : [`without ${remove.map(({ block }) => block).join(', ')}`]
  return [...added, ...removed].join(' and ')
}

/** What failed, when something was written before: what the machine has now is to be looked at. */
export function afterWrite(error: unknown, what = 'something was written before'): unknown {
  if (!(error instanceof CloudFailure)) return error
  const { message, retryAfterMs } = error
  return new CloudFailure('ambiguous', `${message}; ${what}`, { retryAfterMs, cause: error })
}

/** What is gone is nothing to whoever looks at all there is. */
export function unlessGone(error: unknown): [] {
  if (error instanceof CloudFailure && error.kind === 'gone') return []
  throw error
}
