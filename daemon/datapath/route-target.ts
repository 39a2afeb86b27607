/** Carries the table `routes` into the kernel. Pods' own host routes are the endpoints' and left alone. */
import { CAUSEWAY_PROTOCOL, type Net, type Route, type RouteInfo } from '../kernel/kernel.ts'
import type { RouteRow } from '../state/tables.ts'
import type { Target } from '../state/target.ts'
import { isPodDevice } from './pod-device.ts'

const MAIN_TABLE = 254

/** A reconciler target; every operation is idempotent. Throws NetlinkError, such as ENETUNREACH while an uplink is down. */
export function routeTarget(net: Net): Target<RouteRow> {
  return {
    update(row) {
      const have = ours(net).find(r => sameKey(r, row))
      if (have !== undefined && sameWay(net, have, row)) return false
      net.run([{ op: 'route-add', route: withoutOwner(row), replace: true }])
      return true
    },
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

/** Routes of this project in the kernel that are not a pod's. */
function ours(net: Net): RouteInfo[] {
  return net.routes().filter(r => r.protocol === CAUSEWAY_PROTOCOL && !isPodDevice(net.link(r.link)?.name ?? ''))
}

function sameKey(a: RouteInfo, b: Route): boolean {
  return a.dst === b.dst && a.table === (b.table ?? MAIN_TABLE)
}

function sameWay(net: Net, have: RouteInfo, want: Route): boolean {
  const link =
    want.link === undefined ? undefined : typeof want.link === 'number' ? want.link : net.link(want.link)?.index
  return (
    have.via === want.via &&
    (link === undefined || have.link === link) &&
    (have.mtu ?? 0) === (want.mtu ?? 0) &&
    (want.src === undefined || have.src === want.src)
  )
}

function withoutOwner(row: RouteRow): Route {
  const { owner: _owner, ...route } = row
  return route
}
