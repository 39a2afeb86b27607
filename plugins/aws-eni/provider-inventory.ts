/** What EC2 shows, in the words of the core. Throws InvalidAddress or Garbled on what cannot be. Pure. */
import type {
  InstanceTypeInfo,
  NetworkInterface,
  NetworkInterfaceAttachment,
  Subnet,
  SubnetCidrReservation,
} from '@aws-sdk/client-ec2'
import { canonicalAddress, canonicalPrefix, hostPrefix } from '../../daemon/kernel/ip.ts'
import type { Address, Prefix } from '../../daemon/kernel/kernel.ts'
import type { Limits, SeenNic, SeenSubnet } from '../cloud-core/model.ts'
import { TAGS } from './provider-tags.ts'

/** An answer lacks what it must have. */
export class Garbled extends Error {
  override readonly name = 'Garbled'
  readonly code = 'GARBLED'
}

/** An interface with what calls about it need besides what the core knows. */
export interface Eni {
  readonly nic: SeenNic
  /** Empty while it is attached to nothing. */
  readonly attachment: string
  readonly vpc: string
  readonly groups: readonly string[]
}

/** Prefix lengths of EC2 (EC2 user guide, "Assign prefixes to network interfaces"). */
const PREFIX4 = 28
const PREFIX6 = 80

/** Undefined for one that is on another network card, or on no machine of the account: it takes no room of ours. */
export function eniOf(from: NetworkInterface, cluster: string): Eni | undefined {
  const { Attachment: attachment } = from
  const at = placeOf(from, attachment)
  if (at === undefined) return undefined
  const tags = new Map(from.TagSet?.map(({ Key = '', Value = '' }) => [Key, Value]))
  const own = tags.get(TAGS.cluster) === cluster
  const token = own ? (tags.get(TAGS.token) ?? '') : ''
  const nic: SeenNic = {
    ...at,
    id: must(from.NetworkInterfaceId, 'NetworkInterfaceId'),
    mac: must(from.MacAddress, 'MacAddress').toLowerCase(),
    subnet: must(from.SubnetId, 'SubnetId'),
    forPods: hasRoom(from) && (at.index === 0 || token !== ''),
    token,
    node: own ? (tags.get(TAGS.node) ?? '') : '',
    addresses: addressesOf(from),
    blocks: blocksOf(from),
  }
  const groups = from.Groups?.flatMap(({ GroupId }) => GroupId ?? []) ?? []
  return { nic, attachment: at.machine === '' ? '' : (attachment?.AttachmentId ?? ''), vpc: from.VpcId ?? '', groups }
}

type Place = Pick<SeenNic, 'status' | 'machine' | 'index' | 'deletedWithMachine'>

function placeOf({ Status: status }: NetworkInterface, attachment: NetworkInterfaceAttachment | undefined) {
  if (attachment === undefined || attachment.Status === 'detached') {
    // The moment before an interface can be attached counts as one in which it can: an attach that is early conflicts.
    const free = status === undefined || !BUSY.has(status)
    const place: Place = { status: 'available', machine: '', index: -1, deletedWithMachine: false }
    return free ? place : undefined
  }
  const { InstanceId: machine = '', NetworkCardIndex: card = 0 } = attachment
  if (machine === '' || card !== 0) return undefined
  const place: Place = {
    status: attachment.Status === 'attaching' || attachment.Status === 'detaching' ? attachment.Status : 'attached',
    machine,
    index: must(attachment.DeviceIndex, 'DeviceIndex'),
    deletedWithMachine: attachment.DeleteOnTermination === true,
  }
  return place
}

/** States of one that is attached, or about to be: to what has no attachment of an instance is none of ours. */
const BUSY: ReadonlySet<string> = new Set(['associated', 'attaching', 'detaching', 'in-use'])

/** Trunks and their branches have a use of their own, and an interface for EFA alone has no addresses. */
function hasRoom({ InterfaceType: type = 'interface' }: NetworkInterface): boolean {
  return type === 'interface' || type === 'efa'
}

