/** Where a reconciler carries rows, and carrying many of them so that the failure of one does not stop the others. */
import type { ReadonlyTable } from './table.ts'
import type { Work } from './work.ts'

type Awaitable<T> = T | Promise<T>

/**
 * A target. All calls are idempotent, come one after another, and bound their own waits; a synchronous answer is the
 * quickest. After a thrown error the same row is tried again until the row changes.
 */
export interface Target<T> {
  /**
   * Brings about one row; `previous` is what was carried for the same key before, so that parts it no longer names can
   * go. Answers whether anything had to be changed, which in a refresh counts as found wrong.
   */
  update(row: T, previous: T | undefined, signal: AbortSignal): Awaitable<boolean>
  /** Removes one row, but nothing that another row of the table owns by now. Deleting the absent succeeds. */
  delete(row: T, signal: AbortSignal): Awaitable<void>
  /**
   * Removes what the target holds and the table lacks, and answers how many that were. Called once the table is
   * initialized, and at each refresh; `desired` is the table itself, so that rows written meanwhile are seen.
   */
  prune(desired: ReadonlyTable<T>, signal: AbortSignal): Awaitable<number>
  /**
   * Many rows at once, answering how many of them had to be changed (a refresh counts those as found wrong); when it
   * throws, the rows are carried one by one.
   */
  updateBatch?(rows: readonly T[], previous: readonly (T | undefined)[], signal: AbortSignal): Awaitable<number>
  deleteBatch?(rows: readonly T[], signal: AbortSignal): Awaitable<void>
}

/** What became of some pieces of work. */
export interface Outcome<T> {
  readonly done: readonly Work<T>[]
  readonly failed: readonly { readonly work: Work<T>; readonly error: unknown }[]
  /** Rows for which the target had to be changed. */
  readonly changed: number
}

/** Carries rows; `previous` says what the target is known to hold for a key. Rejects never. */
export async function updateAll<T>(
  target: Target<T>,
  works: readonly Work<T>[],
  previous: ReadonlyMap<string, T>,
  signal: AbortSignal,
): Promise<Outcome<T>> {
  if (target.updateBatch && works.length > 1) {
    const rows = works.map(work => work.row)
    const before = works.map(work => previous.get(work.key))
    try {
      return { done: works, failed: [], changed: await target.updateBatch(rows, before, signal) }
    } catch {
      // One by one below, so that each failure is known by its row.
    }
  }
  return oneByOne(works, signal, work => target.update(work.row, previous.get(work.key), signal))
}

/** Deletes rows: what the target is known to hold of a key, else the row that was to be there. Rejects never. */
export async function deleteAll<T>(
  target: Target<T>,
  works: readonly Work<T>[],
  previous: ReadonlyMap<string, T>,
  signal: AbortSignal,
): Promise<Outcome<T>> {
  const held = (work: Work<T>): T => previous.get(work.key) ?? work.row
  if (target.deleteBatch && works.length > 1) {
    try {
      await target.deleteBatch(works.map(held), signal)
      return { done: works, failed: [], changed: works.length }
    } catch {
      // One by one below, so that each failure is known by its row.
    }
  }
  return oneByOne(works, signal, work => target.delete(held(work), signal))
}

async function oneByOne<T>(
  works: readonly Work<T>[],
  signal: AbortSignal,
  act: (work: Work<T>) => Awaitable<boolean | void>,
): Promise<Outcome<T>> {
  const done: Work<T>[] = []
  const failed: { work: Work<T>; error: unknown }[] = []
  let changed = 0
  for (const work of works) {
    if (signal.aborted) break
    try {
      const answer = act(work)
      if ((answer instanceof Promise ? await answer : answer) !== false) changed++
      done.push(work)
    } catch (error) {
      failed.push({ work, error })
    }
  }
  return { done, failed, changed }
}
