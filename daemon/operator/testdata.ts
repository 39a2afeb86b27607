/** Rows for tests of the operator. */
import { everything } from '../state/selectors.ts'
import type { ClusterNodeRow, IpPoolRow, NodeNetworkRow, PolicyRow, SettingsRow } from './rows.ts'

export function nodeRow(name: string, rest: Partial<ClusterNodeRow> = {}): ClusterNodeRow {
  return {
    name,
    uid: `uid-${name}`,
    created: '',
    labels: {},
    addresses: [],
    notReady: false,
    podCidrs: [],
    tainted: false,
    networkUnavailable: '',
    bootId: '',
    providerId: '',
    maxPods: 110,
    addressCapacity: '',
    withoutAddresses: false,
    ...rest,
  }
}

export function networkRow(
  name: string,
  podCidrs: readonly string[],
  rest: Partial<NodeNetworkRow> = {},
): NodeNetworkRow {
  const own = { name, uid: `network-${name}`, created: '', nodeUid: `uid-${name}`, pool: 'p', ready: false, bootId: '' }
  return { ...own, podCidrs, ...rest }
}

export function poolRow(
  name: string,
  ranges: readonly (readonly [string, number])[],
  rest: Partial<IpPoolRow> = {},
): IpPoolRow {
  const own = { name, uid: `pool-${name}`, generation: 1, created: '', priority: 0, nodes: everything }
  return { ...own, ranges: ranges.map(([cidr, nodePrefixLength]) => ({ cidr, nodePrefixLength })), ...rest }
}

export function settingsRow(name: string, settings: object, rest: Partial<SettingsRow> = {}): SettingsRow {
  const own = { name, uid: `settings-${name}`, generation: 1, created: '', priority: 0, nodes: everything }
  return { ...own, settings, ...rest }
}

export function policyRow(name: string, rest: Partial<PolicyRow> = {}): PolicyRow {
  return {
    name,
    uid: `policy-${name}`,
    generation: 1,
    created: '',
    priority: 0,
    selectors: [{ pods: everything, namespaces: everything }],
    destinations: ['192.0.2.0/24'],
    excluded: [],
    gateways: [{ nodes: everything, addresses: [] }],
    ...rest,
  }
}
