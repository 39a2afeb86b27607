/** A pod's row in the table `endpoints`, with what a test does not care about filled in. */
import type { EndpointRow } from '../../daemon/state/tables.ts'

export function endpointRow(name: string, addresses: readonly string[], rest: Partial<EndpointRow> = {}): EndpointRow {
  return {
    key: `causeway/${name}/eth0`,
    id: 1,
    pod: { namespace: 'default', name, uid: '' },
    addresses,
    pool: 'default',
    device: { name: `c${name}`, index: 1, mac: '' },
    interface: { name: 'eth0', mac: '', mtu: 1500 },
    netns: { path: '', dev: 0, ino: 0 },
    ...rest,
  }
}
