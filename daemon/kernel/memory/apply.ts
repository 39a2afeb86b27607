/**
 * Carries one request out on a namespace of the in-memory kernel, refusing what the port refuses; deleting what is not
 * there succeeds.
 */
import {
  canonicalAddress,
  canonicalPrefix,
  familyOf,
  formatAddress,
  parsePrefix,
  prefixContains,
  widthOf,
} from '../ip.ts'
import { CAUSEWAY_PROTOCOL, type LinkRef, type NetRequest, type Route } from '../kernel.ts'
import { deviceSysctl } from '../sysctl-name.ts'
import { addLink, setLink } from './links.ts'
import type { Namespace } from './namespace.ts'
import { type Refusal, refuse } from './refuse.ts'

type Of<Op extends NetRequest['op']> = Extract<NetRequest, { readonly op: Op }>

/** Finds a namespace by its nsfs path; throws ENOENT. */
export type NamespaceAt = (path: string) => Namespace

export function apply(ns: Namespace, request: NetRequest, namespaceAt: NamespaceAt): void {
  switch (request.op) {
    case 'link-add':
      return addLink(ns, request.link, namespaceAt)
    case 'link-set':
      return setLink(ns, request)
    case 'link-delete':
      return removeLink(ns, request.link)
    case 'group-delete':
      return deleteGroup(ns, request.group)
    case 'address-add':
    case 'address-delete':
      return changeAddress(ns, request)
    case 'route-add':
    case 'route-delete':
      return changeRoute(ns, request)
    case 'rule-add':
    case 'rule-delete':
      return changeRule(ns, request)
    case 'neighbour-add':
    case 'neighbour-delete':
      return changeNeighbour(ns, request)
    case 'clsact-add':
      return addClsact(ns, request)
    case 'clsact-delete':
      return deleteClsact(ns, request.link)
    case 'filter-replace':
    case 'filter-delete':
      return changeFilter(ns, request)
  }
}

function removeLink(ns: Namespace, ref: LinkRef): void {
  const link = ns.find(ref)
  if (link) ns.remove(link)
}

function deleteGroup(ns: Namespace, group: number): void {
  for (const link of ns.links.values()) if (link.group === group) ns.remove(link)
}

function deleteClsact(ns: Namespace, ref: LinkRef): void {
  const link = ns.find(ref)
  if (link) ns.dropQdisc(link)
}

function changeAddress(ns: Namespace, request: Of<'address-add' | 'address-delete'>): void {
  if (request.op === 'address-delete' && !ns.find(request.link)) return
  const link = ns.require(request.link)
  const { length, ...parsed } = parsePrefix(request.address)
  const { family } = parsed
  const address = formatAddress(parsed)
  const what = `${request.op} ${request.address} on ${link.name}`
  const rest = ns.addresses.filter(a => a.link !== link.index || a.address !== address || a.prefixLength !== length)
  const existed = rest.length < ns.addresses.length
  if (request.op === 'address-delete') {
    ns.addresses = rest
    return
  }
  if (existed && request.replace !== true) throw refuse('EEXIST', what, 'Address already assigned')
  if (family === 6 && ns.sysctls.get(deviceSysctl(6, link.name, 'disable_ipv6')) === '1') {
    throw refuse('EACCES', what, 'IPv6 is disabled on this device')
  }
  const scope = request.scope ?? 'global'
  ns.addresses = [...rest, { link: link.index, family, address, prefixLength: length, scope, dynamic: false }]
}

function changeRoute(ns: Namespace, request: Of<'route-add' | 'route-delete'>): void {
  const { route } = request
  const { family } = parsePrefix(route.dst)
  const dst = canonicalPrefix(route.dst)
  const table = route.table ?? 254
  const metric = route.metric ?? (family === 6 ? 1024 : undefined)
  if (request.op === 'route-delete' && route.link !== undefined && !ns.find(route.link)) return
  const link = route.link === undefined ? 0 : ns.require(route.link).index
  const same = ns.routes.find(
    r =>
      r.dst === dst &&
      r.table === table &&
      (r.metric ?? 0) === (metric ?? 0) &&
      (link === 0 || same6(family, r.link, link)),
  )
  if (request.op === 'route-delete') {
    ns.routes = ns.routes.filter(r => r !== same)
    return
  }
  if (same && request.replace !== true) throw refuse('EEXIST', `add route ${dst}`)
  const device = checkRoute(ns, route, family, link)
  const protocol = route.protocol ?? CAUSEWAY_PROTOCOL
  const made = { ...route, dst, family, link: device, table, protocol, ...(metric === undefined ? {} : { metric }) }
  ns.routes = [...ns.routes.filter(r => r !== same), made]
}

