/** Takes the marks off nodes whose network is there: the taint, and the condition that keeps pods away. */
import { Backoff } from '../cluster/kubernetes/backoff.ts'
import type { ApiClient } from '../cluster/kubernetes/client.ts'
import { RESOURCES } from '../cluster/kubernetes/resources.ts'
import { messageOf } from '../errors.ts'
import type { Logger } from '../plugin.ts'
import type { Clock } from '../state/clock.ts'
import { eachChange } from '../state/each-change.ts'
import { mapAtOnce } from '../state/map-at-once.ts'
import { NETWORK_UNAVAILABLE, NOT_READY_TAINT } from './parse.ts'
import type { ClusterNodeRow, NodeNetworkRow, OperatorTables } from './rows.ts'
import { setTaint } from './taints.ts'

export interface NodeReadinessOptions {
  readonly client: Pick<ApiClient, 'get' | 'patch'>
  readonly tables: Pick<OperatorTables, 'nodes' | 'networks'>
  readonly log: Logger
  readonly clock: Clock
}

const AT_ONCE = 16

/** Until the signal aborts. */
export async function markReadyNodes(options: NodeReadinessOptions, signal: AbortSignal): Promise<void> {
  const { nodes, networks } = options.tables
  const backoff = new Backoff(Math.random)
  let failures: ReadonlySet<string> = new Set()
  const act = async (): Promise<number | undefined> => {
    const marked = [...nodes].filter(node => isMarked(node) && isReady(node, networks.get(node.name)))
    const cleared = await mapAtOnce(marked, AT_ONCE, node => clear(node, options, signal))
    const before = failures
    failures = new Set(cleared.filter(failure => failure !== undefined))
    for (const failure of failures)
      if (!before.has(failure)) options.log.warn({ failure }, 'a node could not be marked as ready')
    if (failures.size > 0) return backoff.next()
    backoff.succeeded()
    return undefined
  }
  await eachChange([nodes, networks], act, signal, options.clock)
}

function isMarked({ tainted, networkUnavailable }: ClusterNodeRow): boolean {
  return tainted || networkUnavailable !== 'False'
}

/**
 * Its daemon says so, in this life of the node: a node that was deleted and made anew, or has started again since, may
 * still have the word of the daemon before.
 */
export function isReady(node: ClusterNodeRow, network: NodeNetworkRow | undefined): boolean {
  if (network === undefined || !network.ready || network.nodeUid !== node.uid) return false
  return node.bootId === '' || network.bootId === node.bootId
}

/** Why the API server did not take it; undefined when it has. */
async function clear(
  { name, tainted, networkUnavailable }: ClusterNodeRow,
  { client, log }: NodeReadinessOptions,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { nodes } = RESOURCES
  try {
    if (networkUnavailable !== 'False') {
      const patch = { status: { conditions: [networkAvailable()] } }
      await client.patch(nodes, { name, subresource: 'status', type: 'strategic', patch }, signal)
    }
    if (tainted) await setTaint(client, name, { key: NOT_READY_TAINT, effect: 'NoSchedule' }, false, signal)
    log.info({ node: name }, 'the network of a node is ready')
    return undefined
  } catch (error) {
    signal.throwIfAborted()
    return `Node ${name}: ${messageOf(error)}`
  }
}

function networkAvailable(): object {
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z')
  return {
    type: NETWORK_UNAVAILABLE,
    status: 'False',
    reason: 'CausewayIsReady',
    message: 'the daemon of the node says that pods can be started',
    lastHeartbeatTime: now,
    lastTransitionTime: now,
  }
}
