/** Sockets of a namespace as the kernel lists and ends them (sock_diag(7), SOCK_DESTROY of linux/sock_diag.h). */
import { closeSync } from 'node:fs'
import { toMapped16 } from '../ip.ts'
import type { Address } from '../kernel.ts'
import { openNetns } from '../netns/netns-file.ts'
import { errnoName } from '../sys.ts'
import { AF, NETLINK } from './constants.ts'
import { BodyWriter, type Message, type Received } from './message.ts'
import { NetlinkError } from './netlink-error.ts'
import { NetlinkSocket } from './socket.ts'

/** Whom a socket is connected to. */
export interface Remote {
  readonly address: Address
  readonly port: number
}

const SOCK_DIAG = { BY_FAMILY: 20, DESTROY: 21 } as const
const IPPROTO_UDP = 17
const ALL_STATES = 0xffffffff
/** struct inet_diag_sockid: ports, addresses, device, cookie. */
const ID = { SIZE: 48, DESTINATION_PORT: 2, DESTINATION: 20, COOKIE: 40 } as const
/** Of it in struct inet_diag_msg. */
const ID_AT = 4

/**
 * Ends the UDP sockets of a namespace that are connected to this remote and whose cookie is meant: their programs get
 * ECONNABORTED. Returns how many there were. Throws SystemError, NotANetns, or NetlinkError EOPNOTSUPP of a kernel that
 * cannot (CONFIG_INET_DIAG_DESTROY).
 */
export function endUdpSockets(netnsPath: string, remote: Remote, meant: (cookie: bigint) => boolean): number {
  const netnsFd = openNetns(netnsPath)
  try {
    using socket = new NetlinkSocket(NETLINK.SOCK_DIAG, netnsFd)
    const address = toMapped16(remote.address)
    // A socket of IPv6 may speak to an address of IPv4.
    const found = [AF.INET, AF.INET6].flatMap(family =>
      socket
        .dump(listMessage(family, remote.port), 'list sockets')
        .map(readSocket)
        .filter(({ id, destination }) => Buffer.compare(destination, address) === 0 && meant(cookieOf(id))),
    )
    const outcomes = socket.transact(found.map(({ family, id }) => message(SOCK_DIAG.DESTROY, family, id)))
    for (const { errno, kernelText } of outcomes)
      if (errno !== 0 && !isGone(errno)) throw new NetlinkError('end a socket', errno, kernelText)
    return outcomes.filter(({ errno }) => errno === 0).length
  } finally {
    closeSync(netnsFd)
  }
}

/** Closed meanwhile, or bound to another by now. */
function isGone(errno: number): boolean {
  return ['ENOENT', 'ESTALE'].includes(errnoName(errno))
}

interface DiagSocket {
  readonly family: number
  readonly id: Uint8Array
  /** In 16 bytes, IPv4 mapped. */
  readonly destination: Uint8Array
}

function readSocket({ body }: Received): DiagSocket {
  const family = body[0] ?? 0
  const id = body.subarray(ID_AT, ID_AT + ID.SIZE)
  const bytes = id.subarray(ID.DESTINATION, ID.DESTINATION + 16)
  if (family === AF.INET6) return { family, id, destination: bytes }
  return { family, id, destination: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...bytes.subarray(0, 4)) }
}

function cookieOf(id: Uint8Array): bigint {
  return new DataView(id.buffer, id.byteOffset).getBigUint64(ID.COOKIE, true)
}

/** The kernel leaves out sockets to other ports. */
function listMessage(family: number, port: number): Message {
  const id = new Uint8Array(ID.SIZE)
  new DataView(id.buffer).setUint16(ID.DESTINATION_PORT, port)
  return message(SOCK_DIAG.BY_FAMILY, family, id)
}

/** struct inet_diag_req_v2. */
function message(type: number, family: number, id: Uint8Array): Message {
  const body = new BodyWriter().u8(family).u8(IPPROTO_UDP).u8(0).u8(0).u32(ALL_STATES).raw(id)
  return { type, flags: 0, body: body.finish() }
}