/** IPv6 keeps routes to one prefix over several devices apart; IPv4 tells them by metric alone. */
function same6(family: number, a: number, b: number): boolean {
  return family === 4 || a === b
}

/** The device a route leaves by; throws what the kernel answers to a route that cannot work. */
function checkRoute(ns: Namespace, route: Route, family: number, link: number): number {
  const fail = (code: Refusal, text: string) => refuse(code, `add route ${route.dst}`, text)
  if (route.type !== undefined && route.type !== 'unicast') return link
  const device = link !== 0 ? link : via(ns, route.via)
  const found = ns.links.get(device)
  if (!found) throw fail(family === 4 ? 'ENETUNREACH' : 'ENODEV', 'Nexthop has invalid gateway')
  if (!found.up) throw fail('ENETDOWN', 'Device for nexthop is not up')
  const linkLocal = route.via?.startsWith('fe80:') === true
  const reachable = route.via === undefined || route.onlink === true || linkLocal || via(ns, route.via) === device
  if (!reachable) throw fail('ENETUNREACH', 'Nexthop has invalid gateway')
  return device
}

/** The device a gateway is directly reached by: a connected prefix or a route without a gateway; 0 for none. */
function via(ns: Namespace, gateway: string | undefined): number {
  if (gateway === undefined) return 0
  const connected = ns.addresses.find(a => prefixContains(`${a.address}/${a.prefixLength}`, gateway))
  const onLink = ns.routes.find(r => r.via === undefined && prefixContains(r.dst, gateway))
  return onLink?.link ?? connected?.link ?? 0
}

function changeRule(ns: Namespace, request: Of<'rule-add' | 'rule-delete'>): void {
  const text = JSON.stringify(request.rule)
  const rest = ns.rules.filter(rule => JSON.stringify(rule) !== text)
  const existed = rest.length < ns.rules.length
  if (request.op === 'rule-add' && existed) throw refuse('EEXIST', `add rule ${text}`)
  ns.rules = request.op === 'rule-add' ? [...rest, request.rule] : rest
}

function changeNeighbour(ns: Namespace, request: Of<'neighbour-add' | 'neighbour-delete'>): void {
  if (request.op === 'neighbour-delete' && !ns.find(request.link)) return
  const link = ns.require(request.link)
  const address = canonicalAddress(request.address)
  const what = `${request.op} ${address} on ${link.name}`
  const rest = ns.neighbours.filter(n => n.link !== link.index || n.address !== address)
  const existed = rest.length < ns.neighbours.length
  if (request.op === 'neighbour-delete') {
    ns.neighbours = rest
    return
  }
  if (existed && request.replace !== true) throw refuse('EEXIST', what)
  if (!link.up) throw refuse('ENETDOWN', what)
  if (request.mac === undefined) throw refuse('EINVAL', what, 'a permanent neighbour needs a MAC')
  ns.neighbours = [...rest, { link: link.index, address, mac: request.mac, permanent: true }]
}

function addClsact(ns: Namespace, request: Of<'clsact-add'>): void {
  const link = ns.require(request.link)
  if (ns.qdiscs.some(q => q.link === link.index)) throw refuse('EEXIST', `add clsact to ${link.name}`)
  const { ingressBlock = 0, egressBlock = 0 } = request
  ns.qdiscs = [...ns.qdiscs, { link: link.index, kind: 'clsact', ingressBlock, egressBlock }]
}

function changeFilter(ns: Namespace, request: Of<'filter-replace' | 'filter-delete'>): void {
  if (request.op === 'filter-delete' && !ns.hasPlace(request.at)) return
  ns.requireUnbound(request.at)
  const place = ns.place(request.at)
  const rest = ns.filters.filter(f => f.place !== place || f.priority !== request.priority)
  if (request.op === 'filter-delete') {
    ns.filters = rest
    return
  }
  const { priority, programFd, name } = request
  ns.filters = [...rest, { place, priority, programFd, name }]
}

/** The most specific route to an address, as RTM_GETROUTE answers; unreachable and blackhole routes answer nothing. */
export function lookupRoute(ns: Namespace, address: string): Namespace['routes'][number] | undefined {
  const length = (prefix: string) => parsePrefix(prefix).length
  const found = ns.routes
    .filter(r => r.table === 254 && r.family === familyOf(address) && prefixContains(r.dst, address))
    .sort((a, b) => length(b.dst) - length(a.dst) || (a.metric ?? 0) - (b.metric ?? 0))[0]
  if (found) return found.type === 'unreachable' || found.type === 'blackhole' ? undefined : found
  const own = ns.addresses.find(a => prefixContains(`${a.address}/${a.prefixLength}`, address))
  if (!own) return undefined
  const dst = `${canonicalAddress(address)}/${widthOf(familyOf(address))}`
  return { dst, family: own.family, link: own.link, table: 254, protocol: 2 }
}
