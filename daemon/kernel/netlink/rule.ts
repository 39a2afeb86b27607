/** Routing rules that look up a table (ip-rule(8), struct fib_rule_hdr). */
import { textOf } from '../ip.ts'
import type { NetRequest, Prefix, Rule } from '../kernel.ts'
import { AF, FRA, FR_ACT_TO_TBL, RTM, RT_TABLE } from './constants.ts'
import { createFlags } from './link.ts'
import { Attributes, BodyWriter, type Message, type Received } from './message.ts'
import { afOfFamily, familyOfAf, prefixOf } from './values.ts'

/** Adds or deletes a rule; a deletion matches what the request gives. */
export function encodeRule({ op, rule }: Extract<NetRequest, { op: 'rule-add' | 'rule-delete' }>): Message {
  const to = rule.to === undefined ? undefined : prefixOf(rule.to)
  const from = rule.from === undefined ? undefined : prefixOf(rule.from)
  const body = new BodyWriter()
  body
    .u8(afOfFamily(rule.family))
    .u8(to?.length ?? 0)
    .u8(from?.length ?? 0)
    .u8(0)
  body
    .u8(rule.table > 255 ? RT_TABLE.UNSPEC : rule.table)
    .u8(0)
    .u8(0)
    .u8(FR_ACT_TO_TBL)
    .u32(0)
  if (to) body.attribute(FRA.DST, to.bytes)
  if (from) body.attribute(FRA.SRC, from.bytes)
  body.attributeU32(FRA.PRIORITY, rule.priority).attributeU32(FRA.TABLE, rule.table)
  if (rule.mark) body.attributeU32(FRA.FWMARK, rule.mark.value).attributeU32(FRA.FWMASK, rule.mark.mask)
  if (rule.protocol !== undefined) body.attributeU8(FRA.PROTOCOL, rule.protocol)
  if (op === 'rule-delete') return { type: RTM.DELRULE, flags: 0, body: body.finish() }
  return { type: RTM.NEWRULE, flags: createFlags(false), body: body.finish() }
}

export function encodeRuleDump(): Message {
  return { type: RTM.GETRULE, flags: 0, body: new BodyWriter().u32(AF.UNSPEC).u32(0).u32(0).finish() }
}

/** Reads RTM_NEWRULE; undefined for other families than IP and for rules that look up no table. */
export function decodeRule(message: Received): Rule | undefined {
  const { body } = message
  const family = familyOfAf(body[0] ?? 0)
  if (family === undefined || body[7] !== FR_ACT_TO_TBL) return undefined
  const a = new Attributes(body.subarray(12))
  const from = prefixText(a.bytes(FRA.SRC), body[2])
  const to = prefixText(a.bytes(FRA.DST), body[1])
  const mark = a.u32(FRA.FWMARK)
  const protocol = a.u8(FRA.PROTOCOL)
  return {
    family,
    priority: a.u32(FRA.PRIORITY) ?? 0,
    table: a.u32(FRA.TABLE) ?? body[4] ?? 0,
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(mark === undefined ? {} : { mark: { value: mark, mask: a.u32(FRA.FWMASK) ?? 0xffffffff } }),
    ...(protocol === undefined ? {} : { protocol }),
  }
}

function prefixText(bytes: Uint8Array | undefined, length = 0): Prefix | undefined {
  return bytes && `${textOf(bytes)}/${length}`
}
