/** A NetRequest as a message: which it is, which links it must know the index of, and which failures mean success. */
import type { LinkRef, NetRequest } from '../kernel.ts'
import { errnoValue } from '../sys.ts'
import type { Ack } from './ack.ts'
import { encodeAddress } from './address.ts'
import { encodeLinkAdd } from './link-add.ts'
import { encodeGroupDelete, encodeLinkDelete, encodeLinkSet, type IndexOf } from './link.ts'
import type { Message } from './message.ts'
import { encodeNeighbour } from './neighbour.ts'
import { encodeRoute } from './route.ts'
import { encodeRule } from './rule.ts'
import { encodeClsact, encodeFilterDelete, encodeFilterReplace } from './traffic-control.ts'

export interface Surroundings {
  readonly indexOf: IndexOf
  /** An open nsfs file for a path, which stays open until the message is sent. */
  readonly netnsFd: (path: string) => number
}

/** The message of a request; of a link only what goes first (`laterChanges`, `linkSetSteps`). Pure. */
export function encodeRequest(request: NetRequest, { indexOf, netnsFd }: Surroundings): Message {
  switch (request.op) {
    case 'link-add':
      return encodeLinkAdd(request.link, netnsFd)
    case 'link-set':
      return encodeLinkSet(request, indexOf)
    case 'link-delete':
      return encodeLinkDelete(request.link)
    case 'group-delete':
      return encodeGroupDelete(request.group)
    case 'address-add':
    case 'address-delete':
      return encodeAddress(request, indexOf)
    case 'route-add':
    case 'route-delete':
      return encodeRoute(request, indexOf)
    case 'rule-add':
    case 'rule-delete':
      return encodeRule(request)
    case 'neighbour-add':
    case 'neighbour-delete':
      return encodeNeighbour(request, indexOf)
    case 'clsact-add':
    case 'clsact-delete':
      return encodeClsact(request, indexOf)
    case 'filter-replace':
      return encodeFilterReplace(request, indexOf)
    case 'filter-delete':
      return encodeFilterDelete(request, indexOf)
  }
}

/** The links whose index the messages carry. Others are named in the message, and the kernel looks them up. */
export function indexedLinks(request: NetRequest): LinkRef[] {
  switch (request.op) {
    case 'link-set':
      return [request.rename === undefined ? undefined : request.link, request.master].filter(l => l !== undefined)
    case 'address-add':
    case 'address-delete':
    case 'neighbour-add':
    case 'neighbour-delete':
    case 'clsact-add':
    case 'clsact-delete':
      return [request.link]
    case 'route-add':
    case 'route-delete':
      return request.route.link === undefined ? [] : [request.route.link]
    case 'filter-replace':
    case 'filter-delete':
      return 'link' in request.at ? [request.at.link] : []
    case 'link-add':
    case 'link-delete':
    case 'group-delete':
    case 'rule-add':
    case 'rule-delete':
      return []
  }
}

/** Whether names may stand for other links once the request is carried out. */
export function changesNames(request: NetRequest): boolean {
  if (request.op === 'link-set') return request.rename !== undefined
  return request.op === 'link-add' || request.op === 'link-delete' || request.op === 'group-delete'
}

/** Whether the request's aim is reached: it succeeded, or what it deletes is not there. */
export function reached(request: NetRequest, { errno }: Ack): boolean {
  return errno === 0 || (absence[request.op] ?? []).some(name => errnoValue(name) === errno)
}

/** How the kernel says that what is to be deleted is absent. ENODEV: its link is; ERANGE: no link can have that name. */
const absence: Partial<Record<NetRequest['op'], readonly string[]>> = {
  'link-delete': ['ENODEV', 'ERANGE'],
  'group-delete': ['ENODEV'],
  'address-delete': ['EADDRNOTAVAIL', 'ENODEV'],
  'route-delete': ['ESRCH', 'ENODEV'],
  'rule-delete': ['ENOENT'],
  'neighbour-delete': ['ENOENT', 'ENODEV'],
  // EINVAL: the device has no qdisc to delete at ingress (tc_get_qdisc in sch_api.c).
  'clsact-delete': ['ENOENT', 'ENODEV', 'EINVAL'],
  // EINVAL: neither block nor clsact is there; the message itself is always well-formed.
  'filter-delete': ['ENOENT', 'ENODEV', 'EINVAL'],
}

/** What a request does, for error messages. */
export function describeRequest(request: NetRequest): string {
  switch (request.op) {
    case 'link-add':
      return `link-add ${request.link.kind} ${request.link.name}`
    case 'group-delete':
      return `group-delete ${request.group}`
    case 'address-add':
    case 'address-delete':
    case 'neighbour-add':
    case 'neighbour-delete':
      return `${request.op} ${request.address} on ${request.link}`
    case 'route-add':
    case 'route-delete':
      return `${request.op} ${JSON.stringify(request.route)}`
    case 'rule-add':
    case 'rule-delete':
      return `${request.op} ${JSON.stringify(request.rule)}`
    case 'filter-replace':
    case 'filter-delete':
      return `${request.op} ${request.priority} on ${'block' in request.at ? `block ${request.at.block}` : `${request.at.side} of ${request.at.link}`}`
    case 'clsact-add':
      return `clsact-add ${request.link}${blocksText(request)}`
    case 'link-set':
    case 'link-delete':
    case 'clsact-delete':
      return `${request.op} ${request.link}`
  }
}

function blocksText(request: Extract<NetRequest, { op: 'clsact-add' }>): string {
  const { ingressBlock = 0, egressBlock = 0 } = request
  return ingressBlock === 0 && egressBlock === 0 ? '' : ` with blocks ${ingressBlock} and ${egressBlock}`
}
