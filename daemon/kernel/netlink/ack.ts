/** What the kernel answers to a request: an error number and, with NETLINK_EXT_ACK, a text (netlink(7)). */
import { NLM_F, NLMSG, NLMSGERR_ATTR } from './constants.ts'
import { Attributes, HEADER_BYTES, type Received } from './message.ts'

export interface Ack {
  /** 0 for success. */
  readonly errno: number
  readonly kernelText: string
}

/** The outcome in a message of type ERROR or DONE; undefined for any other. */
export function readAck(message: Received): Ack | undefined {
  if (message.type !== NLMSG.ERROR && message.type !== NLMSG.DONE) return undefined
  const { body } = message
  if (body.length < 4) return { errno: 0, kernelText: '' }
  const errno = 0 - new DataView(body.buffer, body.byteOffset).getInt32(0, true)
  return { errno, kernelText: errno === 0 ? '' : extendedText(message) }
}

function extendedText(message: Received): string {
  if ((message.flags & NLM_F.ACK_TLVS) === 0) return ''
  const attributes = new Attributes(message.body.subarray(attributesAt(message)))
  const said = attributes.text(NLMSGERR_ATTR.MSG) ?? ''
  const missing = attributes.u32(NLMSGERR_ATTR.MISS_TYPE)
  if (missing === undefined) return said
  return `${said}${said === '' ? '' : ', '}missing attribute ${missing}`
}

/** After the error number stands, for ERROR only, the request's header, and its body too unless the kernel left it out. */
function attributesAt(message: Received): number {
  if (message.type === NLMSG.DONE) return 4
  if ((message.flags & NLM_F.CAPPED) !== 0) return 4 + HEADER_BYTES
  const echoed = new DataView(message.body.buffer, message.body.byteOffset).getUint32(4, true)
  return 4 + ((echoed + 3) & ~3)
}
