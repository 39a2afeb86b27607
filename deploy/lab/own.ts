/** A lab of one process: nobody else builds or removes a lab of that name meanwhile. */
import { removeFolder, takeDown } from './down.ts'
import { type LabLayout, labLayout } from './layout.ts'
import { lockLab } from './lock.ts'

export interface OwnLab extends AsyncDisposable {
  readonly layout: LabLayout
}

/**
 * Waits until nobody holds the name, and removes what a lab of that name left. Disposing of it removes what was built
 * since, and lets the name go; it goes, too, when this process ends.
 */
export async function ownLab(name: string, signal: AbortSignal): Promise<OwnLab> {
  const layout = labLayout(name)
  await using stack = new AsyncDisposableStack()
  stack.use(await lockLab(layout.lock, signal))
  await takeDown(layout)
  stack.defer(async () => {
    await takeDown(layout)
    removeFolder(layout)
  })
  const owned = stack.move()
  return { layout, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** Removes a lab, whole or half-built. Repeating it is fine. */
export async function removeLab(name: string, signal: AbortSignal): Promise<void> {
  await using _lab = await ownLab(name, signal)
}
