/** Which requests put the host side of living pods right again. Pure; finds nothing to do in the ordinary case. */
import type { Blocks } from '../datapath/blocks.ts'
import type { LinkInfo, NeighbourInfo, NetRequest, QdiscInfo, RouteInfo } from '../kernel/kernel.ts'
import { type Attachment, hostPrefix } from './attachment.ts'
import { bindRequest, reachRequests } from './wiring.ts'

export interface HostState {
  readonly links: readonly LinkInfo[]
  readonly routes: readonly RouteInfo[]
  readonly neighbours: readonly NeighbourInfo[]
  readonly qdiscs: readonly QdiscInfo[]
}

export interface Repair {
  readonly key: string
  readonly what: 'link' | 'block' | 'route'
  readonly requests: readonly NetRequest[]
}

export function planRepair(attachments: readonly Attachment[], have: HostState, blocks: Blocks): Repair[] {
  const links = new Map(have.links.map(link => [link.index, link]))
  const qdiscs = new Map(have.qdiscs.filter(q => q.kind === 'clsact').map(q => [q.link, q]))
  const reach = reachable(have)
  return attachments.flatMap(attachment => {
    const link = links.get(attachment.device.index)
    if (!link) return []
    return [
      ...raise(attachment, link),
      ...bind(attachment, qdiscs.get(link.index), blocks),
      ...route(attachment, reach),
    ]
  })
}

/** What of `attachments` lacks a route or a neighbour is wired again as a whole: the requests replace. */
function route(attachment: Attachment, reach: ReadonlySet<string>): Repair[] {
  const { index } = attachment.device
  const { mac } = attachment.interface
  const missing = attachment.leases.filter(
    lease => !reach.has(`${index} ${hostPrefix(lease)}`) || !reach.has(`${index} ${lease.address} ${mac}`),
  )
  return missing.length === 0
    ? []
    : [{ key: attachment.key, what: 'route', requests: reachRequests(index, mac, missing) }]
}

/** `index prefix` for routes, `index address mac` for permanent neighbours. */
function reachable(have: HostState): ReadonlySet<string> {
  const routes = have.routes.map(r => `${r.link} ${r.dst}`)
  const neighbours = have.neighbours.filter(n => n.permanent).map(n => `${n.link} ${n.address} ${n.mac}`)
  return new Set([...routes, ...neighbours])
}

function raise(attachment: Attachment, link: LinkInfo): Repair[] {
  if (link.up) return []
  return [{ key: attachment.key, what: 'link', requests: [{ op: 'link-set', link: link.index, up: true }] }]
}

function bind(attachment: Attachment, qdisc: QdiscInfo | undefined, blocks: Blocks): Repair[] {
  if (qdisc?.ingressBlock === blocks.ingress && qdisc.egressBlock === blocks.egress) return []
  const link = attachment.device.index
  const away: NetRequest[] = qdisc ? [{ op: 'clsact-delete', link }] : []
  return [{ key: attachment.key, what: 'block', requests: [...away, bindRequest(link, blocks)] }]
}
