/**
 * Carries one request out on a namespace of the in-memory kernel, refusing what the port refuses; deleting what is not
 * there succeeds.
 */
import { canonicalAddress, formatAddress, parsePrefix } from '../ip.ts'
import type { LinkRef, NetRequest } from '../kernel.ts'
import { deviceSysctl } from '../sysctl-name.ts'
import { addLink, setLink } from './links.ts'
import type { Namespace } from './namespace.ts'
import { refuse } from './refuse.ts'
import { addRoute, deleteRoute } from './routes.ts'
import { addRule, deleteRule } from './rules.ts'

type Of<Op extends NetRequest['op']> = Extract<NetRequest, { readonly op: Op }>

/** Finds a namespace by its nsfs path; throws ENOENT. */
export type NamespaceAt = (path: string) => Namespace

export function apply(ns: Namespace, request: NetRequest, namespaceAt: NamespaceAt): void {
  switch (request.op) {
    case 'link-add':
      return addLink(ns, request.link, namespaceAt)
    case 'link-set':
      return setLink(ns, request)
    case 'link-delete':
      return removeLink(ns, request.link)
    case 'group-delete':
      return deleteGroup(ns, request.group)
    case 'address-add':
    case 'address-delete':
      return changeAddress(ns, request)
    case 'route-add':
      return addRoute(ns, request.route, request.replace === true)
    case 'route-delete':
      return deleteRoute(ns, request.route)
    case 'rule-add':
      return addRule(ns, request.rule)
    case 'rule-delete':
      return deleteRule(ns, request.rule)
    case 'neighbour-add':
    case 'neighbour-delete':
      return changeNeighbour(ns, request)
    case 'clsact-add':
      return addClsact(ns, request)
    case 'clsact-delete':
      return deleteClsact(ns, request.link)
    case 'filter-replace':
    case 'filter-delete':
      return changeFilter(ns, request)
  }
}

function removeLink(ns: Namespace, ref: LinkRef): void {
  const link = ns.find(ref)
  if (link) ns.remove(link)
}

function deleteGroup(ns: Namespace, group: number): void {
  for (const link of ns.links.values()) if (link.group === group) ns.remove(link)
}

function deleteClsact(ns: Namespace, ref: LinkRef): void {
  const link = ns.find(ref)
  if (link) ns.dropQdisc(link)
}

function changeAddress(ns: Namespace, request: Of<'address-add' | 'address-delete'>): void {
  if (request.op === 'address-delete' && !ns.find(request.link)) return
  const link = ns.require(request.link)
  const { length, ...parsed } = parsePrefix(request.address)
  const { family } = parsed
  const address = formatAddress(parsed)
  const what = `${request.op} ${request.address} on ${link.name}`
  const rest = ns.addresses.filter(a => a.link !== link.index || a.address !== address || a.prefixLength !== length)
  const existed = rest.length < ns.addresses.length
  if (request.op === 'address-delete') {
    ns.addresses = rest
    if (existed) ns.notify(`address${family}`, { kind: 'address' })
    return
  }
  if (existed && request.replace !== true) throw refuse('EEXIST', what, 'Address already assigned')
  if (family === 6 && ns.sysctls.get(deviceSysctl(6, link.name, 'disable_ipv6')) === '1') {
    throw refuse('EACCES', what, 'IPv6 is disabled on this device')
  }
  const scope = request.scope ?? 'global'
  ns.addresses = [...rest, { link: link.index, family, address, prefixLength: length, scope, dynamic: false }]
  ns.notify(`address${family}`, { kind: 'address' })
}

function changeNeighbour(ns: Namespace, request: Of<'neighbour-add' | 'neighbour-delete'>): void {
  if (request.op === 'neighbour-delete' && !ns.find(request.link)) return
  const link = ns.require(request.link)
  const address = canonicalAddress(request.address)
  const what = `${request.op} ${address} on ${link.name}`
  const rest = ns.neighbours.filter(n => n.link !== link.index || n.address !== address)
  const existed = rest.length < ns.neighbours.length
  if (request.op === 'neighbour-delete') {
    ns.neighbours = rest
    return
  }
  if (existed && request.replace !== true) throw refuse('EEXIST', what)
  if (!link.up) throw refuse('ENETDOWN', what)
  if (request.mac === undefined) throw refuse('EINVAL', what, 'a permanent neighbour needs a MAC')
  ns.neighbours = [...rest, { link: link.index, address, mac: request.mac, permanent: true }]
}

function addClsact(ns: Namespace, request: Of<'clsact-add'>): void {
  const link = ns.require(request.link)
  if (ns.qdiscs.some(q => q.link === link.index)) throw refuse('EEXIST', `add clsact to ${link.name}`)
  const { ingressBlock = 0, egressBlock = 0 } = request
  ns.qdiscs = [...ns.qdiscs, { link: link.index, kind: 'clsact', ingressBlock, egressBlock }]
}

function changeFilter(ns: Namespace, request: Of<'filter-replace' | 'filter-delete'>): void {
  if (request.op === 'filter-delete' && !ns.hasPlace(request.at)) return
  ns.requireUnbound(request.at)
  const place = ns.place(request.at)
  const rest = ns.filters.filter(f => f.place !== place || f.priority !== request.priority)
  if (request.op === 'filter-delete') {
    ns.filters = rest
    return
  }
  const { priority, programFd, name } = request
  ns.filters = [...rest, { place, priority, programFd, name }]
}
