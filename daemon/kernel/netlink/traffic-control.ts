/** clsact qdiscs and direct-action eBPF filters (tc-bpf(8), struct tcmsg). */
import type { FilterInfo, FilterPlace, NetRequest, QdiscInfo } from '../kernel.ts'
import {
  AF,
  ETH_P_ALL,
  NLM_F,
  RTM,
  TCA,
  TCA_BPF,
  TCA_BPF_FLAG_ACT_DIRECT,
  TCM_IFINDEX_MAGIC_BLOCK,
  TC_H,
} from './constants.ts'
import { createFlags, type IndexOf } from './link.ts'
import { Attributes, BodyWriter, type Message, type Received } from './message.ts'

/** Every filter of ours has this handle, so that a second one of its priority replaces the first. */
const FILTER_HANDLE = 1

interface Header {
  readonly index: number
  readonly handle?: number
  readonly parent?: number
  readonly info?: number
}

/** Writes struct tcmsg. */
function tcHeader({ index, handle = 0, parent = 0, info = 0 }: Header): BodyWriter {
  return new BodyWriter().u8(AF.UNSPEC).u8(0).u16(0).u32(index).u32(handle).u32(parent).u32(info)
}

export function encodeClsact(
  request: Extract<NetRequest, { op: 'clsact-add' | 'clsact-delete' }>,
  indexOf: IndexOf,
): Message {
  const body = tcHeader({ index: indexOf(request.link), handle: TC_H.CLSACT_HANDLE, parent: TC_H.CLSACT })
  body.attributeText(TCA.KIND, 'clsact')
  if (request.op === 'clsact-delete') return { type: RTM.DELQDISC, flags: 0, body: body.finish() }
  if (request.ingressBlock !== undefined) body.attributeU32(TCA.INGRESS_BLOCK, request.ingressBlock)
  if (request.egressBlock !== undefined) body.attributeU32(TCA.EGRESS_BLOCK, request.egressBlock)
  return { type: RTM.NEWQDISC, flags: createFlags(false), body: body.finish() }
}

/** One message with CREATE and REPLACE: the kernel swaps the program under the packets, without a gap (cls_bpf.c). */
export function encodeFilterReplace(request: Extract<NetRequest, { op: 'filter-replace' }>, indexOf: IndexOf): Message {
  const body = filterHeader(request.at, request.priority, indexOf)
  body.nest(TCA.OPTIONS, options =>
    options
      .attributeU32(TCA_BPF.FD, request.programFd)
      .attributeText(TCA_BPF.NAME, request.name)
      .attributeU32(TCA_BPF.FLAGS, TCA_BPF_FLAG_ACT_DIRECT),
  )
  return { type: RTM.NEWTFILTER, flags: NLM_F.CREATE | NLM_F.REPLACE, body: body.finish() }
}

export function encodeFilterDelete(request: Extract<NetRequest, { op: 'filter-delete' }>, indexOf: IndexOf): Message {
  const body = filterHeader(request.at, request.priority, indexOf)
  return { type: RTM.DELTFILTER, flags: 0, body: body.finish() }
}

export function encodeFilterDump(at: FilterPlace, indexOf: IndexOf): Message {
  return { type: RTM.GETTFILTER, flags: 0, body: tcHeader(headerOf(at, indexOf)).finish() }
}

/** Reads RTM_NEWTFILTER; undefined for the entry of a priority itself, which comes before its filters. */
export function decodeFilter(message: Received): FilterInfo | undefined {
  const view = new DataView(message.body.buffer, message.body.byteOffset)
  const a = new Attributes(message.body.subarray(20))
  if (view.getUint32(8, true) === 0) return undefined
  const name = a.text(TCA.KIND) === 'bpf' ? a.nested(TCA.OPTIONS).text(TCA_BPF.NAME) : undefined
  return { priority: view.getUint16(18, true), name: name ?? '' }
}

function filterHeader(at: FilterPlace, priority: number, indexOf: IndexOf): BodyWriter {
  // The protocol stands in network order in the lower half.
  const info = ((priority << 16) | ((ETH_P_ALL & 0xff) << 8) | (ETH_P_ALL >> 8)) >>> 0
  return tcHeader({ ...headerOf(at, indexOf), handle: FILTER_HANDLE, info }).attributeText(TCA.KIND, 'bpf')
}

function headerOf(at: FilterPlace, indexOf: IndexOf): Pick<Header, 'index' | 'parent'> {
  return 'block' in at
    ? { index: TCM_IFINDEX_MAGIC_BLOCK, parent: at.block }
    : { index: indexOf(at.link), parent: at.side === 'ingress' ? TC_H.INGRESS : TC_H.EGRESS }
}

export function encodeQdiscDump(): Message {
  return { type: RTM.GETQDISC, flags: 0, body: tcHeader({ index: 0 }).finish() }
}

/** Reads RTM_NEWQDISC; a block of 0 is none. */
export function decodeQdisc(message: Received): QdiscInfo {
  const view = new DataView(message.body.buffer, message.body.byteOffset)
  const a = new Attributes(message.body.subarray(20))
  return {
    link: view.getUint32(4, true),
    kind: a.text(TCA.KIND) ?? '',
    ingressBlock: a.u32(TCA.INGRESS_BLOCK) ?? 0,
    egressBlock: a.u32(TCA.EGRESS_BLOCK) ?? 0,
  }
}
