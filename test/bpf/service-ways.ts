/** The ways of packets between a client of a service and each backend it may be given: as they go on, and come back. */
import { eth, type Layer } from '../support/packet.ts'
import type { Verdict } from './node.ts'
import type { Way } from './service-node.ts'
import {
  A,
  B,
  type Both,
  type Family,
  fromPod,
  fromRouter,
  HOST,
  ip,
  NATIVE,
  OVERLAID,
  OVERLAY_MAC,
  type PodFacts,
  ROUTER,
  toPod,
  UPLINK_MAC,
  VNI,
} from './world.ts'

/** Pod A, or somebody behind the router. */
export interface Client {
  readonly at: Both
  readonly from: 'inside' | 'outside'
}

/** A packet before and after the program that sees it, less what its transport layer is. */
export interface Step {
  readonly way: Way
  readonly sent: readonly Layer[]
  readonly verdict: Verdict
  readonly comes: readonly Layer[]
}

const uplink: Way = ['uplink_in', 'uplink']
const overlay: Way = ['overlay_in', 'overlay', { underlay: 4, vni: VNI }]
const inTunnel = eth({ src: OVERLAY_MAC, dst: OVERLAY_MAC })
const fromUs = eth({ src: UPLINK_MAC, dst: ROUTER.mac })

/** The client's packet to the service: given to a backend. */
export function onward(f: Family, client: Client, service: Both, backend: Both): Step {
  const inside = client.from === 'inside'
  const frame = inside ? fromPod(A) : fromRouter
  const seen = sourceOf(client, service, backend)
  const pod = podAt(backend)
  const stack = backend === HOST
  return {
    way: inside ? ['pod_out', 'a'] : uplink,
    sent: [frame, ip(f, client.at, service)],
    verdict: stack ? 'stack' : 'redirect',
    comes: [pod === undefined ? frame : toPod(pod), ip(f, seen, backend, stack ? 64 : 63)],
  }
}

/** What the backend answers: from the service, to the client. */
export function back(f: Family, client: Client, service: Both, backend: Both): Step {
  const { way, frame } = comingFrom(client, backend)
  const byStack = backend === HOST
  const inside = client.from === 'inside'
  return {
    way,
    sent: [frame, ip(f, backend, sourceOf(client, service, backend))],
    verdict: byStack ? (inside ? 'stack' : 'pass') : 'redirect',
    comes: [inside ? toPod(A) : frame, ip(f, service, client.at, byStack ? 64 : 63)],
  }
}

/** As whom the backend sees the client: a pod that is its own backend sees the service, another node's sees this one. */
function sourceOf(client: Client, service: Both, backend: Both): Both {
  if (client.from === 'inside') return backend === A ? service : client.at
  return backend === NATIVE || backend === OVERLAID ? HOST : client.at
}

function podAt(backend: Both): PodFacts | undefined {
  return [A, B].find(pod => pod === backend)
}

function comingFrom(client: Client, backend: Both): { readonly way: Way; readonly frame: Layer } {
  if (backend === A) return { way: ['pod_out', 'a'], frame: fromPod(A) }
  if (backend === B) return { way: ['pod_out', 'b'], frame: fromPod(B) }
  if (backend === NATIVE) return { way: uplink, frame: fromRouter }
  if (backend === OVERLAID) return { way: overlay, frame: inTunnel }
  return client.from === 'inside'
    ? { way: ['pod_in', 'a'], frame: toPod(A) }
    : { way: ['uplink_out', 'uplink'], frame: fromUs }
}
