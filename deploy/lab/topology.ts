/**
 * The wires of a lab: nodes and the outside host on one bridge in a namespace of its own; far nodes on a bridge inside a
 * router, which is plugged in like a host. Every pair is created inside the namespace of its bridge with its peer born in
 * the host's, so that nothing ever stands in the machine's namespace.
 */
import type { NetRequest, Prefix } from '../../daemon/kernel/kernel.ts'
import { bare, type Host, type LabLayout, type Place } from './layout.ts'

const BRIDGE = 'underlay'
const FAR_BRIDGE = 'far'
/** The device by which hosts and the router are plugged in. */
export const UPLINK = 'eth0'

/** What to do in which namespace, in order. */
export interface Wiring {
  readonly netns: string
  readonly requests: readonly NetRequest[]
}

/** Pure: all requests that turn empty namespaces into the lab's network. */
export function planWiring(lab: LabLayout, nodes: readonly Host[], others: readonly Host[] = [lab.outside]): Wiring[] {
  const hosts = [...nodes, ...others]
  const far = hosts.filter(h => h.far)
  const near = hosts.filter(h => !h.far)
  const router = far.length > 0 ? [lab.router] : []
  return [
    { netns: lab.underlay.netns, requests: [bridge(BRIDGE), ...[...near, ...router].flatMap(h => plug(h, BRIDGE))] },
    ...router.map(r => ({ netns: r.netns, requests: route(r, far) })),
    ...hosts.map(h => ({
      netns: h.netns,
      requests: [...address(UPLINK, h.addresses), ...(far.length > 0 ? beyond(lab, h) : [])],
    })),
  ]
}

function bridge(name: string): NetRequest {
  return { op: 'link-add', link: { kind: 'bridge', name, up: true } }
}

/** A port of a bridge, named after the host that it leads to. */
function plug(host: Place, master: string): NetRequest[] {
  return [
    {
      op: 'link-add',
      link: { kind: 'veth', name: host.name, master, up: true, peer: { name: UPLINK, netns: host.netns } },
    },
  ]
}

function route(router: LabLayout['router'], far: readonly Host[]): NetRequest[] {
  return [
    ...address(UPLINK, router.near),
    bridge(FAR_BRIDGE),
    ...address(FAR_BRIDGE, router.far),
    ...far.flatMap(h => plug(h, FAR_BRIDGE)),
  ]
}

function address(link: string, addresses: readonly Prefix[]): NetRequest[] {
  return [
    { op: 'link-set', link: 'lo', up: true },
    { op: 'link-set', link, up: true },
    ...addresses.map((a): NetRequest => ({ op: 'address-add', link, address: a, noDad: true })),
  ]
}

/** Routes to the subnet on the other side of the router, and to nothing else. */
function beyond({ router }: LabLayout, host: Host): NetRequest[] {
  const [here, there] = host.far ? [router.far, router.near] : [router.near, router.far]
  return there.map((prefix, i) => ({
    op: 'route-add',
    route: { dst: subnetOf(prefix), via: bare(here[i] ?? ''), link: UPLINK, protocol: STATIC },
  }))
}

/** RTPROT_STATIC: an administrator's route. */
const STATIC = 4

/** The prefix with its host part emptied; subnets here end at a `.` or `::`. */
function subnetOf(prefix: Prefix): Prefix {
  return prefix.replace(/\d+\/24$/, '0/24').replace(/::\d+\/64$/, '::/64')
}
