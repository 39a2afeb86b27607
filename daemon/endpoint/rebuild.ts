/**
 * Attachments from the kernel alone, for a start that finds pods' devices and no journal, or a damaged one, that could
 * say whose they are. The device's alias is the attachment key; routes and neighbours say the rest. What the kernel does
 * not know, the pod's name above all, stays empty.
 */
import { readdirSync } from 'node:fs'
import { CAUSEWAY_PROTOCOL, type Kernel, type LinkInfo, type Net, type NetnsId } from '../kernel/kernel.ts'
import { familyOf } from '../kernel/ip.ts'
import type { Lease } from '../plugin.ts'
import { type Attachment, defaultRoute, GATEWAY, hostPrefix, idOf } from './attachment.ts'
import type { EndpointContext } from './context.ts'
import { REAP_GROUP } from './device-reaper.ts'
import type { HostState } from './plan-repair.ts'

/** What the host side says about a pod. */
export interface HostSide {
  readonly link: LinkInfo
  readonly key: string
  readonly addresses: readonly string[]
  readonly podMac: string
}

/** The pod's namespace, and what only it knows. */
interface PodSide {
  readonly netns: Attachment['netns']
  readonly routeMtu: number | undefined
}

/** A namespace that could not be found: the pod goes on, and is made anew by an ADD that names it. */
const NOWHERE = { dev: 0, ino: 0, path: '' }

/** The attachments of those devices that an ADD had finished. */
export function rebuildAttachments(
  ctx: EndpointContext,
  strays: readonly LinkInfo[],
  netnsPaths: readonly string[],
): Attachment[] {
  if (strays.length === 0) return []
  const { net } = ctx.kernel
  const found = findHostSides(strays, { routes: net.routes(), neighbours: net.neighbours() }, ctx.families.length)
  const podSides = findPodSides(ctx.kernel, found, netnsPaths)
  return found.map(host => rebuild(ctx, host, podSides.get(host.key)))
}

/** Complete host sides: up, and with a route and a neighbour of one MAC for an address of each family. Pure. */
export function findHostSides(
  strays: readonly LinkInfo[],
  have: Pick<HostState, 'routes' | 'neighbours'>,
  families: number,
): HostSide[] {
  return strays.flatMap(link => {
    const neighbours = have.neighbours.filter(n => n.link === link.index && n.permanent)
    const macs = new Set(neighbours.map(n => n.mac))
    const [podMac] = macs
    const routed = new Set(
      have.routes.filter(r => r.link === link.index && r.protocol === CAUSEWAY_PROTOCOL).map(r => r.dst),
    )
    const addresses = neighbours
      .map(n => n.address)
      .filter(address => routed.has(hostPrefix({ family: familyOf(address), address })))
      .sort((a, b) => familyOf(a) - familyOf(b))
    const complete = new Set(addresses.map(familyOf)).size === families && addresses.length === families
    if (link.alias === '' || !link.up || link.group === REAP_GROUP || macs.size !== 1 || !complete) return []
    return [{ link, key: link.alias, addresses, podMac: podMac ?? '' }]
  })
}

function rebuild(ctx: EndpointContext, { link, key, addresses, podMac }: HostSide, pod?: PodSide): Attachment {
  return {
    key,
    id: ++ctx.ids.last,
    pod: { namespace: '', name: '', uid: '' },
    leases: addresses.map((address): Lease => {
      const [pool = ''] = ctx.leases.poolsOf(address)
      return { owner: key, family: familyOf(address), address, pool }
    }),
    device: { name: link.name, index: link.index, mac: link.mac },
    interface: { name: idOf(key).ifName, mac: podMac, mtu: link.mtu },
    routeMtu: pod?.routeMtu ?? ctx.podMtu().route,
    netns: pod?.netns ?? NOWHERE,
    // When it was made is not known: every queued DEL of the key may be meant for it.
    time: 0,
  }
}

/** By key; each namespace is looked into once. */
function findPodSides(
  kernel: Kernel,
  hosts: readonly HostSide[],
  netnsPaths: readonly string[],
): ReadonlyMap<string, PodSide> {
  const wanted = new Map(hosts.map(h => [`${h.link.peerIndex} ${idOf(h.key).ifName} ${h.podMac}`, h]))
  const found = new Map<string, PodSide>()
  for (const path of netnsPaths) {
    const netns = kernel.netnsId(path)
    if (!netns) continue
    using net = kernel.openNet(path)
    for (const inner of net.links()) {
      const host = wanted.get(`${inner.index} ${inner.name} ${inner.mac}`)
      if (host?.link.index === inner.peerIndex) found.set(host.key, podSide(net, inner.index, netns, path))
    }
  }
  return found
}

function podSide(net: Net, index: number, netns: NetnsId, path: string): PodSide {
  const ways = ([4, 6] as const).map(family => ({ dst: defaultRoute(family), via: GATEWAY[family] }))
  const route = net.routes().find(r => r.link === index && ways.some(way => r.dst === way.dst && r.via === way.via))
  return { netns: { ...netns, path }, routeMtu: route?.mtu }
}

/** Where runtimes keep namespaces by name (ip-netns(8); containerd, CRI-O). */
const NETNS_DIRECTORY = '/run/netns'

/** Paths of all named namespaces. */
export function namedNamespaces(): string[] {
  try {
    return readdirSync(NETNS_DIRECTORY).map(name => `${NETNS_DIRECTORY}/${name}`)
  } catch {
    return []
  }
}