function addressesOf({ PrivateIpAddresses = [], Ipv6Addresses = [] }: NetworkInterface): Address[] {
  const own4 = PrivateIpAddresses.filter(({ Primary }) => Primary === true)
  return [
    ...own4.flatMap(({ PrivateIpAddress: address }) => address ?? []),
    ...Ipv6Addresses.flatMap(({ Ipv6Address: address }) => address ?? []),
  ].map(canonicalAddress)
}

function blocksOf({ PrivateIpAddresses = [], Ipv4Prefixes = [], Ipv6Prefixes = [] }: NetworkInterface): Prefix[] {
  const others = PrivateIpAddresses.filter(({ Primary }) => Primary !== true)
  return [
    ...others.flatMap(({ PrivateIpAddress: address }) => addressBlock(address)),
    ...Ipv4Prefixes.flatMap(({ Ipv4Prefix: prefix }) => prefixBlock(prefix)),
    ...Ipv6Prefixes.flatMap(({ Ipv6Prefix: prefix }) => prefixBlock(prefix)),
  ]
}

export function addressBlock(address: string | undefined): Prefix[] {
  return address === undefined ? [] : [hostPrefix(canonicalAddress(address))]
}
export function prefixBlock(prefix: string | undefined): Prefix[] {
  return prefix === undefined ? [] : [canonicalPrefix(prefix)]
}

/** Of the first network card: interfaces on others would need the card named, and pods have enough on one. */
export function limitsOf({ InstanceType, Hypervisor, BareMetal, NetworkInfo }: InstanceTypeInfo): Limits {
  const {
    NetworkCards,
    DefaultNetworkCardIndex = 0,
    MaximumNetworkInterfaces,
    Ipv4AddressesPerInterface,
  } = must(NetworkInfo, `NetworkInfo of ${InstanceType}`)
  const card = NetworkCards?.find(({ NetworkCardIndex }) => NetworkCardIndex === DefaultNetworkCardIndex)
  // Prefixes are for instances of the Nitro system, which those without a hypervisor are, too.
  const nitro = Hypervisor === 'nitro' || BareMetal === true
  return {
    nics: must(card?.MaximumNetworkInterfaces ?? MaximumNetworkInterfaces, 'MaximumNetworkInterfaces'),
    slots: must(Ipv4AddressesPerInterface, 'Ipv4AddressesPerInterface') - 1,
    lengths: { 4: nitro ? [PREFIX4, 32] : [32], 6: nitro && NetworkInfo?.Ipv6Supported === true ? [PREFIX6] : [] },
    wholeWrites: false,
  }
}

export function subnetOf(from: Subnet, forNics: boolean): SeenSubnet {
  const cidrs6 = from.Ipv6CidrBlockAssociationSet?.filter(
    ({ Ipv6CidrBlockState: state }) => state === undefined || state.State === 'associated',
  ).flatMap(({ Ipv6CidrBlock: cidr }) => cidr ?? [])
  return {
    id: must(from.SubnetId, 'SubnetId'),
    zone: must(from.AvailabilityZone, 'AvailabilityZone'),
    // One of IPv6 alone has none of IPv4.
    cidrs: [...(from.CidrBlock ? [from.CidrBlock] : []), ...(cidrs6 ?? [])].map(canonicalPrefix),
    free: from.AvailableIpAddressCount ?? 0,
    forNics,
    reserved: [],
  }
}

export function reservedOf(reservations: readonly SubnetCidrReservation[]): SeenSubnet['reserved'] {
  return reservations.flatMap(({ Cidr: cidr, ReservationType: kind }) =>
    cidr !== undefined && (kind === 'prefix' || kind === 'explicit') ? [{ cidr: canonicalPrefix(cidr), kind }] : [],
  )
}

/** The region of a zone, of a local one also: `us-west-2` of `us-west-2-lax-1a`; empty of what is no zone of AWS. */
export function regionOf(zone: string): string {
  return /^[a-z]{2,}(-[a-z]+)+-\d+/.exec(zone)?.[0] ?? ''
}

export function must<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Garbled(`${name} is missing`)
  return value
}
