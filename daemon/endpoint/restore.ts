/** The start of a daemon: carries out `planRestore`, so that pods which outlived the last daemon go on unharmed. */
import type { Lease, Notes } from '../plugin.ts'
import { type Attachment, rowOf } from './attachment.ts'
import type { EndpointContext } from './context.ts'
import { leaveJournal, removeAll } from './delete.ts'
import { planRestore, type RestorePlan } from './plan-restore.ts'
import { rebuildAttachments } from './rebuild.ts'
import { guarded, repairHosts } from './reconcile-endpoints.ts'

interface Taken extends RestorePlan {
  /** Leases that count for the pools only. */
  readonly guesses: readonly Lease[]
}

/**
 * Leases are claimed before anything is released or allocated, rows are written before anything is pruned. Rejects when
 * the kernel cannot be read or a pool refuses a lease; a single leftover that cannot be removed is logged and retried by
 * the periodic reconciliation. `netnsPaths` is asked when the journal cannot say whose devices are whose.
 */
export async function restoreAttachments(ctx: EndpointContext, netnsPaths: () => readonly string[]): Promise<void> {
  const attachments = ctx.journal.entries()
  ctx.ids.last = attachments.reduce((highest, { id }) => Math.max(highest, id), 0)
  const plan = withRebuilt(ctx, netnsPaths, {
    attachments,
    links: ctx.kernel.net.links(),
    netnsAt: path => ctx.kernel.netnsId(path),
  })
  await claim(ctx, plan)
  for (const attachment of plan.keep) ctx.tables.endpoints.put(rowOf(attachment))
  report(ctx, plan)
  for (const { key } of plan.drop) leaveJournal(ctx, key)
  repairHosts(ctx)
  await Promise.all([
    ...plan.remove.map(({ attachment: { key } }) => guarded(ctx, { key }, 'leftover', () => removeAll(ctx, key))),
    ...plan.strays.map(link => guarded(ctx, { device: link.name }, 'stray', () => ctx.reaper.delete(link.index))),
  ])
}

/** Devices nobody answers for are strays, unless the journal that would answer for them is lost. */
function withRebuilt(
  ctx: EndpointContext,
  netnsPaths: () => readonly string[],
  input: Parameters<typeof planRestore>[0],
): Taken {
  const plan = planRestore(input)
  if (ctx.journal.complete || plan.strays.length === 0) return { ...plan, guesses: [] }
  const rebuilt = rebuildAttachments(ctx, plan.strays, netnsPaths())
  const indices = new Set(rebuilt.map(attachment => attachment.device.index))
  for (const attachment of rebuilt) {
    ctx.metrics.found.inc({ what: 'unjournalled' })
    ctx.log.error({ key: attachment.key }, 'a pod is not in the journal and was taken up as the kernel knows it')
    rejournal(ctx, attachment)
  }
  return {
    ...plan,
    keep: [...plan.keep, ...rebuilt],
    strays: plan.strays.filter(link => !indices.has(link.index)),
    // The other pools an address may be from must not give it to anybody either.
    guesses: rebuilt
      .flatMap(attachment => attachment.leases)
      .flatMap(lease =>
        ctx.leases
          .poolsOf(lease.address)
          .slice(1)
          .map(pool => ({ ...lease, pool })),
      ),
  }
}

function rejournal(ctx: EndpointContext, attachment: Attachment): void {
  ctx.journal.add(attachment).catch((error: unknown) => {
    ctx.log.error({ key: attachment.key, error }, 'the journal still lacks a pod')
  })
}

async function claim(ctx: EndpointContext, plan: Taken): Promise<void> {
  for (const attachment of plan.keep) {
    ctx.held.set(attachment.key, { key: attachment.key, leases: [...attachment.leases], attachment })
  }
  for (const { attachment } of plan.remove) {
    ctx.held.set(attachment.key, { key: attachment.key, leases: [...attachment.leases] })
  }
  const leases = [...ctx.held.values()].flatMap(held => held.leases).concat(plan.guesses)
  const now = ctx.now()
  // When a pod went that no daemon saw going is not known.
  const gone = plan.drop.flatMap(attachment => attachment.leases.map(lease => ({ lease, time: now })))
  const released = [...ctx.journal.released(), ...gone].map(({ lease, time }) => ({
    lease,
    agoMs: (now - time) / 1000,
  }))
  const unclaimed = await ctx.leases.restore(leases, released, pool => notesOf(ctx, pool))
  for (const lease of unclaimed) ctx.log.warn({ lease }, 'a living pod holds an address of a pool nobody serves')
}

function notesOf({ journal }: EndpointContext, pool: string): Notes {
  return {
    entries: journal.notes(pool),
    complete: journal.notesComplete,
    write: (key, text) => journal.note({ of: pool, key, ...(text !== undefined && { text }) }),
  }
}

function report(ctx: EndpointContext, plan: RestorePlan): void {
  for (const { attachment, reason } of plan.remove) ctx.log.warn({ key: attachment.key, reason }, 'attachment removed')
  for (const { key } of plan.drop) ctx.log.info({ key }, 'the pod went while no daemon was there')
  for (const { name } of plan.strays) ctx.log.info({ device: name }, 'a device nobody answers for is deleted')
  ctx.log.info({ kept: plan.keep.length, gone: plan.drop.length }, 'attachments restored')
}
