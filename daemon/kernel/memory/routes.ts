/** Routes of the in-memory kernel, as fib_trie.c and route.c of IPv6 treat them. */
import {
  canonicalAddress,
  canonicalPrefix,
  familyOf,
  formatAddress,
  parseAddress,
  parsePrefix,
  prefixContains,
  widthOf,
} from '../ip.ts'
import { CAUSEWAY_PROTOCOL, type Route, type RouteInfo, type RouteScope } from '../kernel.ts'
import type { Namespace } from './namespace.ts'
import { type Refusal, refuse } from './refuse.ts'

const MAIN_TABLE = 254
/** IP6_RT_PRIO_USER: IPv6 knows no route without a metric. */
const DEFAULT_METRIC6 = 1024
const LOOPBACK = 1

export function addRoute(ns: Namespace, route: Route, replace: boolean): void {
  const { family } = parsePrefix(route.dst)
  const dst = canonicalPrefix(route.dst)
  const table = route.table ?? MAIN_TABLE
  const link = route.link === undefined ? 0 : ns.require(route.link).index
  const metric = route.metric ?? (family === 6 ? DEFAULT_METRIC6 : undefined)
  const same = ns.routes.find(
    r => r.dst === dst && r.table === table && r.metric === metric && (family === 4 || link === 0 || r.link === link),
  )
  if (same && !replace) throw refuse('EEXIST', `add route ${dst}`)
  const made: RouteInfo = {
    ...route,
    dst,
    family,
    table,
    link: outgoingLink(ns, route, family, link),
    protocol: route.protocol ?? CAUSEWAY_PROTOCOL,
    type: route.type ?? 'unicast',
    scope: family === 6 ? 'global' : (route.scope ?? defaultScope(route)),
    ...(route.via === undefined ? {} : { via: canonicalAddress(route.via) }),
    ...(metric === undefined ? {} : { metric }),
  }
  ns.routes = [...ns.routes.filter(r => r !== same), made]
  ns.notify(`route${family}`, { kind: 'route' })
}

/** Deletes the first that has everything the request gives; a request always gives a type, which IPv6 does not look at. */
export function deleteRoute(ns: Namespace, route: Route): void {
  const { family } = parsePrefix(route.dst)
  const link = route.link === undefined ? undefined : ns.find(route.link)?.index
  if (route.link !== undefined && link === undefined) return
  const given = {
    ...route,
    link,
    dst: canonicalPrefix(route.dst),
    table: route.table ?? MAIN_TABLE,
    via: route.via === undefined ? undefined : canonicalAddress(route.via),
    type: route.type ?? 'unicast',
  }
  const fields = ['dst', 'table', 'link', 'via', 'protocol', 'metric'] as const
  const more = family === 4 ? (['type', 'scope', 'src', 'mtu'] as const) : []
  const [found] = ns.routes
    .filter(have => [...fields, ...more].every(field => given[field] === undefined || given[field] === have[field]))
    .toSorted((a, b) => (a.metric ?? 0) - (b.metric ?? 0))
  if (!found) return
  ns.routes = ns.routes.filter(have => have !== found)
  ns.notify(`route${family}`, { kind: 'route' })
}

/** The route to an address in the main table, as RTM_GETROUTE answers; undefined where it leads nowhere. */
export function lookupRoute(ns: Namespace, address: string): RouteInfo | undefined {
  const { family } = parseAddress(address)
  const length = (prefix: string) => parsePrefix(prefix).length
  const connected = ns.addresses
    .filter(a => a.family === family)
    .map(
      (a): RouteInfo => ({
        ...a,
        dst: canonicalPrefix(`${a.address}/${a.prefixLength}`),
        table: MAIN_TABLE,
        protocol: 2,
      }),
    )
  const [found] = [...ns.routes, ...connected]
    .filter(r => r.table === MAIN_TABLE && r.family === family && prefixContains(r.dst, address))
    .toSorted((a, b) => length(b.dst) - length(a.dst) || (a.metric ?? 0) - (b.metric ?? 0))
  if (!found || found.type === 'unreachable' || found.type === 'blackhole') return undefined
  return { ...found, dst: `${formatAddress(parseAddress(address))}/${widthOf(familyOf(address))}` }
}

function defaultScope(route: Route): RouteScope {
  if (route.type === 'local') return 'host'
  return route.via === undefined && (route.type ?? 'unicast') === 'unicast' ? 'link' : 'global'
}

/** The device a route leaves by; throws what the kernel answers to a route that cannot work. */
function outgoingLink(ns: Namespace, route: Route, family: number, link: number): number {
  const fail = (code: Refusal, text: string) => refuse(code, `add route ${route.dst}`, text)
  // IPv6 hangs what leads nowhere on the loopback device.
  if (route.type !== undefined && route.type !== 'unicast') return family === 6 && link === 0 ? LOOPBACK : link
  const device = link !== 0 ? link : linkTowards(ns, route.via)
  const found = ns.links.get(device)
  if (!found) throw fail(family === 4 ? 'ENETUNREACH' : 'ENODEV', 'Nexthop has invalid gateway')
  if (!found.up) throw fail('ENETDOWN', 'Device for nexthop is not up')
  const linkLocal = route.via?.startsWith('fe80:') === true
  const direct = route.via === undefined || route.onlink === true || linkLocal
  if (!direct && linkTowards(ns, route.via) !== device) throw fail('ENETUNREACH', 'Nexthop has invalid gateway')
  return device
}

/** The device a gateway is directly reached by: a connected prefix or a route without a gateway; 0 for none. */
function linkTowards(ns: Namespace, gateway: string | undefined): number {
  if (gateway === undefined) return 0
  const connected = ns.addresses.find(a => prefixContains(`${a.address}/${a.prefixLength}`, gateway))
  const onLink = ns.routes.find(r => r.via === undefined && prefixContains(r.dst, gateway))
  return onLink?.link ?? connected?.link ?? 0
}
