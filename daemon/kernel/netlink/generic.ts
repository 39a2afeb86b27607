/**
 * Generic netlink: families of commands that modules add at run time, looked up by name (linux/genetlink.h,
 * Documentation/networking/generic_netlink.rst).
 */
import { closeSync } from 'node:fs'
import { openNetns } from '../netns/netns-file.ts'
import { CTRL_ATTR, CTRL_ATTR_MCAST_GRP, CTRL_CMD_GETFAMILY, GENL_ID_CTRL, NETLINK } from './constants.ts'
import { Attributes, BodyWriter, type Message, type Received } from './message.ts'
import { NetlinkError } from './netlink-error.ts'
import { NetlinkSocket, type Outcome } from './socket.ts'

/** A family as the kernel numbered it when its module was loaded. */
export interface GenericFamily {
  readonly name: string
  readonly id: number
  readonly version: number
  /** Multicast groups by name. */
  readonly groups: ReadonlyMap<string, number>
}

/** A command with its attributes, which `fill` writes. */
export interface GenericCommand {
  readonly command: number
  readonly fill?: (writer: BodyWriter) => void
}

export interface GenericAnswer {
  readonly command: number
  readonly attributes: Attributes
}

/** The family every kernel has, which tells of the others. */
export const CONTROLLER: GenericFamily = { name: 'nlctrl', id: GENL_ID_CTRL, version: 2, groups: new Map() }

/** Holds one socket until disposed. Errors are NetlinkError and, from the socket, SystemError. */
export class GenericNetlink implements Disposable {
  readonly #socket: NetlinkSocket

  /** Opens a socket in the namespace at a path, where devices named in commands are looked for. */
  constructor(netnsPath = '/proc/thread-self/ns/net') {
    const netnsFd = openNetns(netnsPath)
    try {
      this.#socket = new NetlinkSocket(NETLINK.GENERIC, netnsFd)
    } finally {
      closeSync(netnsFd)
    }
  }

  /** Looks a family up, which makes the kernel load its module; undefined when there is none. */
  family(name: string): GenericFamily | undefined {
    const fill = (w: BodyWriter): BodyWriter => w.attributeText(CTRL_ATTR.FAMILY_NAME, name)
    try {
      const [answer] = this.request(CONTROLLER, { command: CTRL_CMD_GETFAMILY, fill })
      return answer && decodeFamily(answer)
    } catch (error) {
      if (error instanceof NetlinkError && error.code === 'ENOENT') return undefined
      throw error
    }
  }

  /** All families the kernel has now. */
  families(): GenericFamily[] {
    return this.dump(CONTROLLER, { command: CTRL_CMD_GETFAMILY }).map(decodeFamily)
  }

  /** Carries a command out and returns what the kernel answered before its acknowledgement. */
  request(family: GenericFamily, command: GenericCommand): GenericAnswer[] {
    const [outcome] = this.#socket.transact([encode(family, command)])
    return answersOf(outcome, `${family.name} command ${command.command}`)
  }

  /** Everything a dump command lists. */
  dump(family: GenericFamily, command: GenericCommand): GenericAnswer[] {
    const attempt = `${family.name} dump ${command.command}`
    return this.#socket.dump(encode(family, command), attempt).map(decode)
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]()
  }
}

/** struct genlmsghdr and the attributes. */
function encode(family: GenericFamily, { command, fill }: GenericCommand): Message {
  const writer = new BodyWriter().u8(command).u8(family.version).u16(0)
  fill?.(writer)
  return { type: family.id, flags: 0, body: writer.finish() }
}

function decode(message: Received): GenericAnswer {
  return { command: message.body[0] ?? 0, attributes: new Attributes(message.body.subarray(4)) }
}

function answersOf(outcome: Outcome | undefined, attempt: string): GenericAnswer[] {
  if (outcome === undefined) return []
  if (outcome.errno !== 0) throw new NetlinkError(attempt, outcome.errno, outcome.kernelText)
  return outcome.answers.map(decode)
}

function decodeFamily({ attributes }: GenericAnswer): GenericFamily {
  const groups = attributes.nested(CTRL_ATTR.MCAST_GROUPS).all.map(({ value }) => new Attributes(value))
  return {
    name: attributes.text(CTRL_ATTR.FAMILY_NAME) ?? '',
    id: attributes.u16(CTRL_ATTR.FAMILY_ID) ?? 0,
    version: attributes.u32(CTRL_ATTR.VERSION) ?? 0,
    groups: new Map(groups.map(g => [g.text(CTRL_ATTR_MCAST_GRP.NAME) ?? '', g.u32(CTRL_ATTR_MCAST_GRP.ID) ?? 0])),
  }
}
