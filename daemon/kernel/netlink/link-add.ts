/** Creating links: one RTM_NEWLINK per kind, and what has to follow it (if_link.h, IFLA_LINKINFO). */
import type { LinkCommon, LinkSpec, NetRequest } from '../kernel.ts'
import { IFLA, IFLA_INFO, IFLA_NETKIT, IFLA_VXLAN, NETKIT_MODE, RTM, VETH_INFO_PEER } from './constants.ts'
import { createFlags, laterChange, linkHeader, upFlag, writeLinkAttributes } from './link.ts'
import { BodyWriter, type Message } from './message.ts'

type LinkSet = Extract<NetRequest, { op: 'link-set' }>
type Peer = LinkCommon & { readonly netns?: string }

/** A change that must follow the creation, in the namespace of that path or else in the one the link was made in. */
export interface LaterChange {
  readonly change: LinkSet
  readonly netns?: string
}

/** The message that creates a link. `netnsFd` gives an open nsfs file for the path of a peer's namespace. */
export function encodeLinkAdd(spec: LinkSpec, netnsFd: (path: string) => number): Message {
  const body = linkHeader(new BodyWriter(), laterChange(spec, false) ? {} : upFlag(spec.up === true || undefined))
  body.attributeText(IFLA.IFNAME, spec.name)
  writeLinkAttributes(body, spec)
  body.nest(IFLA.LINKINFO, info => {
    info.attributeText(IFLA_INFO.KIND, spec.kind)
    writeData(info, spec, netnsFd)
  })
  return { type: RTM.NEWLINK, flags: createFlags(false), body: body.finish() }
}

/**
 * What the creating message cannot do: the kernel ignores alias and address generation in it, and master for a peer;
 * a veth peer that is to go up answers ENOTCONN, because its other end is not there yet. The link itself comes first.
 */
export function laterChanges(spec: LinkSpec): LaterChange[] {
  const own = laterChange(spec, false)
  const later: LaterChange[] = own ? [{ change: own }] : []
  if (spec.kind !== 'veth' && spec.kind !== 'netkit') return later
  const change = laterChange(spec.peer, true)
  if (change) later.push({ change, ...(spec.peer.netns === undefined ? {} : { netns: spec.peer.netns }) })
  return later
}

/** IFLA_INFO_DATA, whose content depends on the kind. */
function writeData(info: BodyWriter, spec: LinkSpec, netnsFd: (path: string) => number): void {
  switch (spec.kind) {
    case 'bridge':
      return
    case 'veth':
      info.nest(IFLA_INFO.DATA, data => data.nest(VETH_INFO_PEER, w => writePeer(w, spec.peer, netnsFd)))
      return
    case 'netkit':
      info.nest(IFLA_INFO.DATA, data => {
        data.attributeU32(IFLA_NETKIT.MODE, NETKIT_MODE[spec.mode])
        data.nest(IFLA_NETKIT.PEER_INFO, w => writePeer(w, spec.peer, netnsFd))
      })
      return
    case 'vxlan':
      info.nest(IFLA_INFO.DATA, data => writeVxlan(data, spec.port))
  }
}

/** The peer's own ifinfomsg and attributes, within which IFLA_NET_NS_FD says where it is born. */
function writePeer(writer: BodyWriter, peer: Peer, netnsFd: (path: string) => number): void {
  linkHeader(writer).attributeText(IFLA.IFNAME, peer.name)
  writeLinkAttributes(writer, peer)
  if (peer.netns !== undefined) writer.attributeU32(IFLA.NET_NS_FD, netnsFd(peer.netns))
}

/**
 * A collect-metadata device, one for all peers: the tunnel key comes with each packet, so there is nothing to learn.
 * UDP checksums of zero over IPv6 are sent and accepted (RFC 6935): the inner packet has its own.
 */
function writeVxlan(data: BodyWriter, port: number): void {
  data
    .attributeU8(IFLA_VXLAN.COLLECT_METADATA, 1)
    .attributeU8(IFLA_VXLAN.LEARNING, 0)
    .attributeBe16(IFLA_VXLAN.PORT, port)
    .attributeU8(IFLA_VXLAN.UDP_ZERO_CSUM6_TX, 1)
    .attributeU8(IFLA_VXLAN.UDP_ZERO_CSUM6_RX, 1)
}
