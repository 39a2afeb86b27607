/** Rows of egress policies: what the cluster asks for, and where packets go because of it. */
import { crc32 } from 'node:zlib'
import type { Address, Prefix } from '../kernel/kernel.ts'

/** All of its requirements must hold (Kubernetes, LabelSelector); an empty one selects everything. */
export interface LabelSelector {
  readonly matchLabels: Readonly<Record<string, string>>
  readonly matchExpressions: readonly LabelRequirement[]
}
export interface LabelRequirement {
  readonly key: string
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'
  /** At least one for In and NotIn, none for the others. */
  readonly values: readonly string[]
}

export interface NamespaceRow {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  /** As of its pods that do not say it themselves. */
  readonly fallbackPool?: boolean
}

/** Which pods reach which destinations by which nodes. */
export interface EgressPolicyRow {
  readonly name: string
  /** Of policies that name the same destination the higher wins. */
  readonly priority: number
  /** RFC 3339, by which older policies win; empty when it is not known. */
  readonly created: string
  /** A pod that one of them selects. */
  readonly selectors: readonly { readonly pods: LabelSelector; readonly namespaces: LabelSelector }[]
  readonly destinations: readonly Prefix[]
  /** Of these, what leaves as if there were no policy. */
  readonly excluded: readonly Prefix[]
  /** The first that selects a node counts for it. */
  readonly gateways: readonly EgressGateway[]
}
export interface EgressGateway {
  readonly nodes: LabelSelector
  /** Of those that a node has some; empty: the address that it is known by, or one of the device. */
  readonly addresses: readonly Address[]
  readonly device?: string
}

/** Where packets of one source to somebody outside the cluster go. */
export interface EgressPathRow {
  /** A pod's address on this node, or `policy NAME`: what pods of other nodes send by this one. */
  readonly source: string
  readonly paths: readonly EgressPath[]
}
export interface EgressPath {
  readonly destination: Prefix
  /** Its name; empty when it is not known which. */
  readonly policy: string
  readonly to:
    | { readonly kind: 'gateway'; readonly node: string; readonly tunnel: Address }
    /** This node, with the addresses that table `egress` has for the policy. */
    | { readonly kind: 'here' }
    /** As if there were no policy. */
    | { readonly kind: 'excluded' }
    /** Nowhere: no gateway is healthy, or this one has no address. */
    | { readonly kind: 'none' }
    /** Nowhere: the pod's labels are not known yet. */
    | { readonly kind: 'unknown' }
}

/** The source of paths of packets that come to this node as the gateway of a policy. */
export function policySource(policy: string): string {
  return `policy ${policy}`
}
/** The policy of such a source; undefined for a pod's address. */
export function policyOfSource(source: string): string | undefined {
  return source.startsWith('policy ') ? source.slice('policy '.length) : undefined
}

/** What a policy is called in packets between nodes: the same on all of them, not 0. */
export function policyNumber(policy: string): number {
  return crc32(policy) || 1
}

/** From here on an index in table `egress` is a policy's (bpf/lib/shared.h, enum egress_device). */
export const EGRESS_DEVICES = 0x4000_0000

/** The index in table `egress` of the addresses that this node has for a policy's pods. */
export function policyDevice(policy: string): number {
  // Without the last one, which the programs use for another purpose.
  return EGRESS_DEVICES + (policyNumber(policy) % (EGRESS_DEVICES - 1))
}
