/**
 * The kernel as the daemon sees it: one port with two implementations, the real one (`linux.ts`) and an in-memory one
 * for tests (`memory/`). Requests to a network namespace are data, so that a plan can be computed by a pure function,
 * compared in a test and carried out in one place.
 */

/** An IP address or prefix in text form as `inet_ntop(3)` prints it; prefixes always carry `/length`. */
export type Address = string
export type Prefix = string
export type Family = 4 | 6

/** Identity of a network namespace: device and inode of its nsfs file (namespaces(7)). */
export interface NetnsId {
  readonly dev: number
  readonly ino: number
}

/** How a link is named in a request: by name or by interface index. */
export type LinkRef = string | number

/** Sizes a link may carry; zero or absent leaves the kernel's default. Bytes. */
export interface LinkSizes {
  readonly mtu?: number
  readonly gsoMaxSize?: number
  readonly groMaxSize?: number
  readonly gsoIpv4MaxSize?: number
  readonly groIpv4MaxSize?: number
}

export interface LinkCommon extends LinkSizes {
  readonly name: string
  /** Colon-separated MAC; absent lets the kernel choose. */
  readonly mac?: string
  /** IFLA_IFALIAS; at most 255 bytes. */
  readonly alias?: string
  readonly group?: number
  readonly up?: boolean
  /** IPv6 address generation: `none` keeps the kernel from adding a link-local address. Moot on a kernel without IPv6. */
  readonly addrGenMode?: 'eui64' | 'none'
  readonly master?: LinkRef
}

/**
 * Links the daemon creates. A peer may be born in another namespace, given by its nsfs path; what cannot be set at its
 * birth (`up`, `alias`, `addrGenMode`, `master`) then costs a second socket there, so on the path of an ADD it is better
 * set by the run that also gives it its addresses.
 */
export type LinkSpec =
  | (LinkCommon & { readonly kind: 'veth'; readonly peer: LinkCommon & { readonly netns?: string } })
  | (LinkCommon & {
      readonly kind: 'netkit'
      readonly mode: 'l2' | 'l3'
      readonly peer: LinkCommon & { readonly netns?: string }
    })
  | (LinkCommon & { readonly kind: 'bridge' })
  | (LinkCommon & {
      readonly kind: 'vxlan'
      /** `external` makes it a collect-metadata device, one for all peers. */
      readonly external: true
      readonly port: number
    })

/** One change to one network namespace. `replace` overwrites what is there; without it an existing object is EEXIST. */
export type NetRequest =
  | { readonly op: 'link-add'; readonly link: LinkSpec }
  /** Before Linux 6.2 a link that is up cannot be renamed (EBUSY). */
  | ({ readonly op: 'link-set'; readonly link: LinkRef; readonly rename?: string } & Partial<Omit<LinkCommon, 'name'>>)
  | { readonly op: 'link-delete'; readonly link: LinkRef }
  /** Deletes every link of a group in one grace period (rtnetlink IFLA_GROUP). */
  | { readonly op: 'group-delete'; readonly group: number }
  | {
      readonly op: 'address-add' | 'address-delete'
      readonly link: LinkRef
      readonly address: Prefix
      readonly replace?: boolean
      readonly noDad?: boolean
      readonly scope?: RouteScope
    }
  | { readonly op: 'route-add' | 'route-delete'; readonly route: Route; readonly replace?: boolean }
  | { readonly op: 'rule-add' | 'rule-delete'; readonly rule: Rule }
  | {
      readonly op: 'neighbour-add' | 'neighbour-delete'
      readonly link: LinkRef
      readonly address: Address
      readonly mac?: string
      readonly replace?: boolean
    }
  /** clsact qdisc, by choice bound to shared filter blocks (TCA_INGRESS_BLOCK, TCA_EGRESS_BLOCK). */
  | { readonly op: 'clsact-add'; readonly link: LinkRef; readonly ingressBlock?: number; readonly egressBlock?: number }
  | { readonly op: 'clsact-delete'; readonly link: LinkRef }
  /** A direct-action eBPF filter on a shared block or on one side of a device's clsact; replaces the one of that priority. */
  | {
      readonly op: 'filter-replace'
      readonly at: FilterPlace
      readonly priority: number
      readonly programFd: number
      readonly name: string
    }
  | { readonly op: 'filter-delete'; readonly at: FilterPlace; readonly priority: number }

export type FilterPlace = { readonly block: number } | { readonly link: LinkRef; readonly side: 'ingress' | 'egress' }
export type RouteScope = 'global' | 'link' | 'host' | 'nowhere'

export interface Route {
  readonly dst: Prefix
  readonly via?: Address
  readonly link?: LinkRef
  readonly table?: number
  /**
   * rtm_protocol; the daemon's own routes carry CAUSEWAY_PROTOCOL so that they can be told from others. Absent: that one
   * when adding, any when deleting.
   */
  readonly protocol?: number
  readonly scope?: RouteScope
  readonly src?: Address
  readonly mtu?: number
  readonly metric?: number
  readonly onlink?: boolean
  readonly type?: 'unicast' | 'unreachable' | 'blackhole' | 'local'
}

export interface Rule {
  readonly family: Family
  readonly priority: number
  readonly from?: Prefix
  readonly to?: Prefix
  readonly mark?: { readonly value: number; readonly mask: number }
  readonly table: number
  readonly protocol?: number
}

