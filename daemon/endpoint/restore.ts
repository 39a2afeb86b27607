/** The start of a daemon: carries out `planRestore`, so that pods which outlived the last daemon go on unharmed. */
import { rowOf } from './attachment.ts'
import type { EndpointContext } from './context.ts'
import { clearUnfinished, readDeleteQueue, removeFromQueue } from './delete-queue.ts'
import { deleteAttachment, removeAll } from './delete.ts'
import { attachmentKey } from './key.ts'
import { planRestore, type RestorePlan, voidBecause } from './plan-restore.ts'
import { repairHosts } from './reconcile-endpoints.ts'

/** Bound of one queued DEL. */
const REPLAY_MS = 60_000

/**
 * Leases are claimed before anything is released or allocated, rows are written before anything is pruned. Rejects when
 * the kernel cannot be read or a pool refuses a lease; a single leftover that cannot be removed is logged and retried by
 * the periodic reconciliation.
 */
export async function restoreAttachments(ctx: EndpointContext, queuePath: string): Promise<void> {
  const plan = planRestore({
    attachments: ctx.journal.entries(),
    links: ctx.kernel.net.links(),
    netnsAt: path => ctx.kernel.netnsId(path),
  })
  await claim(ctx, plan)
  for (const attachment of plan.keep) ctx.tables.endpoints.put(rowOf(attachment))
  report(ctx, plan)
  for (const { key } of plan.drop) forgetInJournal(ctx, key)
  repairHosts(ctx)
  await Promise.all([...plan.remove.map(r => removeLeftover(ctx, r.attachment.key)), ...removeStrays(ctx, plan)])
  await replayQueue(ctx, queuePath).catch((error: unknown) => {
    ctx.log.error({ err: error }, 'a queued DEL could not be carried out; it will be tried again')
  })
}

async function claim(ctx: EndpointContext, plan: RestorePlan): Promise<void> {
  for (const attachment of plan.keep) {
    ctx.held.set(attachment.key, { key: attachment.key, leases: [...attachment.leases], attachment })
  }
  for (const { attachment } of plan.remove) {
    ctx.held.set(attachment.key, { key: attachment.key, leases: [...attachment.leases] })
  }
  const unclaimed = await ctx.leases.restore([...ctx.held.values()].flatMap(held => held.leases))
  for (const lease of unclaimed) ctx.log.warn({ lease }, 'a living pod holds an address of a pool nobody serves')
}

/** Carries out DELs left by the CNI executable; an entry is taken away only when it was carried out or is void. */
export async function replayQueue(ctx: EndpointContext, queuePath: string): Promise<void> {
  clearUnfinished(queuePath)
  const { deletes, unreadable } = readDeleteQueue(queuePath)
  for (const { file, reason } of unreadable) {
    ctx.log.error({ file, reason }, 'a queued DEL cannot be read and is dropped')
    removeFromQueue(file)
  }
  for (const entry of deletes) {
    const key = attachmentKey(entry)
    const reason = voidBecause(entry, ctx.kernel.bootId, ctx.held.get(key)?.attachment)
    if (reason === undefined) await deleteAttachment(ctx, key, AbortSignal.timeout(REPLAY_MS))
    ctx.log.info({ key, voidBecause: reason }, 'queued DEL replayed')
    removeFromQueue(entry.file)
  }
}

function removeStrays(ctx: EndpointContext, plan: RestorePlan): Promise<void>[] {
  return plan.strays.map(async link => {
    try {
      await ctx.reaper.delete(link.index)
    } catch (error) {
      ctx.log.error({ device: link.name, err: error }, 'a device nobody answers for could not be deleted')
    }
  })
}

async function removeLeftover(ctx: EndpointContext, key: string): Promise<void> {
  try {
    await removeAll(ctx, key)
  } catch (error) {
    ctx.log.error({ key, err: error }, 'a leftover could not be removed; it will be tried again')
  }
}

function forgetInJournal(ctx: EndpointContext, key: string): void {
  try {
    ctx.journal.remove(key)
  } catch (error) {
    ctx.log.warn({ key, err: error }, 'the journal still names an attachment that is gone')
  }
}

function report(ctx: EndpointContext, plan: RestorePlan): void {
  for (const { attachment, reason } of plan.remove) ctx.log.warn({ key: attachment.key, reason }, 'attachment removed')
  for (const { key } of plan.drop) ctx.log.info({ key }, 'the pod went while no daemon was there')
  for (const { name } of plan.strays) ctx.log.info({ device: name }, 'a device nobody answers for is deleted')
  ctx.log.info({ kept: plan.keep.length, gone: plan.drop.length }, 'attachments restored')
}
