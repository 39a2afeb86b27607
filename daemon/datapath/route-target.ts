/** Carries the table `routes` into the kernel. Pods' own host routes are the endpoints' and left alone. */
import { CAUSEWAY_PROTOCOL, type Net, type Route, type RouteInfo } from '../kernel/kernel.ts'
import type { RouteRow } from '../state/tables.ts'
import type { Target } from '../state/target.ts'
import { isPodDevice } from './pod-device.ts'

const MAIN_TABLE = 254

/** A reconciler target; every operation is idempotent. Throws NetlinkError, such as ENETUNREACH while an uplink is down. */
export function routeTarget(net: Net): Target<RouteRow> {
  return {
    update: row => bring(net, [row]) > 0,
    updateBatch: rows => bring(net, rows),
    delete(row) {
      if (ours(net).some(r => sameKey(r, row))) net.run([{ op: 'route-delete', route: withoutOwner(row) }])
    },
    prune(desired) {
      const want = [...desired.values()]
      const surplus = ours(net).filter(r => !want.some(w => sameKey(r, w)))
      if (surplus.length > 0) net.run(surplus.map(route => ({ op: 'route-delete', route })))
      return surplus.length
    },
  }
}

/** Adds or corrects what the kernel lacks, after one look at all of it; answers how many routes that were. */
function bring(net: Net, rows: readonly RouteRow[]): number {
  const have = new Map(ours(net).map(route => [`${route.table} ${route.dst}`, route]))
  const links = new Map(net.links().map(l => [l.name, l.index]))
  const wrong = rows.filter(row => !sameWay(have.get(`${row.table ?? MAIN_TABLE} ${row.dst}`), row, links))
  if (wrong.length > 0) net.run(wrong.map(row => ({ op: 'route-add', route: withoutOwner(row), replace: true })))
  return wrong.length
}

/** Routes of this project in the kernel that are not a pod's. */
function ours(net: Net): RouteInfo[] {
  const pods = new Set(
    net
      .links()
      .filter(l => isPodDevice(l.name))
      .map(l => l.index),
  )
  return net.routes().filter(r => r.protocol === CAUSEWAY_PROTOCOL && !pods.has(r.link))
}

function sameKey(a: RouteInfo, b: Route): boolean {
  return a.dst === b.dst && a.table === (b.table ?? MAIN_TABLE)
}

function sameWay(have: RouteInfo | undefined, want: Route, links: ReadonlyMap<string, number>): boolean {
  if (have === undefined) return false
  const link = typeof want.link === 'string' ? links.get(want.link) : want.link
  return (
    have.via === want.via &&
    (want.link === undefined || have.link === link) &&
    (have.mtu ?? 0) === (want.mtu ?? 0) &&
    (want.src === undefined || have.src === want.src)
  )
}

function withoutOwner(row: RouteRow): Route {
  const { owner: _owner, ...route } = row
  return route
}
