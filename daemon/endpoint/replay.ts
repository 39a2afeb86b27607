/** Carries out the DELs that the CNI executable left while no daemon was there. */
import type { EndpointContext } from './context.ts'
import { clearUnfinished, type QueuedDelete, readDeleteQueue, removeFromQueue } from './delete-queue.ts'
import { deleteInTurn } from './delete.ts'
import { attachmentKey } from './key.ts'
import { voidBecause } from './plan-restore.ts'

/**
 * An entry is taken away only when it was carried out or is void; one that fails is logged and left for the next time,
 * and keeps nobody else's from being carried out. Keys are served at once, so that their devices go in one group.
 */
export async function replayQueue(ctx: EndpointContext, queuePath: string, signal: AbortSignal): Promise<void> {
  const deletes = read(ctx, queuePath)
  await Promise.all([...Map.groupBy(deletes, attachmentKey)].map(([key, entries]) => replay(ctx, key, entries, signal)))
}

function read(ctx: EndpointContext, queuePath: string): readonly QueuedDelete[] {
  try {
    clearUnfinished(queuePath)
    const { deletes, unreadable } = readDeleteQueue(queuePath)
    for (const { file, reason } of unreadable) {
      ctx.log.error({ file, reason }, 'a queued DEL holds no DEL and is dropped')
      removeFromQueue(file)
    }
    return deletes
  } catch (error) {
    ctx.log.error({ queuePath, error }, 'queued DELs cannot be read; it will be tried again')
    return []
  }
}

/** The entries of one key, in order. A key that is busy has its turn the next time. */
async function replay(
  ctx: EndpointContext,
  key: string,
  entries: readonly QueuedDelete[],
  signal: AbortSignal,
): Promise<void> {
  if (ctx.locks.busy(key)) return
  try {
    await ctx.locks.run(key, signal, async () => {
      for (const entry of entries) {
        const reason = voidBecause(entry, ctx.kernel.bootId, ctx.held.get(key)?.attachment)
        if (reason === undefined) await deleteInTurn(ctx, key)
        ctx.log.info({ key, voidBecause: reason }, 'queued DEL replayed')
        removeFromQueue(entry.file)
      }
    })
  } catch (error) {
    if (signal.aborted) return
    ctx.log.error({ key, error }, 'a queued DEL could not be carried out; it will be tried again')
  }
}
