/**
 * Keeps what is remembered and what exists the same while the daemon runs: pods whose namespace went without a DEL,
 * devices nobody answers for, failed removals, host sides somebody changed.
 */
import type { NetEvent } from '../kernel/kernel.ts'
import type { Attachment } from './attachment.ts'
import type { EndpointContext } from './context.ts'
import { removeAll } from './delete.ts'
import { codeOf } from './errors.ts'
import { deviceName } from './key.ts'
import { planRepair } from './plan-repair.ts'
import { isOurs } from './plan-restore.ts'

/** Attachments no operation is working on just now. */
function settledAttachments(ctx: EndpointContext): Attachment[] {
  return [...ctx.held.values()].flatMap(held => (held.attachment && !ctx.locks.busy(held.key) ? [held.attachment] : []))
}

/** Compares everything with the kernel once. Failures are logged and left for the next time. */
export async function reconcileEndpoints(ctx: EndpointContext, signal: AbortSignal): Promise<void> {
  repairHosts(ctx)
  const links = ctx.kernel.net.links()
  const present = new Set(links.map(link => link.index))
  const gone = settledAttachments(ctx).filter(attachment => !present.has(attachment.device.index))
  const broken = [...ctx.held.values()].filter(held => !held.attachment && !ctx.locks.busy(held.key))
  // Names, not indices: a device being made right now belongs to a key that is held already.
  const named = new Set([...ctx.held.keys()].map(deviceName))
  const strays = links.filter(link => isOurs(link) && !named.has(link.name))
  await Promise.all([
    ...gone.map(attachment => dropVanished(ctx, attachment, signal)),
    ...broken.map(held => retryRemoval(ctx, held.key, signal)),
    ...strays.map(link => guarded(ctx, { device: link.name }, 'stray', () => ctx.reaper.delete(link.index))),
  ])
}

/** A link event: a host side that vanished takes its attachment along; after lost events everything is looked at. */
export async function onLinkEvent(ctx: EndpointContext, event: NetEvent, signal: AbortSignal): Promise<void> {
  if (event.kind === 'overrun') return reconcileEndpoints(ctx, signal)
  if (event.kind !== 'link' || !event.gone) return
  const held = [...ctx.held.values()].find(each => each.attachment?.device.index === event.index)
  if (held?.attachment) await dropVanished(ctx, held.attachment, signal)
}

/** Puts links, block bindings, routes and neighbours of living pods right; one send. */
export function repairHosts(ctx: EndpointContext): void {
  const attachments = settledAttachments(ctx)
  if (attachments.length === 0) return
  const { net } = ctx.kernel
  try {
    const have = { links: net.links(), routes: net.routes(), neighbours: net.neighbours(), qdiscs: net.qdiscs() }
    const repairs = planRepair(attachments, have, ctx.blocks())
    for (const { key, what } of repairs) {
      ctx.metrics.found.inc({ what })
      ctx.log.warn({ key, what }, 'a host side was changed from outside and is repaired')
    }
    if (repairs.length > 0) net.run(repairs.flatMap(repair => repair.requests))
  } catch (error) {
    ctx.log.error({ error }, 'host sides could not be repaired; it will be tried again')
  }
}

/** The pod's namespace went without a DEL, and the device with it: what is left is ours to remove. */
async function dropVanished(ctx: EndpointContext, attachment: Attachment, signal: AbortSignal): Promise<void> {
  const { key, device } = attachment
  await guarded(ctx, { key }, 'vanished', () =>
    ctx.locks.run(key, signal, async () => {
      // A DEL, or a DEL and an ADD, may have come first.
      if (ctx.held.get(key)?.attachment?.device.index !== device.index) return
      if (ctx.kernel.net.link(device.index)) return
      ctx.log.info({ key }, 'the pod went without a DEL')
      ctx.metrics.found.inc({ what: 'vanished' })
      await removeAll(ctx, key)
    }),
  )
}

async function retryRemoval(ctx: EndpointContext, key: string, signal: AbortSignal): Promise<void> {
  await guarded(ctx, { key }, 'unfinished', () =>
    ctx.locks.run(key, signal, async () => {
      if (!ctx.held.get(key)?.attachment) await removeAll(ctx, key)
    }),
  )
}

/** A removal that is tried again when it fails. */
export async function guarded(
  ctx: EndpointContext,
  on: object,
  what: string,
  action: () => Promise<void>,
): Promise<void> {
  try {
    await action()
  } catch (error) {
    // A stop ends what waits for its turn.
    if (codeOf(error) === 'STOPPING') return
    ctx.log.error({ ...on, what, error }, 'a leftover could not be removed; it will be tried again')
  }
}
