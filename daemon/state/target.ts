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
   * The rows that the target does not hold as they are, found in one look at all of it. A target that has this is asked
   * once a refresh, and only what it answers is carried again; without it every row is.
   */
  differing?(rows: Iterable<T>, signal: AbortSignal): Awaitable<Iterable<T>>
  /**
   * Many rows at once, answering how many of them had to be changed (a refresh counts those as found wrong). When it
   * throws, the rows are carried again in halves, down to those that fail by themselves.
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

/** How rows are carried: what the target is known to hold for a key, and what gives other work of the event loop its turn. */
export interface Carrying<T> {
  readonly previous: ReadonlyMap<string, T>
  readonly turn: () => Promise<void>
  readonly signal: AbortSignal
}

/** Carries rows. Rejects never. */
export function updateAll<T>(target: Target<T>, works: readonly Work<T>[], by: Carrying<T>): Promise<Outcome<T>> {
  const { previous, signal } = by
  const together = target.updateBatch?.bind(target)
  return carry(works, by, {
    one: work => target.update(work.row, previous.get(work.key), signal),
    many:
      together &&
      (some =>
        together(
          some.map(work => work.row),
          some.map(work => previous.get(work.key)),
          signal,
        )),
  })
}

/** Deletes rows: what the target is known to hold of a key, else the row that was to be there. Rejects never. */
export function deleteAll<T>(target: Target<T>, works: readonly Work<T>[], by: Carrying<T>): Promise<Outcome<T>> {
  const held = (work: Work<T>): T => by.previous.get(work.key) ?? work.row
  const together = target.deleteBatch?.bind(target)
  return carry(works, by, {
    one: work => target.delete(held(work), by.signal),
    many: together && (some => together(some.map(held), by.signal)),
  })
}

interface Acts<T> {
  /** Answers whether something had to be changed; nothing means yes. */
  readonly one: (work: Work<T>) => Awaitable<boolean | void>
  /** Answers how many had to be changed; nothing means all. */
  readonly many: ((works: readonly Work<T>[]) => Awaitable<number | void>) | undefined
}

async function carry<T>(works: readonly Work<T>[], by: Carrying<T>, acts: Acts<T>): Promise<Outcome<T>> {
  if (acts.many === undefined || works.length < 2) return await oneByOne(works, by.signal, acts.one)
  try {
    const answer = acts.many(works)
    const changed = (answer instanceof Promise ? await answer : answer) ?? works.length
    return { done: works, failed: [], changed }
  } catch {
    return await inHalves(works, by, acts)
  }
}

/** After a batch has failed: a bad row among n costs about 2 log n batches, and no stretch is longer than one batch. */
async function inHalves<T>(works: readonly Work<T>[], by: Carrying<T>, acts: Acts<T>): Promise<Outcome<T>> {
  const middle = works.length >>> 1
  const parts: Outcome<T>[] = []
  for (const half of [works.slice(0, middle), works.slice(middle)]) {
    await by.turn()
    if (!by.signal.aborted) parts.push(await carry(half, by, acts))
  }
  return {
    done: parts.flatMap(part => part.done),
    failed: parts.flatMap(part => part.failed),
    changed: parts.reduce((sum, part) => sum + part.changed, 0),
  }
}

async function oneByOne<T>(works: readonly Work<T>[], signal: AbortSignal, act: Acts<T>['one']): Promise<Outcome<T>> {
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
