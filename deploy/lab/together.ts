/** Work that is done side by side by whoever cleans up after a failure. */

/** As Promise.all, but it rejects, with what failed first in order, only once all have ended: then nothing is being made any more. */
export async function together<T>(work: Iterable<Promise<T>>): Promise<T[]> {
  const ended = await Promise.allSettled(work)
  const failed = ended.find(outcome => outcome.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return ended.flatMap(outcome => (outcome.status === 'fulfilled' ? [outcome.value] : []))
}
