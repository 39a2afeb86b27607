/** Routes (rtnetlink(7), struct rtmsg). */
import { bytesOf, textOf } from '../ip.ts'
import { type Address, CAUSEWAY_PROTOCOL, type NetRequest, type Prefix, type Route, type RouteInfo } from '../kernel.ts'
import { AF, RTA, RTAX_MTU, RTM, RTM_F, RTN, RTNH_F_ONLINK, RT_SCOPE, RT_TABLE } from './constants.ts'
import { createFlags, type IndexOf } from './link.ts'
import { Attributes, BodyWriter, type Message, type Received } from './message.ts'
import { afOf, defaultPrefix, familyOfAf, prefixOf, scopeOf } from './values.ts'

type RouteType = keyof typeof RTN

/**
 * Adds or deletes a route. Without a protocol an added one is the daemon's (CAUSEWAY_PROTOCOL), a deleted one anyone's;
 * without a scope a deleted one has any.
 */
export function encodeRoute(
  request: Extract<NetRequest, { op: 'route-add' | 'route-delete' }>,
  indexOf: IndexOf,
): Message {
  const { route } = request
  const adding = request.op === 'route-add'
  const { bytes, length } = prefixOf(route.dst)
  const table = route.table ?? RT_TABLE.MAIN
  const body = new BodyWriter()
  body.u8(afOf(bytes)).u8(length).u8(0).u8(0)
  // Tables beyond one byte stand only in RTA_TABLE.
  body.u8(table > 255 ? RT_TABLE.UNSPEC : table)
  body.u8(route.protocol ?? (adding ? CAUSEWAY_PROTOCOL : 0))
  body.u8(adding || route.scope !== undefined ? RT_SCOPE[route.scope ?? defaultScope(route, bytes)] : RT_SCOPE.nowhere)
  body.u8(RTN[route.type ?? 'unicast']).u32(route.onlink === true ? RTNH_F_ONLINK : 0)
  if (length > 0) body.attribute(RTA.DST, bytes)
  writeRouteAttributes(body, route, table, bytes, indexOf)
  if (!adding) return { type: RTM.DELROUTE, flags: 0, body: body.finish() }
  return { type: RTM.NEWROUTE, flags: createFlags(request.replace), body: body.finish() }
}

function writeRouteAttributes(body: BodyWriter, route: Route, table: number, dst: Uint8Array, indexOf: IndexOf): void {
  body.attributeU32(RTA.TABLE, table)
  if (route.via !== undefined) writeVia(body, bytesOf(route.via), dst)
  if (route.link !== undefined) body.attributeU32(RTA.OIF, indexOf(route.link))
  if (route.src !== undefined) body.attribute(RTA.PREFSRC, bytesOf(route.src))
  if (route.metric !== undefined) body.attributeU32(RTA.PRIORITY, route.metric)
  const mtu = route.mtu
  if (mtu !== undefined) body.nest(RTA.METRICS, metrics => metrics.attributeU32(RTAX_MTU, mtu))
}

/** A gateway of the other family goes into RTA_VIA, behind its AF number (struct rtvia, RFC 5549). */
function writeVia(body: BodyWriter, via: Uint8Array, dst: Uint8Array): void {
  if (via.length === dst.length) body.attribute(RTA.GATEWAY, via)
  else body.attribute(RTA.VIA, new BodyWriter().u16(afOf(via)).raw(via).finish())
}

/** What ip-route(8) takes: the scope of IPv4 routes says how far the destination is; IPv6 knows none. */
function defaultScope(route: Route, dst: Uint8Array): keyof typeof RT_SCOPE {
  if (route.type === 'local') return 'host'
  const direct = route.via === undefined && (route.type ?? 'unicast') === 'unicast'
  return direct && dst.length === 4 ? 'link' : 'global'
}

/** Asks for all routes, or for those of one protocol (NETLINK_GET_STRICT_CHK has the kernel look at it). */
export function encodeRouteDump(protocol = 0): Message {
  const body = new BodyWriter().u32(AF.UNSPEC).u8(RT_TABLE.UNSPEC).u8(protocol).u8(0).u8(0).u32(0)
  return { type: RTM.GETROUTE, flags: 0, body: body.finish() }
}

