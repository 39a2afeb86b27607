/** Addresses of links (rtnetlink(7), struct ifaddrmsg). */
import { textOf } from '../ip.ts'
import type { AddressInfo, NetRequest } from '../kernel.ts'
import { AF, IFA, IFA_F, RTM, RT_SCOPE } from './constants.ts'
import { createFlags, type IndexOf } from './link.ts'
import { Attributes, BodyWriter, type Message, type Received } from './message.ts'
import { afOf, familyOfAf, prefixOf, scopeOf } from './values.ts'

export function encodeAddress(
  request: Extract<NetRequest, { op: 'address-add' | 'address-delete' }>,
  indexOf: IndexOf,
): Message {
  const { bytes, length } = prefixOf(request.address)
  const body = new BodyWriter()
  const scope = RT_SCOPE[request.scope ?? 'global']
  body.u8(afOf(bytes)).u8(length).u8(0).u8(scope).u32(indexOf(request.link))
  body.attribute(IFA.LOCAL, bytes).attribute(IFA.ADDRESS, bytes)
  if (request.op === 'address-delete') return { type: RTM.DELADDR, flags: 0, body: body.finish() }
  if (request.noDad === true) body.attributeU32(IFA.FLAGS, IFA_F.NODAD)
  return { type: RTM.NEWADDR, flags: createFlags(request.replace), body: body.finish() }
}

export function encodeAddressDump(): Message {
  return { type: RTM.GETADDR, flags: 0, body: new BodyWriter().u32(AF.UNSPEC).u32(0).finish() }
}

/** Reads RTM_NEWADDR; undefined for other families than IP. On a point-to-point link the address is the local one. */
export function decodeAddress(message: Received): AddressInfo | undefined {
  const view = new DataView(message.body.buffer, message.body.byteOffset)
  const family = familyOfAf(view.getUint8(0))
  const a = new Attributes(message.body.subarray(8))
  const address = a.bytes(IFA.LOCAL) ?? a.bytes(IFA.ADDRESS)
  if (family === undefined || address === undefined) return undefined
  const flags = a.u32(IFA.FLAGS) ?? view.getUint8(2)
  return {
    link: view.getUint32(4, true),
    family,
    address: textOf(address),
    prefixLength: view.getUint8(1),
    scope: scopeOf(view.getUint8(3)),
    dynamic: (flags & IFA_F.PERMANENT) === 0,
  }
}
