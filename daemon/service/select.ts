/**
 * Which endpoints serve a client, by the rules that kube-proxy keeps (Kubernetes documentation: Service, "Traffic
 * policies" and "Traffic distribution"; KEP-1669 for terminating endpoints, KEP-2433 and KEP-3015 for hints). Pure.
 */
import type { SliceEndpoint, TrafficPolicy } from '../state/service-rows.ts'

/** An endpoint at one port. */
export interface Candidate extends Omit<SliceEndpoint, 'addresses'> {
  readonly address: string
  readonly port: number
  readonly weight: number
}
export interface Place {
  /** Of the node. */
  readonly name: string
  /** Empty when the node is in none. */
  readonly zone: string
}

/**
 * Those that new flows may be given to. Endpoints that are terminating serve only where nobody is ready; with the policy
 * `Local` nobody of another node ever does. Near endpoints that are full are joined by those farther away.
 */
export function selectEndpoints(
  all: readonly Candidate[],
  policy: TrafficPolicy,
  here: Place,
  isFull: (near: readonly Candidate[]) => boolean = () => false,
): readonly Candidate[] {
  const reachable = policy === 'Local' ? all.filter(endpoint => endpoint.nodeName === here.name) : all
  const ready = reachable.filter(endpoint => endpoint.ready)
  if (ready.length === 0) return reachable.filter(endpoint => endpoint.serving && endpoint.terminating)
  return policy === 'Local' ? ready : nearest(ready, here, isFull)
}

/**
 * By hint: those meant for this node, else those meant for its zone, else all. Hints count only when every ready endpoint
 * has some, for a set half of which has none is in the middle of a change.
 */
function nearest(
  ready: readonly Candidate[],
  here: Place,
  isFull: (near: readonly Candidate[]) => boolean,
): readonly Candidate[] {
  for (const [hints, place] of [
    [(endpoint: Candidate) => endpoint.hintNodes, here.name],
    [(endpoint: Candidate) => endpoint.hintZones, here.zone],
  ] as const) {
    const meant = ready.filter(endpoint => hints(endpoint).includes(place))
    if (meant.length > 0 && ready.every(endpoint => hints(endpoint).length > 0) && !isFull(meant)) return meant
  }
  return ready
}
