/** Links: messages that change them and what a dump says about them (rtnetlink(7), struct ifinfomsg). */
import type { LinkCommon, LinkInfo, LinkRef, NetRequest } from '../kernel.ts'
import {
  ADDR_GEN_MODE,
  AF,
  IFF,
  IFLA,
  IFLA_INET6_ADDR_GEN_MODE,
  IFLA_INFO,
  IFLA_VXLAN,
  NLM_F,
  RTEXT_FILTER_SKIP_STATS,
  RTM,
} from './constants.ts'
import { Attributes, BodyWriter, type Message, type Received } from './message.ts'

/** Index of a link given by name or index. */
export type IndexOf = (ref: LinkRef) => number

type LinkSet = Extract<NetRequest, { op: 'link-set' }>
type LinkChange = Partial<Omit<LinkCommon, 'name'>>

interface Header {
  readonly index?: number
  readonly flags?: number
  /** Which flags are meant. */
  readonly change?: number
}

/** Writes struct ifinfomsg. */
export function linkHeader(writer: BodyWriter, header: Header = {}): BodyWriter {
  const { index = 0, flags = 0, change = 0 } = header
  return writer.u8(AF.UNSPEC).u8(0).u16(0).u32(index).u32(flags).u32(change)
}

/** Asks for one link, by name or index. */
export function encodeLinkGet(ref: LinkRef): Message {
  return linkMessage(RTM.GETLINK, 0, ref, {}, w => w.attributeU32(IFLA.EXT_MASK, RTEXT_FILTER_SKIP_STATS))
}

/** Asks for all links, without their counters. */
export function encodeLinkDump(): Message {
  const body = linkHeader(new BodyWriter()).attributeU32(IFLA.EXT_MASK, RTEXT_FILTER_SKIP_STATS).finish()
  return { type: RTM.GETLINK, flags: 0, body }
}

export function encodeLinkDelete(link: LinkRef): Message {
  return linkMessage(RTM.DELLINK, 0, link)
}

export function encodeGroupDelete(group: number): Message {
  return { type: RTM.DELLINK, flags: 0, body: linkHeader(new BodyWriter()).attributeU32(IFLA.GROUP, group).finish() }
}

/**
 * A change as the one or two that it takes. It takes two when the link is to go up with another way of generating IPv6
 * addresses: within one message the kernel brings it up first and would already have added a link-local address
 * (rtnetlink.c, do_setlink).
 */
export function linkSetSteps(request: LinkSet): { readonly first: LinkSet; readonly then?: LinkSet } {
  if (request.addrGenMode === undefined || request.up !== true) return { first: request }
  const { up, ...first } = request
  return { first, then: { op: 'link-set', link: request.rename ?? request.link, up } }
}

/** Changes a link in one message (`linkSetSteps`). */
export function encodeLinkSet(request: LinkSet, indexOf: IndexOf): Message {
  // With a name in IFLA_IFNAME a message needs the index, else that name says which link is meant.
  const ref = request.rename === undefined ? request.link : indexOf(request.link)
  return linkMessage(RTM.SETLINK, 0, ref, upFlag(request.up), w => {
    if (request.rename !== undefined) w.attributeText(IFLA.IFNAME, request.rename)
    writeLinkAttributes(w, request)
    writeLaterAttributes(w, request, indexOf)
  })
}

/** Attributes that may stand in the message that creates a link as well as in one that changes it. */
export function writeLinkAttributes(writer: BodyWriter, link: LinkChange): void {
  if (link.mac !== undefined) writer.attribute(IFLA.ADDRESS, macBytes(link.mac))
  for (const [size, type] of sizeAttributes) {
    const bytes = link[size]
    // Zero leaves the kernel's default (LinkSizes).
    if (bytes !== undefined && bytes !== 0) writer.attributeU32(type, bytes)
  }
  if (link.group !== undefined) writer.attributeU32(IFLA.GROUP, link.group)
}

const sizeAttributes = [
  ['mtu', IFLA.MTU],
  ['gsoMaxSize', IFLA.GSO_MAX_SIZE],
  ['groMaxSize', IFLA.GRO_MAX_SIZE],
  ['gsoIpv4MaxSize', IFLA.GSO_IPV4_MAX_SIZE],
  ['groIpv4MaxSize', IFLA.GRO_IPV4_MAX_SIZE],
] as const

/** Attributes the kernel ignores while it creates a link, and for veth and netkit peers `master` too. */
function writeLaterAttributes(writer: BodyWriter, link: LinkChange, indexOf: IndexOf): void {
  // Without a final zero, which dev_set_alias would count among the 255 bytes it takes.
  if (link.alias !== undefined) writer.attribute(IFLA.IFALIAS, new TextEncoder().encode(link.alias))
  if (link.master !== undefined) writer.attributeU32(IFLA.MASTER, indexOf(link.master))
  const mode = link.addrGenMode
  if (mode !== undefined) {
    writer.nest(IFLA.AF_SPEC, w =>
      w.nest(AF.INET6, v6 => v6.attributeU8(IFLA_INET6_ADDR_GEN_MODE, ADDR_GEN_MODE[mode])),
    )
  }
}

