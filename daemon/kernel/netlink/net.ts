/** A network namespace over rtnetlink: the port `Net` of kernel.ts. */
import { closeSync, existsSync } from 'node:fs'
import type {
  Address,
  AddressInfo,
  FilterInfo,
  FilterPlace,
  LinkInfo,
  LinkRef,
  NeighbourInfo,
  Net,
  NetEvent,
  NetGroup,
  NetRequest,
  QdiscInfo,
  RouteInfo,
  Rule,
} from '../kernel.ts'
import { openNetns } from '../netns/netns-file.ts'
import { errnoName, errnoValue, systemError } from '../sys.ts'
import type { Ack } from './ack.ts'
import { decodeAddress, encodeAddressDump } from './address.ts'
import { carryOut, type Step, type Steps } from './carry-out.ts'
import { NETLINK } from './constants.ts'
import { watchEvents } from './events.ts'
import { decodeLink, encodeLinkDump, encodeLinkGet, isLinkMessage } from './link.ts'
import type { Message, Received } from './message.ts'
import { decodeNeighbour, encodeNeighbourDump } from './neighbour.ts'
import { NetlinkError } from './netlink-error.ts'
import { decodeRoute, decodeRouteLookup, encodeRouteDump, encodeRouteLookup } from './route.ts'
import { decodeRule, encodeRuleDump } from './rule.ts'
import { NetlinkSocket, type Outcome } from './socket.ts'
import { decodeFilter, decodeQdisc, encodeFilterDump, encodeQdiscDump } from './traffic-control.ts'
import { withoutIpv6 } from './without-ipv6.ts'

/** Holds the namespace open, and one socket in it, until disposed; used afterwards it throws SystemError EBADF. */
export class NetlinkNet implements Net {
  readonly #fd: number
  readonly #socket: NetlinkSocket
  readonly #ipv6 = existsSync('/proc/sys/net/ipv6')
  #open = true

  /** Opens the namespace at a path. Throws SystemError or NotANetns. */
  constructor(netnsPath: string) {
    this.#fd = openNetns(netnsPath)
    try {
      this.#socket = new NetlinkSocket(NETLINK.ROUTE, this.#fd)
    } catch (error) {
      closeSync(this.#fd)
      throw error
    }
  }

  run(requests: readonly NetRequest[]): void {
    using files = new NetnsFiles()
    const steps = this.#carryOut(requests, files)
    for (let step = steps.next(); step.done !== true; ) step = steps.next(this.#transact(step.value, files))
  }

  /** Each call has a socket of its own, so that its answers never mix with those of `run`. */
  async runBlocking(requests: readonly NetRequest[]): Promise<void> {
    using files = new NetnsFiles()
    using socket = new NetlinkSocket(NETLINK.ROUTE, this.#netnsFd)
    const steps = this.#carryOut(requests, files)
    for (let step = steps.next(); step.done !== true; ) {
      const { messages, netns } = step.value
      using elsewhere = netns === undefined ? undefined : new NetlinkSocket(NETLINK.ROUTE, files.open(netns))
      step = steps.next(await (elsewhere ?? socket).transactOnThread(messages))
    }
  }

  link(ref: LinkRef): LinkInfo | undefined {
    // What routes without a link have as one; the kernel would answer EINVAL.
    if (ref === 0 || ref === '') return undefined
    const answer = this.#get(encodeLinkGet(ref), `get link ${ref}`, isNoLink)
    return answer && decodeLink(answer)
  }
  links(): LinkInfo[] {
    return this.#socket.dump(encodeLinkDump(), 'list links').filter(isLinkMessage).map(decodeLink)
  }
  addresses(): AddressInfo[] {
    return this.#list(encodeAddressDump(), 'list addresses', decodeAddress)
  }
  routes(protocol?: number): RouteInfo[] {
    return this.#list(encodeRouteDump(protocol), 'list routes', decodeRoute)
  }
  rules(): Rule[] {
    return this.#list(encodeRuleDump(), 'list rules', decodeRule)
  }
  neighbours(): NeighbourInfo[] {
    return this.#list(encodeNeighbourDump(), 'list neighbours', decodeNeighbour)
  }
  qdiscs(): QdiscInfo[] {
    return this.#list(encodeQdiscDump(), 'list qdiscs', decodeQdisc)
  }

  filters(at: FilterPlace): FilterInfo[] {
    const index = 'block' in at ? 0 : this.link(at.link)?.index
    if (index === undefined) return []
    return this.#list(
      encodeFilterDump(at, () => index),
      'list filters',
      decodeFilter,
    )
  }

  routeTo(address: Address): RouteInfo | undefined {
    const answer = this.#get(encodeRouteLookup(address), `get route to ${address}`, leadsNowhere)
    return answer && decodeRouteLookup(answer)
  }

  watch(groups: readonly NetGroup[], onEvent: (event: NetEvent) => void): Disposable {
    return watchEvents(this.#netnsFd, groups, onEvent)
  }

  [Symbol.dispose](): void {
    if (!this.#open) return
    this.#open = false
    this.#socket[Symbol.dispose]()
    closeSync(this.#fd)
  }

  get #netnsFd(): number {
    if (this.#open) return this.#fd
    throw systemError('use network namespace', errnoValue('EBADF'), 'it was closed')
  }

  #carryOut(requests: readonly NetRequest[], files: NetnsFiles): Steps {
    return carryOut(this.#ipv6 ? requests : requests.map(withoutIpv6), path => files.open(path))
  }

  #transact({ messages, netns }: Step, files: NetnsFiles): Outcome[] {
    if (netns === undefined) return this.#socket.transact(messages)
    using elsewhere = new NetlinkSocket(NETLINK.ROUTE, files.open(netns))
    return elsewhere.transact(messages)
  }

  /** The one answer to a look-up; undefined when the kernel's refusal means that there is none. */
  #get(message: Message, attempt: string, absent: (ack: Ack) => boolean): Received | undefined {
    const [outcome] = this.#socket.transact([message])
    if (outcome?.errno === 0) return outcome.answers[0]
    if (outcome && absent(outcome)) return undefined
    throw new NetlinkError(attempt, outcome?.errno ?? 0, outcome?.kernelText)
  }

  #list<T>(message: Message, attempt: string, decode: (message: Received) => T | undefined): T[] {
    return this.#socket
      .dump(message, attempt)
      .map(decode)
      .filter(row => row !== undefined)
  }
}

/** ERANGE: the name is longer than a link's can be. */
function isNoLink({ errno }: Ack): boolean {
  return ['ENODEV', 'ERANGE'].includes(errnoName(errno))
}

/** No route, or one of type unreachable, prohibit or blackhole, which answers EINVAL as a bad request does, but wordless. */
function leadsNowhere({ errno, kernelText }: Ack): boolean {
  const name = errnoName(errno)
  return ['ENETUNREACH', 'EHOSTUNREACH', 'EACCES'].includes(name) || (name === 'EINVAL' && kernelText === '')
}

/** nsfs files that requests name, open until all are carried out. */
class NetnsFiles implements Disposable {
  readonly #fds = new Map<string, number>()
  open(path: string): number {
    const fd = this.#fds.get(path) ?? openNetns(path)
    this.#fds.set(path, fd)
    return fd
  }
  [Symbol.dispose](): void {
    for (const fd of this.#fds.values()) closeSync(fd)
    this.#fds.clear()
  }
}
