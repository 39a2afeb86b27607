/** GC: removes the attachments of a network that the runtime does not name. */
import type { EndpointContext } from './context.ts'
import { deleteAttachment } from './delete.ts'
import { AttachmentError } from './errors.ts'
import { attachmentKey } from './key.ts'
import { reconcileEndpoints } from './reconcile-endpoints.ts'

export interface GcRequest {
  readonly network: string
  readonly validAttachments: readonly { readonly containerId: string; readonly ifName: string }[]
}

/**
 * Goes on past failures and throws `AttachmentError` GC_INCOMPLETE with all of them. An ADD that is under way is not an
 * attachment yet and is left alone, although the runtime is to keep ADD and GC apart (CNI spec, "GC").
 */
export async function collectGarbage(ctx: EndpointContext, request: GcRequest, signal: AbortSignal): Promise<void> {
  const { network } = request
  const valid = new Set(request.validAttachments.map(each => attachmentKey({ network, ...each })))
  const stale = [...ctx.held.values()].filter(
    held => held.attachment && held.key.startsWith(`${network}/`) && !valid.has(held.key),
  )
  const results = await Promise.allSettled(stale.map(({ key }) => deleteAttachment(ctx, key, signal)))
  const errors = results.flatMap(result => (result.status === 'rejected' ? [result.reason as unknown] : []))
  ctx.log.info({ network, removed: stale.length - errors.length, failed: errors.length }, 'garbage collected')
  await reconcileEndpoints(ctx, signal)
  if (errors.length === 0) return
  const cause = new AggregateError(errors, `${errors.length} of ${stale.length} attachments`)
  throw new AttachmentError('GC_INCOMPLETE', `GC of ${network} left attachments behind`, { cause })
}
