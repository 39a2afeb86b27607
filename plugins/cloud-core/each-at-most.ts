/** Results in the order of the items, so many of which are worked on at a time; the first that fails ends it. */
export async function eachAtMost<T, R>(
  count: number,
  items: readonly T[],
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  const queue = items.entries()
  const worker = async (): Promise<void> => {
    for (const [n, item] of queue) results[n] = await work(item)
  }
  await Promise.all(Array.from({ length: Math.min(count, items.length) }, worker))
  return results
}
