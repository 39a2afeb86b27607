/** Notices when routes or rules change, so that what somebody flushed is back soon rather than at the next full refresh. */
import type { Net, NetGroup } from '../kernel/kernel.ts'
import { type Clock, systemClock } from '../state/clock.ts'

export interface Watched {
  readonly groups: readonly NetGroup[]
  /** Events within this time after the first are one. Milliseconds. */
  readonly gatherMs: number
}

const ROUTES: Watched = { groups: ['route4', 'route6'], gatherMs: 500 }

/** Calls back for route events, gathered, until the signal aborts; the callback finds out what changed, if anything. */
export async function watchRoutes(
  net: Pick<Net, 'watch'>,
  onChange: () => void,
  signal: AbortSignal,
  clock: Clock = systemClock,
): Promise<void> {
  await watchNet(net, ROUTES, onChange, signal, clock)
}

/** The same for other events. */
export async function watchNet(
  net: Pick<Net, 'watch'>,
  { groups, gatherMs }: Watched,
  onChange: () => void,
  signal: AbortSignal,
  clock: Clock = systemClock,
): Promise<void> {
  let cancel: (() => void) | undefined
  const onEvent = (): void => {
    cancel ??= clock.after(gatherMs, () => {
      cancel = undefined
      onChange()
    })
  }
  using _watch = net.watch(groups, onEvent)
  await new Promise<void>(resolve => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
  cancel?.()
}
