/** What changes in a namespace, as the kernel tells it (rtnetlink multicast groups). */
import koffi from 'koffi'
import { SystemError } from '../errors.ts'
import type { NetEvent, NetGroup } from '../kernel.ts'
import { NETLINK, RTM, RTNLGRP } from './constants.ts'
import { decodeLink, isLinkMessage } from './link.ts'
import type { Received } from './message.ts'
import { NetlinkSocket } from './socket.ts'

const GROUPS: Readonly<Record<NetGroup, number>> = {
  link: RTNLGRP.LINK,
  address4: RTNLGRP.IPV4_IFADDR,
  address6: RTNLGRP.IPV6_IFADDR,
  route4: RTNLGRP.IPV4_ROUTE,
  route6: RTNLGRP.IPV6_ROUTE,
  rule4: RTNLGRP.IPV4_RULE,
  rule6: RTNLGRP.IPV6_RULE,
}

/** Datagrams read in one turn of the event loop; what is left makes the socket readable again. */
const DATAGRAMS_PER_TURN = 256

/**
 * Calls `onEvent` for changes in the namespace of an open nsfs file until disposed. Addresses, routes and rules are
 * reported once a turn of the event loop however many changed. Throws SystemError.
 */
export function watchEvents(
  netnsFd: number,
  groups: readonly NetGroup[],
  onEvent: (event: NetEvent) => void,
): Disposable {
  const socket = new NetlinkSocket(NETLINK.ROUTE, netnsFd)
  let open = true
  try {
    socket.join(groups.map(group => GROUPS[group]))
  } catch (error) {
    socket[Symbol.dispose]()
    throw error
  }
  const poll = koffi.node.poll(socket.fd, { readable: true }, () => {
    // The listener may dispose of the watch in the middle of a turn.
    for (const event of readEvents(socket)) if (open) onEvent(event)
  })
  return {
    [Symbol.dispose]() {
      if (!open) return
      open = false
      poll.close()
      socket[Symbol.dispose]()
    },
  }
}

function readEvents(socket: NetlinkSocket): NetEvent[] {
  const links: NetEvent[] = []
  const kinds = new Set<'address' | 'route' | 'rule'>()
  let overrun = false
  for (let i = 0; i < DATAGRAMS_PER_TURN; i++) {
    const messages = receiveOrOverrun(socket)
    if (messages === undefined) break
    if (messages === 'overrun') overrun = true
    else for (const message of messages) note(message, links, kinds)
  }
  const events: NetEvent[] = [...links, ...Array.from(kinds, kind => ({ kind }))]
  return overrun ? [{ kind: 'overrun' }, ...events] : events
}

function receiveOrOverrun(socket: NetlinkSocket): Received[] | 'overrun' | undefined {
  try {
    return socket.receive()
  } catch (error) {
    if (error instanceof SystemError && error.code === 'ENOBUFS') return 'overrun'
    throw error
  }
}

function note(message: Received, links: NetEvent[], kinds: Set<'address' | 'route' | 'rule'>): void {
  switch (message.type) {
    case RTM.NEWLINK:
    case RTM.DELLINK:
      if (isLinkMessage(message)) {
        const { index, name } = decodeLink(message)
        links.push({ kind: 'link', gone: message.type === RTM.DELLINK, index, name })
      }
      break
    case RTM.NEWADDR:
    case RTM.DELADDR:
      kinds.add('address')
      break
    case RTM.NEWROUTE:
    case RTM.DELROUTE:
      kinds.add('route')
      break
    case RTM.NEWRULE:
    case RTM.DELRULE:
      kinds.add('rule')
  }
}
