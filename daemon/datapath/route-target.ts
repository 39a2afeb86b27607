/**
 * Carries the table `routes` into the kernel. Pods' own host routes are the endpoints' and left alone: they leave by a
 * pod's device and have no gateway, so no deletion here, which names one, means them.
 */
import { CAUSEWAY_PROTOCOL, type Net, type NetRequest, type Route, type RouteInfo } from '../kernel/kernel.ts'
import { type Clock, systemClock } from '../state/clock.ts'
import { routeKey, type RouteRow } from '../state/tables.ts'
import type { Target } from '../state/target.ts'
import { isPodDevice } from './pod-device.ts'

/** From so many rows on, a look at all routes costs less than writing those that stand already. */
const LOOK_FROM = 32
/** So long it serves further rows: those of thousands of nodes come in many batches. What others change is told. */
const LOOK_MS = 2000

/** A reconciler target; every operation is idempotent. Throws NetlinkError, such as ENETUNREACH while an uplink is down. */
export function routeTarget(net: Net, clock: Clock = systemClock): Target<RouteRow> {
  let seen: Look | undefined
  const look = (rows: readonly RouteRow[]): Look => {
    if (seen !== undefined && !rows.some(row => seen?.touched.has(routeKey(row)))) return seen
    const fresh = lookAt(net)
    clock.after(LOOK_MS, () => (seen = seen === fresh ? undefined : seen))
    return (seen = fresh)
  }
  const touch = (rows: readonly RouteRow[]): void => {
    if (seen !== undefined) for (const row of rows) seen.touched.add(routeKey(row))
  }
  const write = (rows: readonly RouteRow[]): void => {
    touch(rows)
    if (rows.length > 0) net.run(rows.map(row => ({ op: 'route-add', route: withoutOwner(row), replace: true })))
  }
  const remove = (rows: readonly RouteRow[]): void => {
    touch(rows)
    net.run(rows.map(deletionOf))
  }
  return {
    update(row) {
      write([row])
      return true
    },
    updateBatch(rows) {
      const wrong = rows.length < LOOK_FROM ? rows : differing(look(rows), rows)
      write(wrong)
      return wrong.length
    },
    differing: rows => differing(lookAt(net), rows),
    delete: row => remove([row]),
    deleteBatch: remove,
    prune(desired) {
      const wanted = new Set(Array.from(desired.values(), routeKey))
      const surplus = routesOf(net).filter(route => !wanted.has(routeKey(route)))
      if (surplus.length > 0) net.run(surplus.map(route => ({ op: 'route-delete', route })))
      return surplus.length
    },
  }
}

/** What a look at the kernel has found. */
interface Look {
  readonly routes: ReadonlyMap<string, RouteInfo>
  /** Indices of devices. */
  readonly links: ReadonlyMap<string, number>
  /** Keys of routes that were written or removed since. */
  readonly touched: Set<string>
}

function lookAt(net: Net): Look {
  return {
    routes: new Map(routesOf(net).map(route => [routeKey(route), route])),
    links: new Map(net.links().map(l => [l.name, l.index])),
    touched: new Set(),
  }
}

/** Rows that the kernel lacks or has otherwise. */
function differing({ routes, links }: Look, rows: Iterable<RouteRow>): RouteRow[] {
  return [...rows].filter(row => !sameWay(routes.get(routeKey(row)), row, links))
}

/** Routes of this project in the kernel that are not a pod's. */
function routesOf(net: Net): RouteInfo[] {
  const pods = new Set(
    net
      .links()
      .filter(l => isPodDevice(l.name))
      .map(l => l.index),
  )
  return net.routes(CAUSEWAY_PROTOCOL).filter(route => !pods.has(route.link))
}

function sameWay(have: RouteInfo | undefined, want: Route, links: ReadonlyMap<string, number>): boolean {
  if (have === undefined) return false
  const link = typeof want.link === 'string' ? links.get(want.link) : want.link
  return (
    (have.type ?? 'unicast') === (want.type ?? 'unicast') &&
    have.via === want.via &&
    (want.link === undefined || have.link === link) &&
    (have.mtu ?? 0) === (want.mtu ?? 0) &&
    (want.src === undefined || have.src === want.src)
  )
}

/** By what tells the route from others' and from a pod's alone: it is to go also when somebody has changed the rest. */
function deletionOf({ dst, via, table, metric, type, protocol }: RouteRow): NetRequest {
  const route: Route = {
    dst,
    protocol: protocol ?? CAUSEWAY_PROTOCOL,
    ...(via === undefined ? {} : { via }),
    ...(table === undefined ? {} : { table }),
    ...(metric === undefined ? {} : { metric }),
    ...(type === undefined ? {} : { type }),
  }
  return { op: 'route-delete', route }
}

function withoutOwner(row: RouteRow): Route {
  const { owner: _owner, ...route } = row
  return route
}
