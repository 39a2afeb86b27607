/**
 * Numbers of the netlink protocol families this layer speaks, named as in the kernel's headers (linux/netlink.h,
 * rtnetlink.h, if_link.h, if_addr.h, fib_rules.h, neighbour.h, pkt_cls.h, genetlink.h). Only what is used stands here.
 */

export const AF = { UNSPEC: 0, INET: 2, INET6: 10, NETLINK: 16 } as const

export const NETLINK = { ROUTE: 0, SOCK_DIAG: 4, GENERIC: 16 } as const

/** Flags of a message header (netlink(7)). */
export const NLM_F = {
  REQUEST: 0x1,
  MULTI: 0x2,
  ACK: 0x4,
  DUMP_INTR: 0x10,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
  /** In an error message: the request is not echoed in full. */
  CAPPED: 0x100,
  /** In an error message: attributes follow. */
  ACK_TLVS: 0x200,
} as const

export const NLMSG = { NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4 } as const
/** Attributes of an error message when NETLINK_EXT_ACK is on. */
export const NLMSGERR_ATTR = { MSG: 1, OFFS: 2, MISS_TYPE: 5 } as const
/** In an attribute's type: it holds attributes; its value is in network order. */
export const NLA_F = { NESTED: 0x8000, TYPE_MASK: 0x3fff } as const

export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  SETLINK: 19,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  NEWNEIGH: 28,
  DELNEIGH: 29,
  GETNEIGH: 30,
  NEWRULE: 32,
  DELRULE: 33,
  GETRULE: 34,
  NEWQDISC: 36,
  DELQDISC: 37,
  GETQDISC: 38,
  NEWTFILTER: 44,
  DELTFILTER: 45,
  GETTFILTER: 46,
} as const

export const RTNLGRP = {
  LINK: 1,
  IPV4_IFADDR: 5,
  IPV4_ROUTE: 7,
  IPV4_RULE: 8,
  IPV6_IFADDR: 9,
  IPV6_ROUTE: 11,
  IPV6_RULE: 19,
} as const

export const IFF = { UP: 0x1, LOOPBACK: 0x8, LOWER_UP: 0x10000 } as const

export const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  LINKINFO: 18,
  IFALIAS: 20,
  AF_SPEC: 26,
  GROUP: 27,
  NET_NS_FD: 28,
  EXT_MASK: 29,
  GSO_MAX_SIZE: 41,
  GRO_MAX_SIZE: 58,
  GSO_IPV4_MAX_SIZE: 63,
  GRO_IPV4_MAX_SIZE: 64,
} as const
export const IFLA_INFO = { KIND: 1, DATA: 2 } as const
export const IFLA_INET6_ADDR_GEN_MODE = 8
export const ADDR_GEN_MODE = { eui64: 0, none: 1 } as const
/** Leaves the counters out of a link's description, which halves it. */
export const RTEXT_FILTER_SKIP_STATS = 8

export const VETH_INFO_PEER = 1
export const IFLA_NETKIT = { PEER_INFO: 1, PRIMARY: 2, POLICY: 3, PEER_POLICY: 4, MODE: 5 } as const
export const NETKIT_MODE = { l2: 0, l3: 1 } as const
export const IFLA_VXLAN = {
  LEARNING: 7,
  PORT: 15,
  UDP_ZERO_CSUM6_TX: 19,
  UDP_ZERO_CSUM6_RX: 20,
  COLLECT_METADATA: 25,
} as const

export const IFA = { ADDRESS: 1, LOCAL: 2, FLAGS: 8 } as const
export const IFA_F = { NODAD: 0x02, PERMANENT: 0x80 } as const

export const RTA = {
  DST: 1,
  OIF: 4,
  GATEWAY: 5,
  PRIORITY: 6,
  PREFSRC: 7,
  METRICS: 8,
  MULTIPATH: 9,
  TABLE: 15,
  VIA: 18,
} as const
export const RTAX_MTU = 2
export const RTM_F = { CLONED: 0x200, LOOKUP_TABLE: 0x1000 } as const
export const RTNH_F_ONLINK = 4
export const RT_TABLE = { UNSPEC: 0, COMPAT: 252, MAIN: 254, LOCAL: 255 } as const
export const RT_SCOPE = { global: 0, link: 253, host: 254, nowhere: 255 } as const
export const RTN = { unicast: 1, local: 2, blackhole: 6, unreachable: 7 } as const

export const FRA = {
  DST: 1,
  SRC: 2,
  IIFNAME: 3,
  PRIORITY: 6,
  FWMARK: 10,
  TABLE: 15,
  FWMASK: 16,
  OIFNAME: 17,
  PROTOCOL: 21,
} as const
export const FR_ACT_TO_TBL = 1

export const NDA = { DST: 1, LLADDR: 2 } as const
export const NUD = { PERMANENT: 0x80 } as const

export const TCA = { KIND: 1, OPTIONS: 2, INGRESS_BLOCK: 13, EGRESS_BLOCK: 14 } as const
export const TCA_BPF = { FD: 6, NAME: 7, FLAGS: 8 } as const
export const TCA_BPF_FLAG_ACT_DIRECT = 1
/** Parents and handles of clsact (pkt_sched.h): the qdisc and its two sides. */
export const TC_H = { CLSACT: 0xfffffff1, INGRESS: 0xfffffff2, EGRESS: 0xfffffff3, CLSACT_HANDLE: 0xffff0000 } as const
/** In place of an interface index: the message is about a shared block. */
export const TCM_IFINDEX_MAGIC_BLOCK = 0xffffffff
export const ETH_P_ALL = 0x0003

export const GENL_ID_CTRL = 0x10
export const CTRL_CMD_GETFAMILY = 3
export const CTRL_ATTR = { FAMILY_ID: 1, FAMILY_NAME: 2, VERSION: 3, MCAST_GROUPS: 7 } as const
export const CTRL_ATTR_MCAST_GRP = { NAME: 1, ID: 2 } as const
