/**
 * Taking a pod's interface away: DEL, the undo of a failed ADD, and what reconciliation finds left over. The order keeps
 * an address from being given to another pod while anything still answers for it: datapath, device, journal, address.
 */
import { abortable } from '../abort.ts'
import type { EndpointContext, Held } from './context.ts'
import { AttachmentError, kernelError } from './errors.ts'
import { deviceName } from './key.ts'
import { Progress } from './metrics.ts'

/** How long the datapath, the kernel and the IPAM may each take before DEL asks the runtime to try again. */
const PATIENCE_MS = 10_000

/**
 * DEL: ends an ADD of the key that is still under way, then removes everything the key holds. Idempotent; an unknown key
 * and a namespace that is gone are success. Throws when something could not be removed, which is then still held.
 */
export async function deleteAttachment(ctx: EndpointContext, key: string, signal: AbortSignal): Promise<void> {
  ctx.locks.interrupt(key, new AttachmentError('CANCELLED', `ADD of ${key} was ended by its DEL`))
  await ctx.locks.run(key, signal, () => deleteInTurn(ctx, key))
}

/** The same for a caller that has the key's turn. */
export async function deleteInTurn(ctx: EndpointContext, key: string): Promise<void> {
  const progress = new Progress(ctx.metrics.step, ctx.fault)
  progress.passed('del.begin')
  await removeAll(ctx, key, progress)
}

/**
 * Everything the key holds, from memory, kernel and journal alike. The caller has the key's turn. Once begun it is no
 * attachment any more, also when it fails: the periodic reconciliation goes on with it.
 */
export async function removeAll(ctx: EndpointContext, key: string, progress?: Progress): Promise<void> {
  const held: Held = { key, leases: ctx.held.get(key)?.leases ?? [] }
  ctx.held.set(key, held)
  await forget(ctx, key)
  progress?.passed('del.row')
  await removeDevice(ctx, key)
  progress?.passed('del.device')
  leaveJournal(ctx, key)
  progress?.passed('del.journal')
  await releaseAll(ctx, held)
  ctx.held.delete(key)
  progress?.passed('del.address')
}

/** Waits also when the row is gone already: an earlier attempt may have given up waiting. */
async function forget(ctx: EndpointContext, key: string): Promise<void> {
  const { endpoints } = ctx.tables
  const revision = endpoints.get(key) ? endpoints.delete(key) : endpoints.revision
  try {
    await ctx.settled(key, revision, AbortSignal.timeout(PATIENCE_MS))
  } catch (error) {
    throw new AttachmentError('NOT_SETTLED', `remove ${key} from the datapath`, { cause: error })
  }
}

async function removeDevice(ctx: EndpointContext, key: string): Promise<void> {
  const name = deviceName(key)
  try {
    const link = ctx.kernel.net.link(name)
    if (link) await abortable(ctx.reaper.delete(link.index), AbortSignal.timeout(PATIENCE_MS))
  } catch (error) {
    throw kernelError(`delete device ${name} of ${key}`, error)
  }
}

/** A disk that takes no writes does not keep an address: at the next start an entry without its device is dropped. */
export function leaveJournal(ctx: EndpointContext, key: string): void {
  try {
    ctx.journal.remove(key)
  } catch (error) {
    ctx.log.warn({ key, error }, 'the journal still names an attachment that is gone')
  }
}

async function releaseAll(ctx: EndpointContext, held: Held): Promise<void> {
  const signal = AbortSignal.timeout(PATIENCE_MS)
  held.leases = [...held.leases, ...(await ctx.leases.late(held.key, signal))]
  for (const lease of held.leases) {
    await ctx.leases.release(lease, signal)
    held.leases = held.leases.filter(other => other !== lease)
  }
}
