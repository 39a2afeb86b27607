/**
 * What the scheduler goes by: how many addresses of the cloud a node can give, as an extended resource that pods may
 * request, and where it is configured a taint while a node has none left. Both are taken back where no cloud gives
 * addresses any more.
 */
import { Backoff } from '../../cluster/kubernetes/backoff.ts'
import type { ApiClient } from '../../cluster/kubernetes/client.ts'
import { RESOURCES } from '../../cluster/kubernetes/resources.ts'
import { messageOf } from '../../errors.ts'
import type { Logger } from '../../plugin.ts'
import type { Clock } from '../../state/clock.ts'
import { eachChange } from '../../state/each-change.ts'
import { mapAtOnce } from '../../state/map-at-once.ts'
import type { Nudge } from '../../state/nudge.ts'
import { ADDRESSES_RESOURCE, NO_ADDRESSES_TAINT } from '../parse.ts'
import type { ClusterNodeRow, OperatorTables } from '../rows.ts'
import { setTaint } from '../taints.ts'

export interface NodeMarks {
  /** Undefined: the node shall have no such resource. */
  readonly capacity: number | undefined
  /** Nothing is left for a pod that comes, and nothing comes. */
  readonly exhausted: boolean
}

/** Of a node that has no addresses of a cloud. */
export const NO_MARKS: NodeMarks = { capacity: undefined, exhausted: false }

export interface NodeMarksOptions {
  readonly client: Pick<ApiClient, 'get' | 'patch'>
  readonly tables: Pick<OperatorTables, 'nodes'>
  /** Undefined while it is not known: the node keeps what it has. */
  readonly marks: (name: string) => NodeMarks | undefined
  readonly changed: readonly Pick<Nudge, 'changed'>[]
  /** Nodes without addresses are tainted. */
  readonly taint: boolean
  readonly log: Logger
  readonly clock: Clock
}

const AT_ONCE = 16
/** A kubelet that starts again sets extended resources to 0, and writes its Node about as often as this. */
const REST_MS = 1000

/** Until the signal aborts. */
export async function markNodes(options: NodeMarksOptions, signal: AbortSignal): Promise<void> {
  const { tables, changed, clock, log } = options
  const backoff = new Backoff(Math.random)
  let failures: ReadonlySet<string> = new Set()
  const act = async (): Promise<number | undefined> => {
    const due = [...tables.nodes].flatMap(node => dueOf(node, options) ?? [])
    const results = await mapAtOnce(due, AT_ONCE, each => mark(each, options, signal))
    const before = failures
    failures = new Set(results.filter(failure => failure !== undefined))
    for (const failure of failures)
      if (!before.has(failure)) log.warn({ failure }, 'a node could not be marked with its addresses')
    if (failures.size > 0) return backoff.next()
    backoff.succeeded()
    return due.length > 0 ? REST_MS : undefined
  }
  await eachChange([tables.nodes, ...changed], act, signal, clock)
}

interface Due {
  readonly node: ClusterNodeRow
  /** Null takes it away; undefined leaves it. */
  readonly capacity: string | null | undefined
  readonly taint: boolean | undefined
}

function dueOf(node: ClusterNodeRow, { marks, taint }: NodeMarksOptions): Due | undefined {
  const wanted = marks(node.name)
  if (wanted === undefined) return undefined
  const text = wanted.capacity === undefined ? '' : `${wanted.capacity}`
  const tainted = taint && wanted.exhausted
  const capacity = text === node.addressCapacity ? undefined : text === '' ? null : text
  const change = tainted === node.withoutAddresses ? undefined : tainted
  return capacity === undefined && change === undefined ? undefined : { node, capacity, taint: change }
}

/** Why the API server did not take it; undefined when it has. */
async function mark(
  { node: { name }, capacity, taint }: Due,
  { client, log }: NodeMarksOptions,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    if (capacity !== undefined) {
      // kubelet makes `allocatable` of `capacity` when it writes next; until then it would lag behind.
      const patch = {
        status: { capacity: { [ADDRESSES_RESOURCE]: capacity }, allocatable: { [ADDRESSES_RESOURCE]: capacity } },
      }
      await client.patch(RESOURCES.nodes, { name, subresource: 'status', patch }, signal)
    }
    if (taint !== undefined) {
      await setTaint(client, name, { key: NO_ADDRESSES_TAINT, effect: 'NoSchedule' }, taint, signal)
      log.info(
        { node: name },
        taint ? 'a node without addresses was tainted' : 'a node has addresses again: its taint is off',
      )
    }
    return undefined
  } catch (error) {
    signal.throwIfAborted()
    return `Node ${name}: ${messageOf(error)}`
  }
}
