/** What a cloud's plugin gives the operator. */
import type { Family } from '../../daemon/kernel/kernel.ts'
import type { Policy } from './model.ts'
import type { CloudOptions } from './node/options.ts'
import type { CloudProvider, Machine } from './provider.ts'

/** A Node, as far as it tells of its machine. */
export interface NodeFacts {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  /** Node.spec.providerID; empty when it is absent. */
  readonly providerId: string
  readonly maxPods: number
}

export interface CloudSetup {
  readonly provider: CloudProvider
  /** The machine that a Node is; a text for people when it is none of this cloud. */
  readonly machineOf: (node: NodeFacts) => Machine | string
  readonly policyOf: (node: NodeFacts) => Policy
}

/** What a plugin is told of the operator's configuration. */
export interface SetupInput {
  /** The plugin's section, not checked yet. */
  readonly section: unknown
  /** Name of the cluster; empty when it has none. */
  readonly cluster: string
  readonly families: readonly Family[]
}

/** Of every cloud's nodes (Kubernetes, "Well-Known Labels, Annotations and Taints"). */
export const LABELS = { type: 'node.kubernetes.io/instance-type', zone: 'topology.kubernetes.io/zone' } as const

export function policyOf(options: CloudOptions, families: readonly Family[], { maxPods }: NodeFacts): Policy {
  const { preAllocate, min, maxAbove, releaseDelayMs, firstInterface, prefixes } = options
  return { families, preAllocate, min, maxAbove, maxPods, releaseDelayMs, firstNic: firstInterface, prefixes }
}
