/**
 * The wires of a lab: nodes and the outside host on one bridge in a namespace of its own. Every pair is created inside
 * the underlay's namespace with its peer born in the node's, so that nothing ever stands in the machine's namespace.
 */
import type { NetRequest, Prefix } from '../../daemon/kernel/kernel.ts'
import type { LabLayout, NodeLayout, Place } from './layout.ts'

const BRIDGE = 'underlay'
const UPLINK = 'eth0'

/** What to do in which namespace, in order. */
export interface Wiring {
  readonly netns: string
  readonly requests: readonly NetRequest[]
}

/** Pure: all requests that turn empty namespaces into the lab's network. */
export function planWiring(lab: LabLayout, nodes: readonly NodeLayout[]): Wiring[] {
  const hosts = [...nodes, lab.outside]
  const bridge: NetRequest[] = [{ op: 'link-add', link: { kind: 'bridge', name: BRIDGE, up: true } }]
  return [
    { netns: lab.underlay.netns, requests: [...bridge, ...hosts.flatMap(h => plug(h))] },
    ...hosts.map(h => ({ netns: h.netns, requests: address(h.addresses) })),
  ]
}

/** A port of the bridge, named after the host that it leads to. */
function plug(host: Place): NetRequest[] {
  return [
    {
      op: 'link-add',
      link: { kind: 'veth', name: host.name, master: BRIDGE, up: true, peer: { name: UPLINK, netns: host.netns } },
    },
  ]
}

function address(addresses: readonly Prefix[]): NetRequest[] {
  return [
    { op: 'link-set', link: 'lo', up: true },
    { op: 'link-set', link: UPLINK, up: true },
    ...addresses.map((a): NetRequest => ({ op: 'address-add', link: UPLINK, address: a, noDad: true })),
  ]
}
