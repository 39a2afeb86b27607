/** For the tests: requests and the messages they are, byte for byte as rtnetlink(7) and the kernel's headers lay them out. */
import type { NetRequest } from '../../kernel.ts'

const NEW = 0x400
const EXCL = 0x200
const REPLACE = 0x100

export interface Case {
  readonly name: string
  readonly request: NetRequest
  /** Type, flags and body of the message; spaces and what stands in brackets are for the reader. */
  readonly want: { readonly type: number; readonly flags?: number; readonly body: string }
}

const NO_HEADER = '[AF_UNSPEC] 00 00 0000 [index] 00000000 [flags] 00000000 [change] 00000000'
const CW1 = '[IFNAME] 0800 0300 63773100'
const ETH0 = '[IFNAME] 0900 0300 6574683000 000000'

export const cases: readonly Case[] = [
  {
    name: 'link-add veth with its peer in another namespace',
    request: {
      op: 'link-add',
      link: {
        kind: 'veth',
        name: 'cw1',
        mac: '02:00:00:00:00:01',
        mtu: 1400,
        group: 7,
        up: true,
        peer: { name: 'eth0', netns: '/run/netns/x', mtu: 1400, gsoIpv4MaxSize: 200_000 },
      },
    },
    want: {
      type: 16,
      flags: NEW | EXCL,
      body: `[AF_UNSPEC] 00 00 0000 [index] 00000000 [IFF_UP] 01000000 [change] 01000000 ${CW1}
          [ADDRESS] 0a00 0100 020000000001 0000 [MTU] 0800 0400 78050000 [GROUP] 0800 1b00 07000000
          [LINKINFO] 4c00 1280 [KIND] 0900 0100 7665746800 000000
            [DATA] 3c00 0280 [VETH_INFO_PEER] 3800 0180 ${NO_HEADER} ${ETH0} [MTU] 0800 0400 78050000
              [GSO_IPV4_MAX_SIZE] 0800 3f00 400d0300 [NET_NS_FD] 0800 1c00 2a000000`,
    },
  },
  {
    name: 'link-add without up leaves the flags alone',
    request: { op: 'link-add', link: { kind: 'bridge', name: 'cw1' } },
    want: {
      type: 16,
      flags: NEW | EXCL,
      body: `${NO_HEADER} ${CW1} [LINKINFO] 1000 1280 [KIND] 0b00 0100 62726964676500 00`,
    },
  },
  {
    name: 'link-add does not bring up what must be changed before it goes up',
    request: { op: 'link-add', link: { kind: 'bridge', name: 'cw1', up: true, addrGenMode: 'none' } },
    want: {
      type: 16,
      flags: NEW | EXCL,
      body: `${NO_HEADER} ${CW1} [LINKINFO] 1000 1280 [KIND] 0b00 0100 62726964676500 00`,
    },
  },
  {
    name: 'link-add netkit',
    request: { op: 'link-add', link: { kind: 'netkit', mode: 'l3', name: 'cw1', peer: { name: 'eth0' } } },
    want: {
      type: 16,
      flags: NEW | EXCL,
      body: `${NO_HEADER} ${CW1} [LINKINFO] 3c00 1280 [KIND] 0b00 0100 6e65746b697400 00
          [DATA] 2c00 0280 [MODE] 0800 0500 01000000 [PEER_INFO] 2000 0180 ${NO_HEADER} ${ETH0}`,
    },
  },
  {
    name: 'link-add vxlan that takes its tunnel key from each packet',
    request: { op: 'link-add', link: { kind: 'vxlan', external: true, port: 4789, name: 'cw1' } },
    want: {
      type: 16,
      flags: NEW | EXCL,
      body: `${NO_HEADER} ${CW1} [LINKINFO] 3c00 1280 [KIND] 0a00 0100 76786c616e00 0000
          [DATA] 2c00 0280 [COLLECT_METADATA] 0500 1900 01 000000 [LEARNING] 0500 0700 00 000000
          [PORT] 0600 0f00 12b5 0000 [UDP_ZERO_CSUM6_TX] 0500 1300 01 000000 [UDP_ZERO_CSUM6_RX] 0500 1400 01 000000`,
    },
  },
  {
    name: 'link-set by index',
    request: { op: 'link-set', link: 5, up: false, gsoMaxSize: 65_536, groMaxSize: 0, groIpv4MaxSize: 1 },
    want: {
      type: 19,
      body: `00 00 0000 [index] 05000000 [flags] 00000000 [IFF_UP] 01000000
          [GSO_MAX_SIZE] 0800 2900 00000100 [GRO_IPV4_MAX_SIZE] 0800 4000 01000000`,
    },
  },
  {
    name: 'link-set by name',
    request: { op: 'link-set', link: 'cw1', alias: 'a b', master: 'br0', groMaxSize: 2 },
    want: {
      type: 19,
      body: `${NO_HEADER} ${CW1} [GRO_MAX_SIZE] 0800 3a00 02000000 [IFALIAS] 0700 1400 61206200 [MASTER] 0800 0a00 09000000`,
    },
  },
  {
    name: 'link-set with a new name goes by index',
    request: { op: 'link-set', link: 'br0', rename: 'cw1' },
    want: { type: 19, body: `00 00 0000 [index] 09000000 00000000 00000000 ${CW1}` },
  },
  {
    name: 'link-set of the way IPv6 addresses are generated',
    request: { op: 'link-set', link: 'cw1', addrGenMode: 'none' },
    want: {
      type: 19,
      body: `${NO_HEADER} ${CW1} [AF_SPEC] 1000 1a80 [AF_INET6] 0c00 0a80 [ADDR_GEN_MODE] 0500 0800 01 000000`,
    },
  },
  {
    name: 'link-delete by name',
    request: { op: 'link-delete', link: 'cw1' },
    want: { type: 17, body: `${NO_HEADER} ${CW1}` },
  },
  {
    name: 'link-delete by index',
    request: { op: 'link-delete', link: 300 },
    want: { type: 17, body: '00 00 0000 2c010000 00000000 00000000' },
  },
  {
    name: 'group-delete',
    request: { op: 'group-delete', group: 0xca01 },
    want: { type: 17, body: `${NO_HEADER} [GROUP] 0800 1b00 01ca0000` },
  },
  {
    name: 'address-add IPv4',
    request: { op: 'address-add', link: 'br0', address: '10.0.0.5/24', scope: 'link' },
    want: {
      type: 20,
      flags: NEW | EXCL,
      body: '[AF_INET] 02 [length] 18 00 [link] fd [index] 09000000 [LOCAL] 0800 0200 0a000005 [ADDRESS] 0800 0100 0a000005',
    },
  },
  {
    name: 'address-add IPv6 that replaces and is not probed',
    request: { op: 'address-add', link: 3, address: 'fd00::5/128', noDad: true, replace: true },
    want: {
      type: 20,
      flags: NEW | REPLACE,
      body: `[AF_INET6] 0a 80 00 00 03000000 [LOCAL] 1400 0200 fd000000000000000000000000000005
          [ADDRESS] 1400 0100 fd000000000000000000000000000005 [FLAGS] 0800 0800 02000000`,
    },
  },
  {
    name: 'address-delete',
    request: { op: 'address-delete', link: 3, address: '10.0.0.5/24' },
    want: { type: 21, body: '02 18 00 00 03000000 0800 0200 0a000005 0800 0100 0a000005' },
  },
  {
    name: 'route-add to a directly reached IPv4 prefix',
    request: { op: 'route-add', route: { dst: '10.1.0.0/16', link: 'br0' } },
    want: {
      type: 24,
      flags: NEW | EXCL,
      body: `[AF_INET] 02 10 00 00 [main] fe [protocol] ca [link] fd [unicast] 01 [flags] 00000000
          [DST] 0800 0100 0a010000 [TABLE] 0800 0f00 fe000000 [OIF] 0800 0400 09000000`,
    },
  },
  {
    name: 'route-add with everything',
    request: {
      op: 'route-add',
      replace: true,
      route: {
        dst: '0.0.0.0/0',
        via: '169.254.1.1',
        link: 4,
        table: 1000,
        protocol: 3,
        src: '10.0.0.5',
        mtu: 1350,
        metric: 50,
        onlink: true,
      },
    },
    want: {
      type: 24,
      flags: NEW | REPLACE,
      body: `02 00 00 00 [RTA_TABLE instead] 00 03 [global] 00 01 [ONLINK] 04000000 [TABLE] 0800 0f00 e8030000
          [GATEWAY] 0800 0500 a9fe0101 [OIF] 0800 0400 04000000 [PREFSRC] 0800 0700 0a000005
          [PRIORITY] 0800 0600 32000000 [METRICS] 0c00 0880 [MTU] 0800 0200 46050000`,
    },
  },
  {
    name: 'route-add over a gateway of the other family',
    request: { op: 'route-add', route: { dst: '10.1.0.0/16', via: 'fe80::1', link: 4 } },
    want: {
      type: 24,
      flags: NEW | EXCL,
      body: `02 10 00 00 fe ca 00 01 00000000 [DST] 0800 0100 0a010000 [TABLE] 0800 0f00 fe000000
          [VIA] 1600 1200 [AF_INET6] 0a00 fe800000000000000000000000000001 0000 [OIF] 0800 0400 04000000`,
    },
  },
  {
    name: 'route-add unreachable over IPv6',
    request: { op: 'route-add', route: { dst: 'fd00::/64', type: 'unreachable' } },
    want: {
      type: 24,
      flags: NEW | EXCL,
      body: `[AF_INET6] 0a 40 00 00 fe ca 00 [unreachable] 07 00000000
          [DST] 1400 0100 fd000000000000000000000000000000 [TABLE] 0800 0f00 fe000000`,
    },
  },
  {
    name: 'route-delete matches any scope and protocol when none is given',
    request: { op: 'route-delete', route: { dst: '10.1.0.0/16', type: 'blackhole' } },
    want: {
      type: 25,
      body: '02 10 00 00 fe [any] 00 [nowhere] ff [blackhole] 06 00000000 0800 0100 0a010000 0800 0f00 fe000000',
    },
  },
  {
    name: 'rule-add',
    request: {
      op: 'rule-add',
      rule: {
        family: 4,
        priority: 100,
        from: '10.0.0.0/8',
        to: '10.1.0.0/16',
        mark: { value: 0x10, mask: 0xf0 },
        table: 1000,
        protocol: 0xca,
      },
    },
    want: {
      type: 32,
      flags: NEW | EXCL,
      body: `[AF_INET] 02 [to] 10 [from] 08 00 00 00 00 [TO_TBL] 01 00000000 [DST] 0800 0100 0a010000
          [SRC] 0800 0200 0a000000 [PRIORITY] 0800 0600 64000000 [TABLE] 0800 0f00 e8030000
          [FWMARK] 0800 0a00 10000000 [FWMASK] 0800 1000 f0000000 [PROTOCOL] 0500 1500 ca 000000`,
    },
  },
  {
    name: 'rule-delete',
    request: { op: 'rule-delete', rule: { family: 6, priority: 5, table: 254 } },
    want: { type: 33, body: '0a 00 00 00 fe 00 00 01 00000000 0800 0600 05000000 0800 0f00 fe000000' },
  },
  {
    name: 'neighbour-add',
    request: { op: 'neighbour-add', link: 4, address: '10.0.0.9', mac: '02:00:00:00:00:09', replace: true },
    want: {
      type: 28,
      flags: NEW | REPLACE,
      body: `02 00 0000 04000000 [PERMANENT] 8000 00 00 [DST] 0800 0100 0a000009 [LLADDR] 0a00 0200 020000000009 0000`,
    },
  },
  {
    name: 'neighbour-delete',
    request: { op: 'neighbour-delete', link: 4, address: 'fd00::9' },
    want: { type: 29, body: '0a 00 0000 04000000 0000 00 00 1400 0100 fd000000000000000000000000000009' },
  },
  {
    name: 'clsact-add on shared blocks',
    request: { op: 'clsact-add', link: 'br0', ingressBlock: 51, egressBlock: 52 },
    want: {
      type: 36,
      flags: NEW | EXCL,
      body: `00 00 0000 09000000 [handle] 0000ffff [CLSACT] f1ffffff 00000000 [KIND] 0b00 0100 636c7361637400 00
          [INGRESS_BLOCK] 0800 0d00 33000000 [EGRESS_BLOCK] 0800 0e00 34000000`,
    },
  },
  {
    name: 'clsact-delete',
    request: { op: 'clsact-delete', link: 4 },
    want: { type: 37, body: '00 00 0000 04000000 0000ffff f1ffffff 00000000 0b00 0100 636c7361637400 00' },
  },
  {
    name: 'filter-replace on a shared block',
    request: { op: 'filter-replace', at: { block: 51 }, priority: 1, programFd: 42, name: 'pod_out' },
    want: {
      type: 44,
      flags: NEW | REPLACE,
      body: `00 00 0000 [MAGIC_BLOCK] ffffffff [handle] 01000000 [block] 33000000 [ETH_P_ALL] 0003 [priority] 0100
          [KIND] 0800 0100 62706600 [OPTIONS] 2000 0280 [FD] 0800 0600 2a000000 [NAME] 0c00 0700 706f645f6f757400
          [FLAGS] 0800 0800 01000000`,
    },
  },
  {
    name: 'filter-replace on one side of a link',
    request: { op: 'filter-replace', at: { link: 'br0', side: 'egress' }, priority: 0xffff, programFd: 1, name: 'x' },
    want: {
      type: 44,
      flags: NEW | REPLACE,
      body: `00 00 0000 09000000 01000000 [EGRESS] f3ffffff 0003 ffff 0800 0100 62706600
          1c00 0280 0800 0600 01000000 0600 0700 7800 0000 0800 0800 01000000`,
    },
  },
  {
    name: 'filter-delete',
    request: { op: 'filter-delete', at: { link: 'br0', side: 'ingress' }, priority: 2 },
    want: { type: 45, body: '00 00 0000 09000000 01000000 [INGRESS] f2ffffff 0003 0200 0800 0100 62706600' },
  },
]