/** What of a link to be created has to be set after its creation; undefined when that is nothing. */
export function laterChange(link: LinkCommon, upToo: boolean): LinkSet | undefined {
  const { name, alias, master, addrGenMode, up } = link
  const later = alias !== undefined || master !== undefined || addrGenMode !== undefined
  if (!later && !(upToo && up === true)) return undefined
  return {
    op: 'link-set',
    link: name,
    ...(alias === undefined ? {} : { alias }),
    ...(master === undefined ? {} : { master }),
    ...(addrGenMode === undefined ? {} : { addrGenMode }),
    ...(up === true ? { up } : {}),
  }
}

export function upFlag(up: boolean | undefined): Header {
  return up === undefined ? {} : { flags: up ? IFF.UP : 0, change: IFF.UP }
}

/** A message about one link, which is named by index or by IFLA_IFNAME. */
function linkMessage(
  type: number,
  flags: number,
  ref: LinkRef,
  header: Header = {},
  fill: (writer: BodyWriter) => void = () => {},
): Message {
  const writer = new BodyWriter()
  if (typeof ref === 'number') linkHeader(writer, { ...header, index: ref })
  else linkHeader(writer, header).attributeText(IFLA.IFNAME, ref)
  fill(writer)
  return { type, flags, body: writer.finish() }
}

/** Bytes of a colon-separated MAC; throws RangeError. */
export function macBytes(mac: string): Uint8Array {
  if (!/^([\da-f]{2}:){5}[\da-f]{2}$/i.test(mac)) throw new RangeError(`'${mac}' is no MAC address`)
  return Uint8Array.from(mac.split(':'), byte => Number.parseInt(byte, 16))
}
export function macText(bytes: Uint8Array | undefined): string {
  return Array.from(bytes ?? [], byte => byte.toString(16).padStart(2, '0')).join(':')
}

/** Reads RTM_NEWLINK; sizes the kernel does not tell (GSO_IPV4 before 6.3) are those of both families together. */
export function decodeLink(message: Received): LinkInfo {
  const view = new DataView(message.body.buffer, message.body.byteOffset)
  const flags = view.getUint32(8, true)
  const a = new Attributes(message.body.subarray(16))
  const gsoMaxSize = a.u32(IFLA.GSO_MAX_SIZE) ?? 0
  const groMaxSize = a.u32(IFLA.GRO_MAX_SIZE) ?? 0
  const info = a.nested(IFLA.LINKINFO)
  const kind = info.text(IFLA_INFO.KIND) ?? ''
  return {
    index: view.getInt32(4, true),
    name: a.text(IFLA.IFNAME) ?? '',
    kind,
    mac: macText(a.bytes(IFLA.ADDRESS)),
    alias: a.text(IFLA.IFALIAS) ?? '',
    group: a.u32(IFLA.GROUP) ?? 0,
    up: (flags & IFF.UP) !== 0,
    carrier: (flags & IFF.LOWER_UP) !== 0,
    loopback: (flags & IFF.LOOPBACK) !== 0,
    master: a.u32(IFLA.MASTER) ?? 0,
    peerIndex: a.u32(IFLA.LINK) ?? 0,
    mtu: a.u32(IFLA.MTU) ?? 0,
    gsoMaxSize,
    groMaxSize,
    gsoIpv4MaxSize: a.u32(IFLA.GSO_IPV4_MAX_SIZE) ?? gsoMaxSize,
    groIpv4MaxSize: a.u32(IFLA.GRO_IPV4_MAX_SIZE) ?? groMaxSize,
    ...(kind === 'vxlan' ? { vxlan: vxlanOf(info.nested(IFLA_INFO.DATA)) } : {}),
  }
}

function vxlanOf(data: Attributes): NonNullable<LinkInfo['vxlan']> {
  const [high = 0, low = 0] = data.bytes(IFLA_VXLAN.PORT) ?? []
  return { port: (high << 8) | low, external: data.u8(IFLA_VXLAN.COLLECT_METADATA) === 1 }
}

/** Whether a message is about a link itself: the same types also tell of a bridge's ports (AF_BRIDGE). */
export function isLinkMessage(message: Received): boolean {
  return (message.type === RTM.NEWLINK || message.type === RTM.DELLINK) && message.body[0] === AF.UNSPEC
}

/** Flags of a message that creates something; `replace` overwrites what is there. */
export function createFlags(replace: boolean | undefined): number {
  return NLM_F.CREATE | (replace === true ? NLM_F.REPLACE : NLM_F.EXCL)
}
