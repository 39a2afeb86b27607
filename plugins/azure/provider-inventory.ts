/** What Azure shows, in the words of the core, and interfaces with changes in them. Throws InvalidAddress or Garbled. Pure. */
import type { VirtualMachineScaleSetVM } from '@azure/arm-compute'
import type {
  NetworkInterface,
  NetworkInterfaceIPConfiguration,
  VirtualNetwork,
  VirtualNetworkUsage,
} from '@azure/arm-network'
import { canonicalAddress, canonicalPrefix, familyIn, hostPrefix } from '../../daemon/kernel/ip.ts'
import type { Prefix } from '../../daemon/kernel/kernel.ts'
import type { SeenNic, SeenSubnet } from '../cloud-core/model.ts'
import type { NicChange } from '../cloud-core/whole-change.ts'

/** An answer lacks what it must have. */
export class Garbled extends Error {
  override readonly name = 'Garbled'
  readonly code = 'GARBLED'
}

/** Names of the configurations that this project makes begin so. */
const OWN_NAME = 'causeway-'

/** `others`: interfaces besides the first are for pods, too. */
export function seenNics(nics: readonly NetworkInterface[], machine: string, others: boolean): SeenNic[] {
  const sorted = nics.toSorted((a, b) => rank(a) - rank(b) || (idOf(a) < idOf(b) ? -1 : 1))
  return sorted.map((nic, index) => seenNic(nic, machine, index, index === 0 || others))
}

function rank({ primary }: NetworkInterface): number {
  return primary === false ? 1 : 0
}

function seenNic(nic: NetworkInterface, machine: string, index: number, forPods: boolean): SeenNic {
  const configurations = must(nic.ipConfigurations, 'ipConfigurations')
  const first = configurations.find(isPrimary) ?? configurations[0]
  return {
    id: idOf(nic),
    // Azure writes 00-0D-3A-…; a machine that has never run has none yet.
    mac: (nic.macAddress ?? '').toLowerCase().replaceAll('-', ':'),
    subnet: must(first?.subnet?.id, 'subnet').toLowerCase(),
    status: 'attached',
    machine,
    index,
    deletedWithMachine: true,
    forPods,
    token: '',
    node: '',
    addresses: configurations.filter(isOwn(first)).flatMap(({ privateIPAddress: address }) => plainAddress(address)),
    blocks: configurations.filter(one => !isOwn(first)(one)).flatMap(blockOf),
  }
}

export function idOf({ id }: { readonly id?: string | undefined }): string {
  return must(id, 'id').toLowerCase()
}

function isPrimary({ primary }: NetworkInterfaceIPConfiguration): boolean {
  return primary === true
}

/** An interface's own: the primary configuration, and that of IPv6, of which a machine has one for itself. */
function isOwn(first: NetworkInterfaceIPConfiguration | undefined) {
  return (one: NetworkInterfaceIPConfiguration): boolean => one === first || one.privateIPAddressVersion === 'IPv6'
}

function plainAddress(address: string | undefined): string[] {
  return address === undefined ? [] : [canonicalAddress(address.replace(/\/\d+$/, ''))]
}

/** None while it has no address yet. */
export function blockOf({
  privateIPAddress: address,
  privateIPAddressPrefixLength: length,
}: NetworkInterfaceIPConfiguration): Prefix[] {
  if (address === undefined || address === '') return []
  if (address.includes('/')) return [canonicalPrefix(address)]
  const single = canonicalAddress(address)
  return [length === undefined || familyIn(single) === 6 ? hostPrefix(single) : canonicalPrefix(`${single}/${length}`)]
}

/** With that change in its configurations; all else as it is. Undefined when there is nothing to change. */
export function changedNic(nic: NetworkInterface, { add, remove }: NicChange): NetworkInterface | undefined {
  const configurations = must(nic.ipConfigurations, 'ipConfigurations')
  const first = configurations.find(isPrimary) ?? configurations[0]
  const kept = configurations.filter(one => isOwn(first)(one) || !blockOf(one).some(block => remove.includes(block)))
  const names = freeNames(configurations)
  const added = add.flatMap(({ length, count }) =>
    Array.from({ length: count }, (): NetworkInterfaceIPConfiguration => {
      return {
        name: names.next().value,
        primary: false,
        privateIPAllocationMethod: 'Dynamic',
        privateIPAddressVersion: 'IPv4',
        ...(length === 32 ? {} : { privateIPAddressPrefixLength: length }),
        subnet: { id: must(first?.subnet?.id, 'subnet') },
      }
    }),
  )
  const same = added.length === 0 && kept.length === configurations.length
  return same ? undefined : { ...nic, ipConfigurations: [...kept, ...added] }
}

