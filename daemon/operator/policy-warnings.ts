/** Says of each NetworkPolicy that it is not enforced, on the object itself. */
import { AGAIN_MS, type EventRecorder } from '../cluster/kubernetes/events.ts'
import { RESOURCES } from '../cluster/kubernetes/resources.ts'
import { NOT_ENFORCED } from '../policy/not-enforced.ts'
import { eachChange } from '../state/each-change.ts'
import type { OperatorTables } from './rows.ts'

/** Until the signal aborts. */
export async function warnOfPolicies(
  {
    tables,
    events,
  }: { readonly tables: Pick<OperatorTables, 'policies'>; readonly events: Pick<EventRecorder, 'warn'> },
  signal: AbortSignal,
): Promise<void> {
  const act = async (): Promise<number> => {
    for (const policy of tables.policies)
      await events.warn({ resource: RESOURCES.networkPolicies, ...policy }, 'NotEnforced', NOT_ENFORCED, signal)
    return AGAIN_MS
  }
  await eachChange([tables.policies], act, signal)
}
