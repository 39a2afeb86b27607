/** Rows for tests of this plugin, with what each test does not care about. */
import type { EgressPolicyRow } from '../../daemon/state/egress-rows.ts'
import type { HostAddressRow, NodeRow } from '../../daemon/state/tables.ts'
import { everything, labelled } from '../../daemon/state/selectors.ts'
import type { Pod } from './plan.ts'

/** Selects pods `app: web` and gateways `egress: yes`. */
export function policy(name: string, rest: Partial<EgressPolicyRow> = {}): EgressPolicyRow {
  return {
    name,
    priority: 0,
    created: '',
    selectors: [{ pods: labelled({ app: 'web' }), namespaces: everything }],
    destinations: ['0.0.0.0/0'],
    excluded: [],
    gateways: [{ nodes: labelled({ egress: 'yes' }), addresses: [] }],
    ...rest,
  }
}
export function node(name: string, address: string, labels: Readonly<Record<string, string>> = {}): NodeRow {
  return { name, addresses: [address], podCidrs: [], labels }
}
export function pod(name: string, rest: Partial<Pod> = {}): Pod {
  return {
    key: `causeway/${name}/eth0`,
    namespace: 'default',
    name,
    addresses: ['10.64.0.9'],
    labels: { app: 'web' },
    ...rest,
  }
}
export function held(address: string, device = 'eth0'): HostAddressRow {
  return { address, prefixLength: 24, scope: 'global', device }
}
