/** For tests: answers of Azure Resource Manager as its REST reference shows them, and a provider that asks a server. */
import { mkdtempDisposableSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeCertificates } from '../../../test/support/certificates.ts'
import { serveWire, type Wire, type WireRequest, type WireServer } from '../../../test/support/wire-server.ts'
import type { Machine } from '../../cloud-core/provider.ts'
import { AzureProvider } from '../provider.ts'

export const GROUP = '/subscriptions/s1/resourceGroups/MC_rg'
export const NETWORK = `${GROUP}/providers/Microsoft.Network/virtualNetworks/vnet`
export const SUBNET = `${NETWORK}/subnets/nodes`
const SCALE_SET = `${GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/pool1`

/** A machine of its own, and an instance of a scale set. */
export const MACHINE: Machine = {
  node: 'n1',
  id: `${GROUP}/providers/Microsoft.Compute/virtualMachines/vm1`.toLowerCase(),
  type: 'Standard_D4s_v5',
  zone: 'westeurope-1',
}
export const INSTANCE: Machine = { ...MACHINE, node: 'n2', id: `${SCALE_SET}/virtualMachines/0`.toLowerCase() }
export const NIC = `${GROUP}/providers/Microsoft.Network/networkInterfaces/nic1`
export const INSTANCE_NIC = `${SCALE_SET}/virtualMachines/0/networkInterfaces/nic0`

/** Answers by `GET path`, the path below the resource group in small letters. */
export type Answers = Readonly<Record<string, (request: WireRequest) => Wire>>

export interface TestCloud extends AsyncDisposable {
  readonly provider: AzureProvider
  readonly server: WireServer
  readonly asked: () => string[]
}

const tls = certificates()

function certificates() {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'causeway-azure-'))
  makeCertificates(folder.path)
  const [key = '', cert = '', authority = ''] = ['server.key', 'server.crt', 'ca.crt'].map(name =>
    readFileSync(join(folder.path, name), 'utf8'),
  )
  return { key, cert, authority }
}

export async function serveArm(
  answers: Answers,
  options: { readonly otherInterfaces?: boolean; readonly timeoutMs?: number; readonly ownCredential?: boolean } = {},
): Promise<TestCloud> {
  const server = await serveWire(
    request => answers[keyOf(request)]?.(request) ?? errorAnswer(404, 'ResourceNotFound'),
    tls,
  )
  const token = { token: 'test-token', expiresOnTimestamp: Date.now() + 3_600_000 }
  const { otherInterfaces = false, timeoutMs = 5000, ownCredential = false } = options
  const provider = new AzureProvider({
    otherInterfaces,
    timeoutMs,
    endpoint: server.url,
    authority: tls.authority,
    ...(ownCredential ? {} : { credential: { getToken: () => Promise.resolve(token) } }),
  })
  return {
    provider,
    server,
    asked: () => server.requests.map(keyOf),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

export function keyOf({ method, path }: WireRequest): string {
  return `${method} ${path.toLowerCase().replace(/^.*\/resourcegroups\/[^/]+\/providers\//, '')}`
}

export function json(body: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Wire {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
    body: JSON.stringify(body),
  }
}

export function errorAnswer(status: number, code: string, message = `words of ${code}`): Wire {
  return json({ error: { code, message } }, status, status === 429 ? { 'retry-after': '7' } : {})
}

interface Configuration {
  readonly name: string
  readonly address?: string
  readonly length?: number
  readonly primary?: boolean
  readonly more?: Readonly<Record<string, unknown>>
}

export function configuration({ name, address, length, primary = false, more = {} }: Configuration) {
  return {
    name,
    id: `${NIC}/ipConfigurations/${name}`,
    etag: 'W/"1"',
    properties: {
      provisioningState: 'Succeeded',
      ...(address === undefined ? {} : { privateIPAddress: address }),
      ...(length === undefined ? {} : { privateIPAddressPrefixLength: length }),
      privateIPAllocationMethod: 'Dynamic',
      subnet: { id: SUBNET },
      primary,
      privateIPAddressVersion: 'IPv4',
      ...more,
    },
  }
}

/** An interface with much that somebody else has configured. */
export function nicBody(
  configurations: readonly Configuration[],
  of: { readonly id?: string; readonly machine?: string; readonly primary?: boolean; readonly etag?: string } = {},
) {
  const { id = NIC, machine = MACHINE.id.toUpperCase(), primary = true, etag = 'W/"42"' } = of
  return {
    name: id.slice(id.lastIndexOf('/') + 1),
    id,
    etag,
    type: 'Microsoft.Network/networkInterfaces',
    location: 'westeurope',
    tags: { owner: 'somebody' },
    properties: {
      provisioningState: 'Succeeded',
      resourceGuid: '39f4d0c1-0000-4000-8000-000000000000',
      ipConfigurations: configurations.map(configuration),
      dnsSettings: { dnsServers: ['10.9.9.9'], appliedDnsServers: [], internalDnsNameLabel: 'vm1' },
      macAddress: '00-0D-3A-2B-4C-5D',
      enableAcceleratedNetworking: true,
      enableIPForwarding: true,
      disableTcpStateTracking: false,
      networkSecurityGroup: { id: `${GROUP}/providers/Microsoft.Network/networkSecurityGroups/nsg` },
      primary,
      virtualMachine: { id: machine },
      nicType: 'Standard',
      auxiliaryMode: 'None',
    },
  }
}

export const FIRST = { name: 'ipconfig1', address: '10.240.0.4', primary: true }

/** What a scale set's instance says of itself, with an image of a gallery. */
export function instanceBody(names: readonly string[]) {
  return {
    name: 'pool1_0',
    id: `${SCALE_SET}/virtualMachines/0`,
    instanceId: '0',
    etag: '"7"',
    type: 'Microsoft.Compute/virtualMachineScaleSets/virtualMachines',
    location: 'westeurope',
    sku: { name: 'Standard_D4s_v5', tier: 'Standard' },
    tags: { pool: 'pool1' },
    zones: ['1'],
    properties: {
      latestModelApplied: true,
      vmId: '42af9fdf-b906-4ad7-9905-7316209ff619',
      hardwareProfile: {},
      storageProfile: {
        imageReference: {
          id: '/subscriptions/109a/resourceGroups/AKS/providers/Microsoft.Compute/galleries/g/images/i',
        },
        osDisk: { osType: 'Linux', name: 'disk', createOption: 'FromImage', managedDisk: { id: `${GROUP}/disks/d` } },
        dataDisks: [],
      },
      osProfile: { computerName: 'pool1000000', adminUsername: 'azureuser', allowExtensionOperations: true },
      networkProfile: { networkInterfaces: [{ id: INSTANCE_NIC }] },
      networkProfileConfiguration: {
        networkInterfaceConfigurations: [
          {
            name: 'nic0',
            properties: {
              primary: true,
              enableAcceleratedNetworking: true,
              networkSecurityGroup: { id: `${GROUP}/providers/Microsoft.Network/networkSecurityGroups/nsg` },
              dnsSettings: { dnsServers: [] },
              enableIPForwarding: true,
              ipConfigurations: names.map((name, n) => ({
                name,
                properties: {
                  primary: n === 0,
                  subnet: { id: SUBNET },
                  privateIPAddressVersion: 'IPv4',
                  ...(n === 0 ? { loadBalancerBackendAddressPools: [{ id: `${GROUP}/lb/pool` }] } : {}),
                },
              })),
            },
          },
        ],
      },
      provisioningState: 'Succeeded',
    },
  }
}
