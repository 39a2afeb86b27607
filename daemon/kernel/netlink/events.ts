/** What changes in a namespace, as the kernel tells it (rtnetlink multicast groups). */
import koffi from 'koffi'
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
  const reader = new EventReader(socket)
  const onReadable = (): void => {
    const { events, overrun } = reader.turn()
    // libuv stops watching a socket with an error pending, which is how an overrun shows (uv__poll_io).
    if (overrun) poll.start({ readable: true }, onReadable)
    // The listener may dispose of the watch in the middle of a turn.
    for (const event of events) if (open) onEvent(event)
  }
  const poll = koffi.node.poll(socket.fd, { readable: true }, onReadable)
  return {
    [Symbol.dispose]() {
      if (!open) return
      open = false
      poll.close()
      socket[Symbol.dispose]()
    },
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
      const messages = this.#socket.receiveOrOverrun()
      if (messages === undefined) return { events: this.#whenEmpty(found), overrun }
      if (messages === 'overrun') overrun = this.#lost = true
      else for (const message of messages) found.add(message)
    }
    return { events: this.#lost ? [] : found.events(), overrun }
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
