/** What Compute Engine shows, in the words of the core. Throws InvalidAddress or Garbled on what cannot be. Pure. */
import { canonicalAddress, canonicalPrefix, familyIn, hostPrefix, parseAddress } from '../../daemon/kernel/ip.ts'
import type { Prefix } from '../../daemon/kernel/kernel.ts'
import type { SeenNic, SeenSubnet } from '../cloud-core/model.ts'
import type { NicChange } from '../cloud-core/whole-change.ts'
import { type GcpSubnet, subnetId, subnetIn } from './provider-ids.ts'
import { listIn, numberIn, objectIn, textIn } from './provider-json.ts'

/** An answer lacks what it must have. */
export class Garbled extends Error {
  override readonly name = 'Garbled'
  readonly code = 'GARBLED'
}

export interface SeenOptions {
  /** The secondary range of the subnet that pods' addresses are of; empty for the primary one. */
  readonly rangeName: string
  /** Interfaces of a machine besides the first are for pods, too. */
  readonly otherInterfaces: boolean
}

/** An alias range as the API has it. */
export interface Alias {
  readonly ipCidrRange: string
  readonly subnetworkRangeName?: string
}

/** An interface with what writing it needs besides. */
export interface Vnic {
  readonly nic: SeenNic
  /** Within its machine, such as `nic0`. */
  readonly name: string
  readonly fingerprint: string
  readonly aliases: readonly Alias[]
}

/** Those of an instance, which is an object of the API. */
export function vnicsOf(instance: unknown, machine: string, options: SeenOptions): Vnic[] {
  must(textIn(instance, 'name'), 'name')
  const found = listIn(instance, 'networkInterfaces')
  if (found.length === 0) throw new Garbled('networkInterfaces is missing')
  return found.map((from, index) => vnicOf(from, index, machine, options))
}

function vnicOf(from: unknown, index: number, machine: string, { rangeName, otherInterfaces }: SeenOptions): Vnic {
  const name = must(textIn(from, 'name'), 'name of an interface')
  const address = canonicalAddress(must(textIn(from, 'networkIP'), 'networkIP'))
  const address6 = textIn(from, 'ipv6Address')
  const subnet = subnetIn(must(textIn(from, 'subnetwork'), 'subnetwork'))
  const aliases = listIn(from, 'aliasIpRanges').map((alias): Alias => {
    const ipCidrRange = must(textIn(alias, 'ipCidrRange'), 'ipCidrRange')
    const subnetworkRangeName = textIn(alias, 'subnetworkRangeName')
    return subnetworkRangeName === undefined ? { ipCidrRange } : { ipCidrRange, subnetworkRangeName }
  })
  const nic: SeenNic = {
    id: `${machine}/${name}`,
    mac: macOf(address),
    subnet: subnetId(must(subnet, 'subnetwork')),
    status: 'attached',
    machine,
    index,
    deletedWithMachine: true,
    forPods: index === 0 || otherInterfaces,
    token: '',
    node: '',
    addresses: address6 === undefined || address6 === '' ? [address] : [address, canonicalAddress(address6)],
    blocks: aliases.filter(alias => isOf(alias, rangeName)).map(blockOf),
  }
  return { nic, name, fingerprint: must(textIn(from, 'fingerprint'), 'fingerprint'), aliases }
}

/** The API does not say it: Compute Engine makes it of the address (`42:01:` and its four bytes). */
function macOf(address: string): string {
  if (familyIn(address) === 6) return ''
  const hex = (0x4201_0000_0000n + parseAddress(address).value).toString(16)
  return (hex.match(/../g) ?? []).join(':')
}

function isOf({ subnetworkRangeName = '' }: Alias, rangeName: string): boolean {
  return subnetworkRangeName === rangeName
}

function blockOf({ ipCidrRange: range }: Alias): Prefix {
  return range.includes('/') ? canonicalPrefix(range) : hostPrefix(canonicalAddress(range))
}

/** Ranges of an interface with that change: others' stay as they are. Undefined when there is nothing to change. */
export function changedAliases(
  { aliases }: Pick<Vnic, 'aliases'>,
  { add, remove }: NicChange,
  rangeName: string,
): readonly Alias[] | undefined {
  const kept = aliases.filter(alias => !isOf(alias, rangeName) || !remove.includes(blockOf(alias)))
  const added = add.flatMap(({ length, count }) =>
    // A length alone lets the cloud choose the range.
    Array.from({ length: count }, (): Alias => {
      const ipCidrRange = `/${length}`
      return rangeName === '' ? { ipCidrRange } : { ipCidrRange, subnetworkRangeName: rangeName }
    }),
  )
  return added.length === 0 && kept.length === aliases.length ? undefined : [...kept, ...added]
}

/** With what is free in the range that pods' addresses are of. Subnets are of a region, and no interfaces are made in them. */
export function subnetOf(answer: unknown, of: GcpSubnet, rangeName: string): SeenSubnet {
  const primary = canonicalPrefix(must(textIn(answer, 'ipCidrRange'), 'ipCidrRange'))
  const secondary = listIn(answer, 'secondaryIpRanges').filter(range => textIn(range, 'rangeName') === rangeName)
  const usage = listIn(objectIn(answer, 'utilizationDetails'), 'ipv4Utilizations').find(
    one => (textIn(one, 'rangeName') ?? '') === rangeName,
  )
  return {
    id: subnetId(of),
    zone: '',
    // The gateway is in the first of them.
    cidrs: [primary, ...secondary.flatMap(range => textIn(range, 'ipCidrRange') ?? []).map(canonicalPrefix)],
    free: numberIn(usage, 'totalFreeIp') ?? 0,
    forNics: false,
    reserved: [],
  }
}

export function must<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Garbled(`${name} is missing`)
  return value
}