/**
 * The instance of a scale set with those changes in the configurations of its interfaces, by the interfaces' names: its
 * model knows no addresses, so `nics` tell which configuration has which.
 */
export function changedInstance(
  instance: VirtualMachineScaleSetVM,
  nics: readonly NetworkInterface[],
  changes: ReadonlyMap<string, NicChange>,
): VirtualMachineScaleSetVM | undefined {
  const profile = instance.networkProfileConfiguration
  let same = true
  const configurations = must(profile?.networkInterfaceConfigurations, 'networkInterfaceConfigurations').map(of => {
    const nic = nics.find(one => lastOf(idOf(one)) === of.name.toLowerCase())
    const change = nic === undefined ? undefined : changes.get(idOf(nic))
    if (nic === undefined || change === undefined) return of
    const before = must(of.ipConfigurations, 'ipConfigurations')
    const removed = new Set(
      nic.ipConfigurations
        ?.filter(one => one.primary !== true && blockOf(one).some(block => change.remove.includes(block)))
        .map(({ name = '' }) => name.toLowerCase()),
    )
    const kept = before.filter(({ name, primary }) => primary === true || !removed.has(name.toLowerCase()))
    const first = before.find(({ primary }) => primary === true) ?? before[0]
    const names = freeNames([...before, ...(nic.ipConfigurations ?? [])])
    const count = change.add.reduce((sum, one) => sum + one.count, 0)
    const added = Array.from({ length: count }, () => {
      const subnet = { id: must(first?.subnet?.id, 'subnet') }
      return { name: names.next().value, primary: false, privateIPAddressVersion: 'IPv4' as const, subnet }
    })
    if (count > 0 || kept.length < before.length) same = false
    return { ...of, ipConfigurations: [...kept, ...added] }
  })
  if (same) return undefined
  const changed: VirtualMachineScaleSetVM = {
    ...instance,
    networkProfileConfiguration: { ...profile, networkInterfaceConfigurations: configurations },
  }
  // An image of a gallery may be of a subscription of Azure's, where nobody may refer to it (AKS issue 1819).
  if (changed.storageProfile !== undefined) {
    const { imageReference: _image, ...storage } = changed.storageProfile
    changed.storageProfile = storage
  }
  return changed
}

export function lastOf(id: string): string {
  return id.slice(id.lastIndexOf('/') + 1)
}

function* freeNames(taken: readonly { readonly name?: string | undefined }[]): Generator<string, never> {
  const names = new Set(taken.map(({ name }) => name?.toLowerCase()))
  for (let n = 0; ; n++) if (!names.has(`${OWN_NAME}${n}`)) yield `${OWN_NAME}${n}`
}

/** Subnets of a network that are in `ids`. Azure's are of a region, of no zone, and no interfaces are made in them. */
export function subnetsOf(
  network: VirtualNetwork,
  usage: readonly VirtualNetworkUsage[],
  ids: ReadonlySet<string>,
): SeenSubnet[] {
  const byId = new Map(usage.map(one => [idOf(one), one]))
  return must(network.subnets, 'subnets')
    .filter(subnet => ids.has(idOf(subnet)))
    .map(subnet => {
      const { currentValue = 0, limit = 0 } = byId.get(idOf(subnet)) ?? {}
      const { addressPrefix, addressPrefixes = addressPrefix === undefined ? [] : [addressPrefix] } = subnet
      return {
        id: idOf(subnet),
        zone: '',
        cidrs: addressPrefixes.map(canonicalPrefix),
        free: Math.max(0, limit - currentValue),
        forNics: false,
        reserved: [],
      }
    })
}

export function must<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Garbled(`${name} is missing`)
  return value
}