/** Asks for the route the kernel would take. */
export function encodeRouteLookup(address: Address): Message {
  const bytes = bytesOf(address)
  const body = new BodyWriter()
  body
    .u8(afOf(bytes))
    .u8(bytes.length * 8)
    .u8(0)
    .u8(0)
  // IPv4 tells the table only when asked to; IPv6 always does and refuses the flag.
  body
    .u32(0)
    .u32(bytes.length === 4 ? RTM_F.LOOKUP_TABLE : 0)
    .attribute(RTA.DST, bytes)
  return { type: RTM.GETROUTE, flags: 0, body: body.finish() }
}

/**
 * Reads RTM_NEWROUTE. Undefined for what `Route` cannot say: other families than IP, cached routes, and the types the
 * kernel keeps for itself or nobody plans (broadcast, anycast, multicast, prohibit, throw). Of several next hops the
 * first is told.
 */
export function decodeRoute(message: Received): RouteInfo | undefined {
  const { body } = message
  const view = new DataView(body.buffer, body.byteOffset)
  const family = familyOfAf(view.getUint8(0))
  const type = routeType(view.getUint8(7))
  const flags = view.getUint32(8, true)
  if (family === undefined || type === undefined || (flags & RTM_F.CLONED) !== 0) return undefined
  return describe(family, type, view, new Attributes(body.subarray(12)))
}

/** The answer to a look-up, which is marked as cached although it is what was asked for. */
export function decodeRouteLookup(message: Received): RouteInfo | undefined {
  const view = new DataView(message.body.buffer, message.body.byteOffset)
  const family = familyOfAf(view.getUint8(0))
  const type = routeType(view.getUint8(7))
  if (family === undefined || (type !== 'unicast' && type !== 'local')) return undefined
  return describe(family, type, view, new Attributes(message.body.subarray(12)))
}

function describe(family: 4 | 6, type: RouteType, view: DataView, a: Attributes): RouteInfo {
  const hop = nextHop(view.getUint32(8, true), a)
  const src = a.bytes(RTA.PREFSRC)
  const metric = a.u32(RTA.PRIORITY)
  const mtu = a.nested(RTA.METRICS).u32(RTAX_MTU)
  return {
    family,
    dst: destination(family, view.getUint8(1), a.bytes(RTA.DST)),
    link: hop.link,
    table: a.u32(RTA.TABLE) ?? view.getUint8(4),
    protocol: view.getUint8(5),
    scope: scopeOf(view.getUint8(6)),
    type,
    ...(hop.via === undefined ? {} : { via: hop.via }),
    ...(hop.onlink ? { onlink: true } : {}),
    ...(src === undefined ? {} : { src: textOf(src) }),
    ...(metric === undefined ? {} : { metric }),
    ...(mtu === undefined || mtu === 0 ? {} : { mtu }),
  }
}

interface NextHop {
  readonly link: number
  readonly via: Address | undefined
  readonly onlink: boolean
}

/** The next hop, or the first of several: struct rtnexthop (length, flags, hops, index) and its attributes. */
function nextHop(flags: number, a: Attributes): NextHop {
  const several = a.bytes(RTA.MULTIPATH)
  if (several && several.length >= 8) {
    const view = new DataView(several.buffer, several.byteOffset)
    const inner = new Attributes(several.subarray(8, view.getUint16(0, true)))
    return { link: view.getInt32(4, true), via: gateway(inner), onlink: (view.getUint8(2) & RTNH_F_ONLINK) !== 0 }
  }
  return { link: a.u32(RTA.OIF) ?? 0, via: gateway(a), onlink: (flags & RTNH_F_ONLINK) !== 0 }
}

function gateway(a: Attributes): Address | undefined {
  const bytes = a.bytes(RTA.GATEWAY) ?? a.bytes(RTA.VIA)?.subarray(2)
  return bytes && textOf(bytes)
}

function destination(family: 4 | 6, length: number, dst: Uint8Array | undefined): Prefix {
  return dst === undefined ? defaultPrefix(family) : `${textOf(dst)}/${length}`
}

function routeType(type: number): RouteType | undefined {
  for (const name of ['unicast', 'local', 'blackhole', 'unreachable'] as const) if (RTN[name] === type) return name
  return undefined
}