export interface LinkInfo extends Required<LinkSizes> {
  readonly index: number
  readonly name: string
  readonly kind: string
  readonly mac: string
  readonly alias: string
  readonly group: number
  readonly up: boolean
  /** Lower layer works (IFF_LOWER_UP). */
  readonly carrier: boolean
  readonly loopback: boolean
  readonly master: number
  /** Peer's index in its own namespace (IFLA_LINK), 0 when there is none. */
  readonly peerIndex: number
  /** Of a VXLAN device. */
  readonly vxlan?: { readonly port: number; readonly external: boolean }
}
export interface AddressInfo {
  readonly link: number
  readonly family: Family
  readonly address: Address
  readonly prefixLength: number
  readonly scope: RouteScope
  readonly dynamic: boolean
}
export interface RouteInfo extends Route {
  readonly family: Family
  readonly link: number
  readonly table: number
  readonly protocol: number
}
export interface NeighbourInfo {
  readonly link: number
  readonly address: Address
  readonly mac: string
  readonly permanent: boolean
}
export interface QdiscInfo {
  readonly link: number
  readonly kind: string
  readonly ingressBlock: number
  readonly egressBlock: number
}

/** A filter of any kind; `name` is that of an eBPF filter, else empty. */
export interface FilterInfo {
  readonly priority: number
  readonly name: string
}

export type NetGroup = 'link' | 'address4' | 'address6' | 'route4' | 'route6' | 'rule4' | 'rule6'
/** What changed, without its content: the listener dumps what it cares about. `overrun`: events were lost, look at everything. */
export type NetEvent =
  | { readonly kind: 'link'; readonly gone: boolean; readonly index: number; readonly name: string }
  | { readonly kind: 'address' | 'route' | 'rule' }
  | { readonly kind: 'overrun' }

/** One network namespace. Errors are NetlinkError (code, errno, kernel's extended ACK text, the request). */
export interface Net extends Disposable {
  /**
   * Carries requests out in order, in as few sends as their dependences allow; throws the first failure after all were
   * tried. Deleting the absent succeeds. Names mean the link that has them when the request's turn comes.
   */
  run(requests: readonly NetRequest[]): void
  /**
   * The same on a thread, over a socket of its own: for what waits for a grace period (deleting devices). The kernel
   * cannot be told to stop: a device somebody still refers to keeps the thread until it is let go of.
   */
  runBlocking(requests: readonly NetRequest[]): Promise<void>
  link(ref: LinkRef): LinkInfo | undefined
  links(): LinkInfo[]
  addresses(): AddressInfo[]
  /**
   * Unicast, local, unreachable and blackhole routes of all tables; of several next hops the first. With a protocol only
   * those of it, which the kernel picks out: a router's node may have a million of others.
   */
  routes(protocol?: number): RouteInfo[]
  /** Rules that look up a table. */
  rules(): Rule[]
  neighbours(): NeighbourInfo[]
  qdiscs(): QdiscInfo[]
  /** Filters at a place, in the order packets meet them; none where there is no such place. */
  filters(at: FilterPlace): FilterInfo[]
  /** The route the kernel would take (RTM_GETROUTE); undefined when unreachable. */
  routeTo(address: Address): RouteInfo | undefined
  /** Calls back for events until disposed; each kind of change without a name at most once a turn of the event loop. */
  watch(groups: readonly NetGroup[], onEvent: (event: NetEvent) => void): Disposable
}

/** An eBPF map with typed keys and values. Absence is undefined; deleting the absent succeeds. */
export interface BpfMap<K, V> {
  readonly name: string
  readonly maxEntries: number
  lookup(key: K): V | undefined
  update(key: K, value: V): void
  delete(key: K): void
  updateBatch(entries: Iterable<readonly [K, V]>): void
  deleteBatch(keys: Iterable<K>): void
  entries(): Iterable<readonly [K, V]>
}

/** Outcome of a probe: present, absent with the reason, or not known (probing itself failed). */
export type Feature =
  | { readonly state: 'present' }
  | { readonly state: 'absent'; readonly reason: string }
  | { readonly state: 'unknown'; readonly error: string }

export type FeatureName =
  | 'tcx'
  | 'netkit'
  | 'veth'
  | 'vxlan'
  | 'bridge'
  | 'wireguard'
  | 'dummy'
  | 'geneve'
  | 'shared-block'
  | 'xdp'
  | 'cgroup-sock-addr'
  | 'big-tcp-ipv6'
  | 'big-tcp-ipv4'
  | 'redirect-peer'
  | 'ring-buffer'
  | 'trampoline'
  | 'kprobe'

export interface Kernel {
  /** The namespace the daemon stands in. */
  readonly net: Net
  /** Opens another namespace by its nsfs path; throws SystemError ENOENT or NotANetns. */
  openNet(netnsPath: string): Net
  /** Identity of the namespace at a path, undefined when there is none. */
  netnsId(netnsPath: string): NetnsId | undefined
  readonly bootId: string
  readonly release: string
  /** A setting by its sysctl name; of an interface by `deviceSysctl`, or a dot in the device's name goes astray. */
  sysctl(name: string, netnsPath?: string): string | undefined
  setSysctl(name: string, value: string, netnsPath?: string): void
  feature(name: FeatureName): Feature
}

/** Route protocol number of everything the daemon adds (rtnetlink: 4–255 are free for user space). */
export const CAUSEWAY_PROTOCOL = 0xca
