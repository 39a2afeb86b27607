/** What eBPF programs know a network namespace by (bpf_get_netns_cookie). */
import { closeSync } from 'node:fs'
import { lastErrno, libcFunction, systemError } from '../sys.ts'

const AF_UNIX = 1
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_NETNS_COOKIE = 71

const cSocket = libcFunction('int socket(int domain, int type, int protocol)')
const cGetOption = libcFunction('int getsockopt(int fd, int level, int name, void *value, void *length)')

/** Of the namespace that the thread stands in (Linux 5.14). Throws SystemError. */
export function netnsCookie(): bigint {
  const fd = cSocket()(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  if (fd < 0) throw systemError('open a socket', lastErrno())
  try {
    const [value, length] = [new BigUint64Array(1), Uint32Array.of(8)]
    if (cGetOption()(fd, SOL_SOCKET, SO_NETNS_COOKIE, value, length) < 0)
      throw systemError('read the cookie of a network namespace', lastErrno())
    return value[0] ?? 0n
  } finally {
    closeSync(fd)
  }
}
