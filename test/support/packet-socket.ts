/** Whole frames into and out of a device of another namespace (packet(7)): what no ordinary socket sends, and evidence. */
import { closeSync } from 'node:fs'
import { inNetns } from '../../daemon/kernel/netns/in-netns.ts'
import { lastErrno, libcFunction, Memory, errnoValue, systemError } from '../../daemon/kernel/sys.ts'
import { eventually } from './eventually.ts'
import { packetText } from './packet-text.ts'

const AF_PACKET = 17
const SOCK_RAW = 3
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
/** ETH_P_ALL in network order. */
const EVERY_TYPE = 0x0300
const SOL_SOCKET = 1
const SO_RCVBUFFORCE = 33
const QUEUE_BYTES = 16 << 20
const FRAME_BYTES = 70_000
/** sockaddr_ll: family, protocol, interface index, and 12 bytes that binding does not look at. */
const ADDRESS_BYTES = 20

const cSocket = libcFunction('int socket(int domain, int type, int protocol)')
const cBind = libcFunction('int bind(int fd, void *address, unsigned int length)')
const cSetOption = libcFunction('int setsockopt(int fd, int level, int name, const int *value, unsigned int length)')
const cSend = libcFunction('long send(int fd, void *bytes, size_t length, int flags)')
const cReceive = libcFunction('long recv(int fd, void *bytes, size_t length, int flags)')
const cIndex = libcFunction('unsigned int if_nametoindex(const char *name)')

/**
 * Sees every frame that enters or leaves the device from its opening on, and sends frames as they are. Frames between
 * devices of one machine may be larger than the MTU and lack checksums: nobody has cut or summed them yet.
 */
export class PacketSocket implements Disposable {
  readonly #fd: number
  readonly #memory = new Memory(FRAME_BYTES)
  readonly #seen: Uint8Array[] = []

  /** Opens it on a device of the namespace at an nsfs path. Throws SystemError. */
  constructor(netns: string, device: string) {
    this.#fd = inNetns(netns, () => openSocket(device))
  }

  /** Throws SystemError, such as EMSGSIZE for more than the device's MTU. */
  send(frame: Uint8Array): void {
    this.#memory.bytes.set(frame)
    const sent = Number(cSend()(this.#fd, this.#memory.pointer, frame.length, 0))
    if (sent < 0) throw systemError(`send a frame of ${frame.length} bytes`, lastErrno())
  }

  /** All frames seen so far, oldest first. */
  frames(): readonly Uint8Array[] {
    for (let length = this.#receive(); length >= 0; length = this.#receive())
      this.#seen.push(this.#memory.bytes.slice(0, length))
    return this.#seen
  }

  /** The same as text, see packet-text.ts. */
  texts(): readonly string[] {
    return this.frames().map(packetText)
  }

  /** The text of the first frame whose text fits, once there is one. Rejects at the deadline with what was seen. */
  async text(pattern: RegExp, timeoutMs = 10_000): Promise<string> {
    const find = (): string | undefined => this.texts().find(text => pattern.test(text))
    try {
      await eventually(() => find() !== undefined, { timeoutMs })
    } catch (cause) {
      throw new Error(`no frame fits ${pattern}; seen:\n${this.texts().join('\n\n')}`, { cause })
    }
    return find() ?? ''
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
    this.#memory[Symbol.dispose]()
  }

  #receive(): number {
    const length = Number(cReceive()(this.#fd, this.#memory.pointer, FRAME_BYTES, 0))
    if (length >= 0) return length
    const errno = lastErrno()
    if (errno !== errnoValue('EAGAIN')) throw systemError('receive a frame', errno)
    return length
  }
}

function openSocket(device: string): number {
  const attempt = `open a packet socket on ${device}`
  const fd = Number(cSocket()(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, EVERY_TYPE))
  if (fd < 0) throw systemError(attempt, lastErrno())
  using address = new Memory(ADDRESS_BYTES)
  address.view.setUint16(0, AF_PACKET, true)
  address.view.setUint16(2, EVERY_TYPE, true)
  address.view.setInt32(4, Number(cIndex()(device)), true)
  cSetOption()(fd, SOL_SOCKET, SO_RCVBUFFORCE, [QUEUE_BYTES], 4)
  if (Number(cBind()(fd, address.pointer, ADDRESS_BYTES)) === 0) return fd
  const errno = lastErrno()
  closeSync(fd)
  throw systemError(attempt, errno)
}
