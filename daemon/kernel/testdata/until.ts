/** For the tests: waiting for a condition. */
import { setTimeout as sleep } from 'node:timers/promises'

/** Resolves once `condition` holds; rejects with `describe()` when it does not within ten seconds. */
export async function until(condition: () => boolean, describe: () => string): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(describe())
    await sleep(1)
  }
}
