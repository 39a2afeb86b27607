/** A node as the daemon sees it: what Kubernetes knows of it, and what the project's operator does. */
import { canonicalPrefix } from '../kernel/ip.ts'
import type { Prefix } from '../kernel/kernel.ts'
import type { NodeRow } from '../state/tables.ts'
import type { ObjectField } from './object-field.ts'
import { objectName } from './object-name.ts'

/** What a NodeNetwork (causeway.dev/v1alpha1) adds to the Node of its name. */
export interface NodeNetwork {
  readonly name: string
  /** Assigned by the operator; those of the Node count when there are none. */
  readonly podCidrs: readonly Prefix[]
}

export function parseNodeNetwork(object: ObjectField): NodeNetwork {
  const cidrs = object.at('spec').at('podCidrs').items()
  return { name: objectName(object), podCidrs: [...new Set(cidrs.map(field => field.converted(canonicalPrefix)))] }
}

/** The row of a Node with what its NodeNetwork adds. */
export function joinNode(node: NodeRow, network: NodeNetwork | undefined): NodeRow {
  if (network === undefined || network.podCidrs.length === 0) return node
  return { ...node, podCidrs: network.podCidrs }
}
