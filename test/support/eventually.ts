/** Waiting for a condition instead of sleeping. */
import { setTimeout as delay } from 'node:timers/promises'

/** Resolves once the condition holds; rejects at the deadline, naming the condition by its source text. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  { timeoutMs = 10_000, pollMs = 10 }: { readonly timeoutMs?: number; readonly pollMs?: number } = {},
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${condition.toString()}`)
    await delay(pollMs)
  }
}
