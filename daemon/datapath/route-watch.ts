/** Notices when routes change, so that what somebody flushed is back soon rather than at the next full refresh. */
import type { Net } from '../kernel/kernel.ts'
import { type Clock, systemClock } from '../state/clock.ts'

/** Events within this time after the first are one. Milliseconds. */
const GATHER_MS = 500

/** Calls back for route events, gathered, until the signal aborts; the callback finds out what changed, if anything. */
export async function watchRoutes(
  net: Pick<Net, 'watch'>,
  onChange: () => void,
  signal: AbortSignal,
  clock: Clock = systemClock,
): Promise<void> {
  let cancel: (() => void) | undefined
  const onEvent = (): void => {
    cancel ??= clock.after(GATHER_MS, () => {
      cancel = undefined
      onChange()
    })
  }
  using _watch = net.watch(['route4', 'route6'], onEvent)
  await new Promise<void>(resolve => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
  cancel?.()
}
