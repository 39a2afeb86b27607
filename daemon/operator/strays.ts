/**
 * NodeNetworks whose Node is not the one that they say they are of: it is gone, was made anew under its name, or is not
 * said at all. Kubernetes' garbage collector takes most of them away as soon as their owner is gone; this is for those
 * that it does not see, and decides which pods' addresses still count.
 */
import { ApiError } from '../cluster/kubernetes/api-error.ts'
import type { ApiClient } from '../cluster/kubernetes/client.ts'
import { apiVersionOf, RESOURCES } from '../cluster/kubernetes/resources.ts'
import { messageOf } from '../errors.ts'
import type { Logger } from '../plugin.ts'
import type { Clock } from '../state/clock.ts'
import { eachChange } from '../state/each-change.ts'
import type { ClusterNodeRow, NodeNetworkRow, OperatorTables } from './rows.ts'

/** A Node that is gone for so long does not come back with its pods. */
export const GONE_MS = 10 * 60_000
const RETRY_MS = 2000

/** Whether a NodeNetwork is of this Node, and not of another one that had its name. */
export function isOfLife(network: NodeNetworkRow, node: ClusterNodeRow): boolean {
  // Made before the Node was: nobody makes one for a Node that is to come.
  if (network.nodeUid === '') return network.created >= node.created || node.created === ''
  return network.nodeUid === node.uid
}

export type StrayAct =
  /** It becomes the Node's. */
  | { readonly act: 'own'; readonly network: NodeNetworkRow; readonly node: ClusterNodeRow; readonly why: string }
  /** `node`: the one that has its name now; undefined when there is none. */
  | { readonly act: 'delete'; readonly network: NodeNetworkRow; readonly node?: ClusterNodeRow; readonly why: string }

/** What is to be done about which. `goneMs` says for how long a NodeNetwork has had no Node. Pure. */
export function strayActs(
  nodes: { get(name: string): ClusterNodeRow | undefined },
  networks: Iterable<NodeNetworkRow>,
  goneMs: (network: NodeNetworkRow) => number,
): readonly StrayAct[] {
  return [...networks].flatMap((network): StrayAct | [] => {
    const node = nodes.get(network.name)
    if (node === undefined)
      return goneMs(network) < GONE_MS ? [] : { act: 'delete', network, why: 'its Node has been gone for 10 minutes' }
    if (network.nodeUid === node.uid) return []
    if (network.nodeUid === '' && isOfLife(network, node))
      return { act: 'own', network, node, why: 'its owner reference was missing' }
    // The kubelet says so when it registers the node.
    if (node.bootId === '') return []
    // Pods do not outlive the kernel that they were started on; until then they keep their addresses.
    if (network.bootId === node.bootId)
      return { act: 'own', network, node, why: 'its Node was made anew while the machine ran on' }
    return { act: 'delete', network, node, why: 'it is of another Node that had the name' }
  })
}

export interface StraysOptions {
  readonly client: Pick<ApiClient, 'get' | 'patch' | 'delete'>
  readonly tables: Pick<OperatorTables, 'nodes' | 'networks'>
  readonly log: Logger
  readonly clock: Clock
}

export class Strays {
  readonly #options: StraysOptions
  /** Since when NodeNetworks have no Node, by their uid. */
  readonly #goneSince = new Map<string, number>()

  constructor(options: StraysOptions) {
    this.#options = options
  }

  /** Until the signal aborts. Both tables must hold the whole cluster. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, tables } = this.#options
    await eachChange([tables.nodes, tables.networks], () => this.act(signal), signal, clock)
  }

  /** Does what is due; how long until there is more, if there is. */
  async act(signal: AbortSignal): Promise<number | undefined> {
    const { nodes, networks } = this.#options.tables
    this.#note()
    let failed = false
    for (const act of strayActs(nodes, networks, network => this.#goneMs(network)))
      if (!(await this.#do(act, signal))) failed = true
    if (failed) return RETRY_MS
    const left = [...this.#goneSince.values()].map(since => since + GONE_MS - this.#options.clock.now())
    return left.length === 0 ? undefined : Math.max(RETRY_MS, Math.min(...left))
  }

  #note(): void {
    const { clock, tables } = this.#options
    const alone = [...tables.networks].filter(({ name }) => tables.nodes.get(name) === undefined)
    const uids = new Set(alone.map(({ uid }) => uid))
    for (const uid of this.#goneSince.keys()) if (!uids.has(uid)) this.#goneSince.delete(uid)
    for (const uid of uids) if (!this.#goneSince.has(uid)) this.#goneSince.set(uid, clock.now())
  }

  #goneMs({ uid }: NodeNetworkRow): number {
    return this.#options.clock.now() - (this.#goneSince.get(uid) ?? this.#options.clock.now())
  }

  /** False when it must be tried again. */
  async #do(stray: StrayAct, signal: AbortSignal): Promise<boolean> {
    const { client, log } = this.#options
    const { network, node, act, why } = stray
    const about = { node: network.name, podCidrs: network.podCidrs.join(', '), why }
    try {
      // What is watched may be late: the server has the last word on whether there is a Node.
      if ((await nodeUid(client, network.name, signal)) !== node?.uid) return false
      if (act === 'own') await own(client, network, stray.node, signal)
      else await client.delete(RESOURCES.nodeNetworks, { name: network.name, uid: network.uid }, signal)
      log.warn(about, act === 'own' ? 'a NodeNetwork was given its owner' : 'a NodeNetwork was deleted')
      return true
    } catch (error) {
      signal.throwIfAborted()
      log.warn({ ...about, error: messageOf(error) }, 'a NodeNetwork without its Node could not be seen to')
      return false
    }
  }
}

/** Undefined when there is no such Node. */
async function nodeUid(client: Pick<ApiClient, 'get'>, name: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const { metadata } = Object(await client.get(RESOURCES.nodes, { name }, signal)) as OwnedObject
    return metadata?.uid ?? ''
  } catch (error) {
    if (error instanceof ApiError && error.missing) return undefined
    throw error
  }
}

interface OwnedObject {
  readonly metadata?: {
    readonly uid?: string
    readonly resourceVersion?: string
    readonly ownerReferences?: readonly { readonly kind?: string; readonly uid?: string }[]
  }
}

/** Other owners stay. A patch replaces the list as a whole, so the object must be as it was read. */
async function own(
  client: Pick<ApiClient, 'get' | 'patch'>,
  { name, uid }: NodeNetworkRow,
  node: ClusterNodeRow,
  signal: AbortSignal,
): Promise<void> {
  const { metadata } = Object(await client.get(RESOURCES.nodeNetworks, { name }, signal)) as OwnedObject
  const others = (metadata?.ownerReferences ?? []).filter(({ kind }) => kind !== RESOURCES.nodes.kind)
  const { resourceVersion } = metadata ?? {}
  const ownerReferences = [...others, ownerReference(node)]
  await client.patch(
    RESOURCES.nodeNetworks,
    { name, patch: { metadata: { uid, resourceVersion, ownerReferences } } },
    signal,
  )
}

/** Of what goes when the Node does. */
export function ownerReference({ name, uid }: Pick<ClusterNodeRow, 'name' | 'uid'>): object {
  const { nodes } = RESOURCES
  return { apiVersion: apiVersionOf(nodes), kind: nodes.kind, name, uid }
}
