/**
 * Every method of the Compute Engine API (v1) that the provider asks for, with the permissions that it takes. The role that
 * `permissions.ts` prints is made of this table, and a request for another method cannot be made.
 */
import type { CallKind } from '../cloud-core/model.ts'
import type { Budget } from '../cloud-core/provider.ts'
import type { GcpMachine, GcpSubnet } from './provider-ids.ts'

export interface Api<Of> {
  readonly name: string
  readonly method: 'GET' | 'PATCH' | 'POST'
  /** It changes something. */
  readonly writes: boolean
  readonly permissions: readonly string[]
  /** Below `/compute/v1/projects/`. */
  readonly path: (of: Of) => string
}

/** What is answered of an instance: all else stays where it is. */
const SHOWN = 'networkInterfaces(name,networkIP,ipv6Address,subnetwork,fingerprint,aliasIpRanges)'

export const APIS = {
  getInstance: {
    name: 'instances.get',
    method: 'GET',
    writes: false,
    permissions: ['compute.instances.get'],
    path: (of: GcpMachine) => `${instance(of)}?fields=name,${SHOWN}`,
  },
  listInstances: {
    name: 'instances.list',
    method: 'GET',
    writes: false,
    permissions: ['compute.instances.list'],
    path: ({ project, zone, page }: Omit<GcpMachine, 'name'> & { readonly page: string }) =>
      `${project}/zones/${zone}/instances?maxResults=500&fields=nextPageToken,items(name,${SHOWN})` +
      (page === '' ? '' : `&pageToken=${encodeURIComponent(page)}`),
  },
  updateInterface: {
    name: 'instances.updateNetworkInterface',
    method: 'PATCH',
    writes: true,
    permissions: ['compute.instances.updateNetworkInterface', 'compute.subnetworks.use'],
    path: ({ of, nic, requestId }: { readonly of: GcpMachine; readonly nic: string; readonly requestId: string }) =>
      `${instance(of)}/updateNetworkInterface?networkInterface=${nic}&requestId=${requestId}`,
  },
  waitOperation: {
    name: 'zoneOperations.wait',
    method: 'POST',
    // It is about a change that was made.
    writes: true,
    permissions: ['compute.zoneOperations.get'],
    path: ({ project, zone, operation }: Omit<GcpMachine, 'name'> & { readonly operation: string }) =>
      `${project}/zones/${zone}/operations/${operation}/wait`,
  },
  getSubnet: {
    name: 'subnetworks.get',
    method: 'GET',
    writes: false,
    permissions: ['compute.subnetworks.get'],
    path: ({ project, region, name }: GcpSubnet) =>
      `${project}/regions/${region}/subnetworks/${name}?views=WITH_UTILIZATION` +
      '&fields=ipCidrRange,secondaryIpRanges,utilizationDetails',
  },
} as const satisfies Record<string, Api<never>>

function instance({ project, zone, name }: GcpMachine): string {
  return `${project}/zones/${zone}/instances/${name}`
}

/** A project's requests a minute are 1,500 of each group (Compute Engine rate quotas): less than that a second. */
const READS: Budget = { name: 'reads', rate: { burst: 100, perSecond: 20 } }
const WRITES: Budget = { name: 'mutations', rate: { burst: 100, perSecond: 10 } }

/** `write` and looks are all that Google has calls for. */
export const BUDGETS: Readonly<Record<CallKind | 'sweep', Budget>> = {
  assign: WRITES,
  release: WRITES,
  create: WRITES,
  attach: WRITES,
  protect: WRITES,
  detach: WRITES,
  delete: WRITES,
  write: WRITES,
  observe: READS,
  sweep: READS,
}
