/** Neighbours: which MAC an address has on a link (rtnetlink(7), struct ndmsg). */
import { bytesOf, textOf } from '../ip.ts'
import type { NeighbourInfo, NetRequest } from '../kernel.ts'
import { AF, NDA, NUD, RTM } from './constants.ts'
import { createFlags, type IndexOf, macBytes, macText } from './link.ts'
import { Attributes, BodyWriter, type Message, type Received } from './message.ts'
import { afOf, familyOfAf } from './values.ts'

/** Adds a permanent neighbour or deletes one. Throws RangeError when one to be added has no MAC. */
export function encodeNeighbour(
  request: Extract<NetRequest, { op: 'neighbour-add' | 'neighbour-delete' }>,
  indexOf: IndexOf,
): Message {
  const address = bytesOf(request.address)
  const adding = request.op === 'neighbour-add'
  const body = new BodyWriter()
  body.u8(afOf(address)).u8(0).u16(0).u32(indexOf(request.link))
  body
    .u16(adding ? NUD.PERMANENT : 0)
    .u8(0)
    .u8(0)
    .attribute(NDA.DST, address)
  if (!adding) return { type: RTM.DELNEIGH, flags: 0, body: body.finish() }
  if (request.mac === undefined) throw new RangeError(`neighbour ${request.address} needs a MAC`)
  body.attribute(NDA.LLADDR, macBytes(request.mac))
  return { type: RTM.NEWNEIGH, flags: createFlags(request.replace), body: body.finish() }
}

export function encodeNeighbourDump(): Message {
  return { type: RTM.GETNEIGH, flags: 0, body: new BodyWriter().u32(AF.UNSPEC).u32(0).u32(0).finish() }
}

/** Reads RTM_NEWNEIGH; undefined for other families than IP. `mac` is empty while it is not resolved. */
export function decodeNeighbour(message: Received): NeighbourInfo | undefined {
  const view = new DataView(message.body.buffer, message.body.byteOffset)
  const a = new Attributes(message.body.subarray(12))
  const address = a.bytes(NDA.DST)
  if (familyOfAf(view.getUint8(0)) === undefined || address === undefined) return undefined
  return {
    link: view.getUint32(4, true),
    address: textOf(address),
    mac: macText(a.bytes(NDA.LLADDR)),
    permanent: (view.getUint16(8, true) & NUD.PERMANENT) !== 0,
  }
}
