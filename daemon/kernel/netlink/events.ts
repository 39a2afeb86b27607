/** What changes in a namespace, as the kernel tells it (rtnetlink multicast groups). */
import { SystemError } from '../errors.ts'
import type { NetEvent, NetGroup } from '../kernel.ts'
import { pollFd, throwUncaught } from '../poll-fd.ts'
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
 * reported once a turn of the event loop however many changed. What `onEvent` throws is an uncaught exception and keeps
 * no other event from being told. Throws SystemError.
 */
export function watchEvents(
  netnsFd: number,
  groups: readonly NetGroup[],
  onEvent: (event: NetEvent) => void,
): Disposable {
  using acquired = new DisposableStack()
  const socket = acquired.use(new NetlinkSocket(NETLINK.ROUTE, netnsFd))
  socket.join(groups.map(group => GROUPS[group]))
  const reader = new EventReader(socket)
  const poll = pollFd(socket.fd, () => {
    const { events, overrun } = reader.turn()
    // libuv stops watching a socket with an error pending, which is how an overrun shows (uv__poll_io).
    if (overrun) poll.start()
    // The listener may dispose of the watch in the middle of a turn.
    for (const event of events) if (!resources.disposed) tell(onEvent, event)
  })
  acquired.defer(() => poll.close())
  const resources = acquired.move()
  return resources
}

function tell(onEvent: (event: NetEvent) => void, event: NetEvent): void {
  try {
    onEvent(event)
  } catch (error) {
    throwUncaught(error)
  }
}

/**
 * Reads a turn's events. A queue that has overflowed takes nothing more until it is empty (af_netlink.c,
 * NETLINK_S_CONGESTED): the overrun is reported only then, or what is lost after the report would be lost unnoticed.
 */
class EventReader {
  readonly #socket: NetlinkSocket
  #lost = false

  constructor(socket: NetlinkSocket) {
    this.#socket = socket
  }

  /** `overrun`: this turn met the socket's error; the event that tells of it follows in the turn that ends the queue. */
  turn(): { readonly events: readonly NetEvent[]; readonly overrun: boolean } {
    const found = new Found()
    let overrun = false
    for (let i = 0; i < DATAGRAMS_PER_TURN; i++) {
      const messages = this.#receive()
      if (messages === undefined) return { events: this.#whenEmpty(found), overrun }
      if (messages === 'overrun') overrun = this.#lost = true
      else for (const message of messages) found.add(message)
    }
    return { events: this.#lost ? [] : found.events(), overrun }
  }

  /** A datagram larger than the buffer is as lost as one that found no room in the queue. */
  #receive(): readonly Received[] | 'overrun' | undefined {
    try {
      return this.#socket.receiveOrOverrun()
    } catch (error) {
      if (error instanceof SystemError && error.code === 'EMSGSIZE') return 'overrun'
      throw error
    }
  }

  #whenEmpty(found: Found): readonly NetEvent[] {
    if (!this.#lost) return found.events()
    this.#lost = false
    return [{ kind: 'overrun' }]
  }
}

/** What a turn's messages tell of. */
class Found {
  readonly #links: NetEvent[] = []
  readonly #kinds = new Set<'address' | 'route' | 'rule'>()

  events(): readonly NetEvent[] {
    return [...this.#links, ...Array.from(this.#kinds, kind => ({ kind }))]
  }

  add(message: Received): void {
    switch (message.type) {
      case RTM.NEWLINK:
      case RTM.DELLINK:
        if (isLinkMessage(message)) this.#addLink(message)
        break
      case RTM.NEWADDR:
      case RTM.DELADDR:
        this.#kinds.add('address')
        break
      case RTM.NEWROUTE:
      case RTM.DELROUTE:
        this.#kinds.add('route')
        break
      case RTM.NEWRULE:
      case RTM.DELRULE:
        this.#kinds.add('rule')
    }
  }

  #addLink(message: Received): void {
    const { index, name } = decodeLink(message)
    this.#links.push({ kind: 'link', gone: message.type === RTM.DELLINK, index, name })
  }
}
