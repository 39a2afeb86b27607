/** Sockets of a namespace as the kernel lists and ends them (sock_diag(7), SOCK_DESTROY of linux/sock_diag.h). */
import { closeSync } from 'node:fs'
import { toMapped16 } from '../ip.ts'
import type { Address } from '../kernel.ts'
import { openNetns } from '../netns/netns-file.ts'
import { errnoName } from '../sys.ts'
import { AF, NETLINK } from './constants.ts'
import { Attributes, BodyWriter, type Message, type Received } from './message.ts'
import { NetlinkError } from './netlink-error.ts'
import { NetlinkSocket } from './socket.ts'

/** Whom a socket is connected to. */
export interface Remote {
  readonly address: Address
  readonly port: number
}

const SOCK_DIAG = { BY_FAMILY: 20, DESTROY: 21 } as const
const SOCKET_PROTOCOLS = { TCP: 6, UDP: 17 } as const
const ALL_STATES = 0xffffffff
/** struct inet_diag_sockid: ports, addresses, device, cookie. */
const ID = { SIZE: 48, SOURCE_PORT: 0, DESTINATION_PORT: 2, SOURCE: 4, DESTINATION: 20, COOKIE: 40 } as const
/** Of it in struct inet_diag_msg. */
const ID_AT = 4
/** Of the attributes behind struct inet_diag_msg. */
const ATTRIBUTES_AT = 72
/** INET_DIAG_SKV6ONLY, which sockets of IPv6 have that are connected to nobody. */
const ONLY_IPV6 = 11

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
        .dump(listMessage(family, remote.port, 'UDP'), 'list sockets')
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

/**
 * A socket that has a port. Addresses are in 16 bytes, IPv4 mapped; the remote of one that is connected to nobody is
 * unspecified, its port 0.
 */
export interface BoundSocket {
  readonly protocol: keyof typeof SOCKET_PROTOCOLS
  readonly local: Uint8Array
  readonly localPort: number
  readonly remote: Uint8Array
  readonly remotePort: number
  /** One of IPv6 that takes nothing of IPv4 (IPV6_V6ONLY). */
  readonly onlyIpv6: boolean
}

/**
 * The sockets of a namespace by TCP and UDP, in whatever state, a few hundred a turn of the event loop; none of a protocol
 * that the kernel cannot list (CONFIG_INET_TCP_DIAG, CONFIG_INET_UDP_DIAG). Throws SystemError, NotANetns, NetlinkError.
 */
export async function* boundSockets(netnsPath: string): AsyncGenerator<BoundSocket> {
  const netnsFd = openNetns(netnsPath)
  try {
    using socket = new NetlinkSocket(NETLINK.SOCK_DIAG, netnsFd)
    for (const protocol of ['TCP', 'UDP'] as const)
      for (const family of [AF.INET, AF.INET6])
        for await (const messages of listed(socket, family, protocol))
          for (const { body } of messages) {
            const found = readBound(body, protocol)
            if (found.localPort !== 0) yield found
          }
  } finally {
    closeSync(netnsFd)
  }
}

async function* listed(socket: NetlinkSocket, family: number, protocol: BoundSocket['protocol']) {
  try {
    yield* socket.dumpInTurns(listMessage(family, 0, protocol), 'list sockets')
  } catch (error) {
    if (!(error instanceof NetlinkError) || error.code !== 'ENOENT') throw error
  }
}

function readBound(body: Uint8Array, protocol: BoundSocket['protocol']): BoundSocket {
  const { family, id, destination } = readSocket({ body })
  const ports = new DataView(id.buffer, id.byteOffset, ID.SIZE)
  return {
    protocol,
    local: mapped(family, id.subarray(ID.SOURCE, ID.SOURCE + 16)),
    localPort: ports.getUint16(ID.SOURCE_PORT),
    remote: destination,
    remotePort: ports.getUint16(ID.DESTINATION_PORT),
    onlyIpv6: family === AF.INET6 && new Attributes(body.subarray(ATTRIBUTES_AT)).u8(ONLY_IPV6) === 1,
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

function readSocket({ body }: Pick<Received, 'body'>): DiagSocket {
  const family = body[0] ?? 0
  const id = body.subarray(ID_AT, ID_AT + ID.SIZE)
  return { family, id, destination: mapped(family, id.subarray(ID.DESTINATION, ID.DESTINATION + 16)) }
}

function mapped(family: number, bytes: Uint8Array): Uint8Array {
  if (family === AF.INET6) return bytes
  return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...bytes.subarray(0, 4))
}

function cookieOf(id: Uint8Array): bigint {
  return new DataView(id.buffer, id.byteOffset).getBigUint64(ID.COOKIE, true)
}

/** The kernel leaves out sockets to other ports, unless it is 0. */
function listMessage(family: number, port: number, protocol: BoundSocket['protocol']): Message {
  const id = new Uint8Array(ID.SIZE)
  new DataView(id.buffer).setUint16(ID.DESTINATION_PORT, port)
  return message(SOCK_DIAG.BY_FAMILY, family, id, protocol)
}

/** struct inet_diag_req_v2. */
function message(type: number, family: number, id: Uint8Array, protocol: BoundSocket['protocol'] = 'UDP'): Message {
  const body = new BodyWriter().u8(family).u8(SOCKET_PROTOCOLS[protocol]).u8(0).u8(0).u32(ALL_STATES).raw(id)
  return { type, flags: 0, body: body.finish() }
}
