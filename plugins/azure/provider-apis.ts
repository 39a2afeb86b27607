/**
 * Every operation of Azure Resource Manager that the provider makes, with the permissions that it takes and how the SDKs
 * make it. The role that `permissions.ts` prints is made of this table.
 */
import type { ComputeManagementClient, VirtualMachine, VirtualMachineScaleSetVM } from '@azure/arm-compute'
import type { NetworkInterface, NetworkManagementClient, VirtualNetwork, VirtualNetworkUsage } from '@azure/arm-network'
import type { CallKind } from '../cloud-core/model.ts'
import type { Budget } from '../cloud-core/provider.ts'
import type { AzureMachine, NetworkResource } from './provider-ids.ts'

export interface Connection {
  readonly network: NetworkManagementClient
  readonly compute: ComputeManagementClient
}

export interface Api<Of, Output> {
  readonly name: string
  readonly writes: boolean
  readonly permissions: readonly string[]
  readonly send: (connection: Connection, of: Of, options: SendOptions) => Promise<Output>
}

export interface SendOptions {
  readonly abortSignal: AbortSignal
  readonly requestOptions: { readonly timeout: number; readonly headers?: Record<string, string> }
}

/** What a whole interface may refer to must be allowed to whoever writes it (Azure's linked access checks). */
const JOINS = [
  'Microsoft.Network/virtualNetworks/subnets/join/action',
  'Microsoft.Network/networkSecurityGroups/join/action',
  'Microsoft.Network/applicationSecurityGroups/joinIpConfiguration/action',
  'Microsoft.Network/loadBalancers/backendAddressPools/join/action',
  'Microsoft.Network/loadBalancers/inboundNatRules/join/action',
  'Microsoft.Network/publicIPAddresses/join/action',
] as const

/** How often it is asked whether a change has been made, where Azure does not say how often to. */
const POLL_MS = 1000

export const APIS = {
  getMachine: {
    name: 'virtualMachines.get',
    writes: false,
    permissions: ['Microsoft.Compute/virtualMachines/read'],
    send: ({ compute }, { group, name }: AzureMachine, options: SendOptions): Promise<VirtualMachine> =>
      compute.virtualMachines.get(group, name, options),
  },
  getNic: {
    name: 'networkInterfaces.get',
    writes: false,
    permissions: ['Microsoft.Network/networkInterfaces/read'],
    send: ({ network }, { group, name }: NetworkResource, options: SendOptions): Promise<NetworkInterface> =>
      network.networkInterfaces.get(group, name, options),
  },
  listNics: {
    name: 'networkInterfaces.list',
    writes: false,
    permissions: ['Microsoft.Network/networkInterfaces/read'],
    send: ({ network }, group: string, options: SendOptions): Promise<NetworkInterface[]> =>
      all(network.networkInterfaces.list(group, options)),
  },
  putNic: {
    name: 'networkInterfaces.createOrUpdate',
    writes: true,
    permissions: ['Microsoft.Network/networkInterfaces/write', ...JOINS],
    send: async (
      { network },
      { of, nic }: { readonly of: NetworkResource; readonly nic: NetworkInterface },
      options: SendOptions,
    ): Promise<NetworkInterface> => {
      const settings = { ...options, updateIntervalInMs: POLL_MS }
      return await ended(network.networkInterfaces.createOrUpdate(of.group, of.name, nic, settings))
    },
  },
  listScaleSetNics: {
    name: 'networkInterfaces.listVirtualMachineScaleSetNetworkInterfaces',
    writes: false,
    permissions: ['Microsoft.Compute/virtualMachineScaleSets/networkInterfaces/read'],
    send: (
      { network },
      { group, scaleSet }: Pick<AzureMachine, 'group' | 'scaleSet'>,
      options: SendOptions,
    ): Promise<NetworkInterface[]> =>
      all(network.networkInterfaces.listVirtualMachineScaleSetNetworkInterfaces(group, scaleSet, options)),
  },
  listInstanceNics: {
    name: 'networkInterfaces.listVirtualMachineScaleSetVMNetworkInterfaces',
    writes: false,
    permissions: ['Microsoft.Compute/virtualMachineScaleSets/virtualMachines/networkInterfaces/read'],
    send: ({ network }, { group, scaleSet, name }: AzureMachine, options: SendOptions): Promise<NetworkInterface[]> =>
      all(network.networkInterfaces.listVirtualMachineScaleSetVMNetworkInterfaces(group, scaleSet, name, options)),
  },
  getInstance: {
    name: 'virtualMachineScaleSetVMs.get',
    writes: false,
    permissions: ['Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read'],
    send: ({ compute }, of: AzureMachine, options: SendOptions): Promise<VirtualMachineScaleSetVM> =>
      compute.virtualMachineScaleSetVMs.get(of.group, of.scaleSet, of.name, options),
  },
  putInstance: {
    name: 'virtualMachineScaleSetVMs.update',
    writes: true,
    permissions: ['Microsoft.Compute/virtualMachineScaleSets/virtualMachines/write', ...JOINS],
    send: async (
      { compute },
      { of, instance }: { readonly of: AzureMachine; readonly instance: VirtualMachineScaleSetVM },
      options: SendOptions,
    ): Promise<VirtualMachineScaleSetVM> => {
      const settings = { ...options, updateIntervalInMs: POLL_MS }
      const { group, scaleSet, name } = of
      return await ended(compute.virtualMachineScaleSetVMs.update(group, scaleSet, name, instance, settings))
    },
  },
  getNetwork: {
    name: 'virtualNetworks.get',
    writes: false,
    permissions: ['Microsoft.Network/virtualNetworks/read'],
    send: ({ network }, { group, name }: NetworkResource, options: SendOptions): Promise<VirtualNetwork> =>
      network.virtualNetworks.get(group, name, options),
  },
  networkUsage: {
    name: 'virtualNetworks.listUsage',
    writes: false,
    permissions: ['Microsoft.Network/virtualNetworks/usages/read'],
    send: ({ network }, { group, name }: NetworkResource, options: SendOptions): Promise<VirtualNetworkUsage[]> =>
      all(network.virtualNetworks.listUsage(group, name, options)),
  },
} as const satisfies Record<string, Api<never, unknown>>

/** Azure Resource Manager counts a principal's requests in a subscription and region by what they do. */
const READS: Budget = { name: 'reads', rate: { burst: 250, perSecond: 25 } }
const WRITES: Budget = { name: 'writes', rate: { burst: 200, perSecond: 10 } }

/** `write` and looks are all that Azure has calls for. */
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

/** A change was accepted; what became of it is not known, or that it failed: `cause`. */
export class AfterAccepted extends Error {
  override readonly name = 'AfterAccepted'
  readonly code = 'AFTER_ACCEPTED'
}

interface Poller<T> {
  readonly submitted: () => Promise<void>
  readonly pollUntilDone: () => Promise<T>
}

/** What a change has led to, once Azure says that it is done. */
async function ended<T>(poller: Poller<T>): Promise<T> {
  await poller.submitted()
  try {
    return await poller.pollUntilDone()
  } catch (error) {
    throw new AfterAccepted(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

async function all<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of pages) items.push(item)
  return items
}
