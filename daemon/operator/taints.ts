/** Taints of Nodes that are this project's to set and to take off; those of others stay as they are. */
import type { ApiClient } from '../cluster/kubernetes/client.ts'
import { RESOURCES } from '../cluster/kubernetes/resources.ts'

export interface Taint {
  readonly key: string
  readonly effect: 'NoSchedule'
}

interface TaintedNode {
  readonly metadata?: { readonly resourceVersion?: string }
  readonly spec?: { readonly taints?: readonly { readonly key?: string }[] }
}

/**
 * Sets a taint, or takes every one of its key off. A patch of any kind replaces the taints of a node as a whole
 * (`listType=atomic`): those of others are written back as they were read, or not at all. Throws ApiError, of status 409
 * when somebody else has changed the Node meanwhile.
 */
export async function setTaint(
  client: Pick<ApiClient, 'get' | 'patch'>,
  name: string,
  { key, effect }: Taint,
  set: boolean,
  signal: AbortSignal,
): Promise<void> {
  const { metadata, spec } = Object(await client.get(RESOURCES.nodes, { name }, signal)) as TaintedNode
  const others = (spec?.taints ?? []).filter(taint => taint.key !== key)
  const taints = set ? [...others, { key, effect }] : others
  const patch = { metadata: { resourceVersion: metadata?.resourceVersion }, spec: { taints } }
  await client.patch(RESOURCES.nodes, { name, patch }, signal)
}
