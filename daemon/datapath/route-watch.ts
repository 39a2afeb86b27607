/** Notices when routes change, so that what somebody flushed is back soon rather than at the next full refresh. */
import type { Net } from '../kernel/kernel.ts'

/** Events within this time are one. Milliseconds. */
const QUIET_MS = 500

/** Calls back after each burst of route events until the signal aborts; the callback finds out what changed, if anything. */
export async function watchRoutes(net: Net, onChange: () => void, signal: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const onEvent = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined
      onChange()
    }, QUIET_MS)
  }
  using _watch = net.watch(['route4', 'route6'], onEvent)
  await new Promise<void>(resolve => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
  clearTimeout(timer)
}
