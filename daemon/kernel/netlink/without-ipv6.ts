/** What requests mean on a kernel that was started with ipv6.disable=1. */
import type { NetRequest } from '../kernel.ts'

/**
 * The request without IPv6 address generation, which that kernel refuses (EAFNOSUPPORT, validate_linkmsg in rtnetlink.c)
 * and does without anyway. Pure.
 */
export function withoutIpv6(request: NetRequest): NetRequest {
  if (request.op === 'link-set') return plain(request)
  if (request.op !== 'link-add') return request
  const { link } = request
  return { ...request, link: 'peer' in link ? { ...plain(link), peer: plain(link.peer) } : plain(link) }
}

function plain<T extends { readonly addrGenMode?: unknown }>(link: T): T {
  const { addrGenMode: _moot, ...rest } = link
  // Only what may be absent was taken out.
  return rest as T
}
