/**
 * What a network namespace of the in-memory kernel holds, and what vanishes with what: a veth end with its other end,
 * addresses, routes, neighbours and qdiscs with their link, a shared block and its filters with the last qdisc bound.
 *
 * Left out on purpose, because dumps are compared without them: routes the kernel adds by itself (protocol kernel, table
 * local) and its default rules, link-local IPv6 addresses, learnt neighbours. What goes with a link or because it goes
 * down is told as that change of the link alone.
 */
import type {
  AddressInfo,
  FilterPlace,
  LinkRef,
  LinkSizes,
  NeighbourInfo,
  NetEvent,
  NetGroup,
  NetnsId,
  QdiscInfo,
  RouteInfo,
  Rule,
} from '../kernel.ts'
import { refuse } from './refuse.ts'
import { Settings } from './settings.ts'

export interface MemoryLink {
  readonly index: number
  name: string
  readonly kind: string
  mac: string
  alias: string
  group: number
  up: boolean
  master: number
  sizes: Required<LinkSizes>
  readonly loopback: boolean
  readonly vxlan?: { readonly port: number; readonly external: boolean }
  /** The other end of a pair. */
  peer?: { readonly namespace: Namespace; readonly link: MemoryLink }
}

export interface MemoryFilter {
  /** `block N`, or `DEVICE-INDEX ingress|egress`. */
  readonly place: string
  readonly priority: number
  readonly programFd: number
  readonly name: string
}

export interface Watcher {
  notify(group: NetGroup, event: NetEvent): void
}

export class Namespace {
  readonly id: NetnsId
  readonly links = new Map<number, MemoryLink>()
  addresses: AddressInfo[] = []
  routes: RouteInfo[] = []
  rules: Rule[] = []
  neighbours: NeighbourInfo[] = []
  qdiscs: QdiscInfo[] = []
  filters: MemoryFilter[] = []
  readonly sysctls = new Settings(() => Array.from(this.links.values(), link => link.name))
  readonly watchers = new Set<Watcher>()
  #lastIndex = 0

  constructor(id: NetnsId) {
    this.id = id
    this.add({
      name: 'lo',
      kind: '',
      mac: '00:00:00:00:00:00',
      loopback: true,
      sizes: { ...defaultSizes, mtu: 65_536 },
    })
  }

  /** Registers a link under the next free index; EEXIST when the name is taken. */
  add(
    link: Pick<MemoryLink, 'name' | 'kind' | 'loopback' | 'sizes' | 'vxlan'> & { readonly mac?: string },
  ): MemoryLink {
    if (this.named(link.name)) throw refuse('EEXIST', `add link ${link.name}`, 'File exists')
    const index = ++this.#lastIndex
    const made: MemoryLink = {
      alias: '',
      group: 0,
      up: false,
      master: 0,
      ...link,
      index,
      mac: link.mac ?? this.#madeUpMac(index),
    }
    this.links.set(index, made)
    this.sysctls.inherit(link.name)
    this.notify('link', { kind: 'link', gone: false, index, name: link.name })
    return made
  }

  /** The link a request names; ENODEV when there is none. */
  require(ref: LinkRef): MemoryLink {
    const link = this.find(ref)
    if (!link) throw refuse('ENODEV', `find link ${ref}`, 'No such device')
    return link
  }
  find(ref: LinkRef): MemoryLink | undefined {
    return typeof ref === 'number' ? this.links.get(ref) : this.named(ref)
  }
  named(name: string): MemoryLink | undefined {
    return [...this.links.values()].find(link => link.name === name)
  }

  /** Removes a link, its other end, and everything that hangs on either. */
  remove(link: MemoryLink): void {
    if (!this.links.delete(link.index)) return
    this.flush(link)
    this.qdiscs = this.qdiscs.filter(q => q.link !== link.index)
    this.addresses = this.addresses.filter(a => a.link !== link.index)
    this.filters = this.filters.filter(f => this.#placeExists(f.place))
    for (const port of this.links.values()) if (port.master === link.index) port.master = 0
    this.sysctls.forget(link.name)
    this.notify('link', { kind: 'link', gone: true, index: link.index, name: link.name })
    link.peer?.namespace.remove(link.peer.link)
  }

  /** What the kernel drops when a link goes down: its routes, neighbours and IPv6 addresses. */
  flush(link: MemoryLink): void {
    this.routes = this.routes.filter(r => r.link !== link.index)
    this.neighbours = this.neighbours.filter(n => n.link !== link.index)
    this.addresses = this.addresses.filter(a => a.link !== link.index || a.family === 4)
  }

  /** Filters whose qdisc or block is gone go with it. */
  dropQdisc(link: MemoryLink): void {
    this.qdiscs = this.qdiscs.filter(q => q.link !== link.index)
    this.filters = this.filters.filter(f => this.#placeExists(f.place))
  }

  /** Where a device is bound to a block, filters go to the block only (tcf_block_find in cls_api.c). */
  requireUnbound(at: FilterPlace): void {
    if (!('block' in at) && this.blockAt(at) !== at) {
      throw refuse('EOPNOTSUPP', `find filter place ${at.link} ${at.side}`)
    }
  }

  /** The block that a side of a device is bound to, or else the place itself: where its filters are. */
  blockAt(at: FilterPlace): FilterPlace {
    if ('block' in at) return at
    const qdisc = this.qdiscs.find(q => q.link === this.find(at.link)?.index)
    const block = (at.side === 'ingress' ? qdisc?.ingressBlock : qdisc?.egressBlock) ?? 0
    return block === 0 ? at : { block }
  }

  /** Whether a qdisc is there to carry filters at that place. */
  hasPlace(at: FilterPlace): boolean {
    if ('block' in at) return this.#placeExists(`block ${at.block}`)
    const link = this.find(at.link)
    return link !== undefined && this.#placeExists(`${link.index} ${at.side}`)
  }

  /** Text form of where a filter sits; EINVAL when no qdisc is there to carry it. */
  place(at: FilterPlace): string {
    const place = 'block' in at ? `block ${at.block}` : `${this.require(at.link).index} ${at.side}`
    if (!this.#placeExists(place))
      throw refuse('EINVAL', `find filter place ${place}`, 'Block of given index was not found')
    return place
  }

  /** Everything goes: the namespace has no user left. */
  destroy(): void {
    for (const link of this.links.values()) this.remove(link)
    this.watchers.clear()
  }

  notify(group: NetGroup, event: NetEvent): void {
    for (const watcher of this.watchers) watcher.notify(group, event)
  }

  #madeUpMac(index: number): string {
    const bytes = [0x02, 0xee, this.id.ino >> 8, this.id.ino, index >> 8, index]
    return bytes.map(b => (b & 0xff).toString(16).padStart(2, '0')).join(':')
  }

  #placeExists(place: string): boolean {
    const [kind, rest] = place.split(' ')
    if (kind !== 'block') return this.qdiscs.some(q => String(q.link) === kind)
    return this.qdiscs.some(q => String(q.ingressBlock) === rest || String(q.egressBlock) === rest)
  }
}

export const defaultSizes: Required<LinkSizes> = {
  mtu: 1500,
  gsoMaxSize: 65_536,
  groMaxSize: 65_536,
  gsoIpv4MaxSize: 65_536,
  groIpv4MaxSize: 65_536,
}
