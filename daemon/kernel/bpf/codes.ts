/**
 * Numbers of the bpf(2) interface by name (include/uapi/linux/bpf.h). They are stated here because the headers of a
 * build machine may be older than the kernel that runs; numbers once given never change.
 */

export const command = {
  MAP_CREATE: 0,
  MAP_LOOKUP_ELEM: 1,
  MAP_UPDATE_ELEM: 2,
  MAP_DELETE_ELEM: 3,
  MAP_GET_NEXT_KEY: 4,
  PROG_LOAD: 5,
  OBJ_PIN: 6,
  OBJ_GET: 7,
  PROG_TEST_RUN: 10,
  PROG_GET_NEXT_ID: 11,
  MAP_GET_NEXT_ID: 12,
  PROG_GET_FD_BY_ID: 13,
  MAP_GET_FD_BY_ID: 14,
  OBJ_GET_INFO_BY_FD: 15,
  PROG_QUERY: 16,
  BTF_GET_FD_BY_ID: 19,
  MAP_FREEZE: 22,
  MAP_LOOKUP_BATCH: 24,
  MAP_UPDATE_BATCH: 26,
  MAP_DELETE_BATCH: 27,
  LINK_CREATE: 28,
  LINK_UPDATE: 29,
  LINK_GET_FD_BY_ID: 30,
  LINK_GET_NEXT_ID: 31,
  LINK_DETACH: 34,
} as const
export type CommandName = keyof typeof command

export const mapType = {
  hash: 1,
  array: 2,
  'prog-array': 3,
  'percpu-hash': 5,
  'percpu-array': 6,
  'lru-hash': 9,
  'lru-percpu-hash': 10,
  'lpm-trie': 11,
  'array-of-maps': 12,
  'hash-of-maps': 13,
  devmap: 14,
  sockmap: 15,
  cpumap: 16,
  sockhash: 18,
  'ring-buffer': 27,
} as const
export type MapType = keyof typeof mapType

/** BPF_F_… flags of BPF_MAP_CREATE. */
export const mapFlag = {
  NO_PREALLOC: 1 << 0,
  NO_COMMON_LRU: 1 << 1,
  /** Programs may read it only, which the verifier sees to. */
  RDONLY_PROG: 1 << 7,
  MMAPABLE: 1 << 10,
  INNER_MAP: 1 << 12,
} as const

export const programType = {
  'socket-filter': 1,
  'sched-cls': 3,
  xdp: 6,
  'cgroup-skb': 8,
  'cgroup-sock': 9,
  'sock-ops': 13,
  'sk-skb': 14,
  'sk-msg': 16,
  'cgroup-sock-addr': 18,
  tracing: 26,
  'sk-lookup': 30,
  syscall: 31,
} as const
export type ProgramType = keyof typeof programType

export const attachType = {
  'cgroup-ingress': 0,
  'cgroup-egress': 1,
  'sock-create': 2,
  'sock-ops': 3,
  'sk-msg-verdict': 7,
  bind4: 8,
  bind6: 9,
  connect4: 10,
  connect6: 11,
  'post-bind4': 12,
  'post-bind6': 13,
  sendmsg4: 14,
  sendmsg6: 15,
  recvmsg4: 19,
  recvmsg6: 20,
  getpeername4: 29,
  getpeername6: 30,
  getsockname4: 31,
  getsockname6: 32,
  'sock-release': 34,
  'sk-lookup': 36,
  xdp: 37,
  'tcx-ingress': 46,
  'tcx-egress': 47,
  'netkit-primary': 54,
  'netkit-peer': 55,
} as const
export type AttachType = keyof typeof attachType

export const linkType = { cgroup: 3, netns: 5, xdp: 6, tcx: 11, netkit: 13 } as const
export type LinkType = keyof typeof linkType

/** Name of a number of one of the tables above; undefined for a number this file does not know. */
export function nameOf<N extends string>(table: Readonly<Record<N, number>>, value: number): N | undefined {
  for (const name in table) if (table[name] === value) return name
  return undefined
}
