/**
 * A netlink socket. Requests and their answers are synchronous: the kernel handles a request in the context of the
 * sender, so that all answers are in the receive queue when the send returns and no receive ever waits.
 */
import { closeSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { SystemError } from '../errors.ts'
import { inNetns } from '../netns/in-netns.ts'
import { Memory, errnoValue, lastErrno, libcFunction, systemError } from '../sys.ts'
import { type Ack, readAck } from './ack.ts'
import { AF, NLM_F, NLMSG } from './constants.ts'
import { collectDump } from './dump.ts'
import { type Message, type Received, messageBytes, readMessages, writeMessage } from './message.ts'
import { NetlinkError } from './netlink-error.ts'

/** Answer to one request: the acknowledgement and what came before it. */
export interface Outcome extends Ack {
  readonly answers: readonly Received[]
}

const SOCK_RAW = 3
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_RCVBUFFORCE = 33
const SOL_NETLINK = 270
const OPTION = { ADD_MEMBERSHIP: 1, CAP_ACK: 10, EXT_ACK: 11, GET_STRICT_CHK: 12 } as const
const MSG_TRUNC = 0x20
const MSG_DONTWAIT = 0x40

/** Messages in one send; their acknowledgements fit the receive queue many times over. */
const BATCH_MESSAGES = 128
const SEND_BYTES = 32_768
/** The kernel builds a dump in pieces of at most 32 KiB (af_netlink.c, netlink_dump). */
const RECEIVE_BYTES = 32_768
const QUEUE_BYTES = 4 << 20
/** How often a dump is begun again when the kernel says that what it lists changed meanwhile. */
const DUMP_ATTEMPTS = 50

const cSocket = libcFunction('int socket(int domain, int type, int protocol)')
const cBind = libcFunction('int bind(int fd, void *address, unsigned int length)')
const cSetOption = libcFunction('int setsockopt(int fd, int level, int name, const int *value, unsigned int length)')
const cSend = libcFunction('long send(int fd, void *bytes, size_t length, int flags)')
const cReceive = libcFunction('long recv(int fd, void *bytes, size_t length, int flags)')

/**
 * Owns its file descriptor and buffers until disposed; used afterwards it throws SystemError EBADF. Not for use by two
 * calls at once.
 */
export class NetlinkSocket implements Disposable {
  readonly #fd: number
  readonly #out: Memory
  readonly #in: Memory
  #sequence = 0
  #closed = false

  /** Opens a socket in the namespace of an open nsfs file, where it stays. Throws SystemError. */
  constructor(protocol: number, netnsFd: number) {
    this.#fd = inNetns(netnsFd, () => openSocket(protocol))
    this.#out = new Memory(SEND_BYTES)
    this.#in = new Memory(RECEIVE_BYTES)
    for (const option of [OPTION.EXT_ACK, OPTION.CAP_ACK, OPTION.GET_STRICT_CHK]) {
      cSetOption()(this.fd, SOL_NETLINK, option, [1], 4)
    }
    cSetOption()(this.fd, SOL_SOCKET, SO_RCVBUFFORCE, [QUEUE_BYTES], 4)
  }

  get fd(): number {
    this.#checkOpen()
    return this.#fd
  }

  /** Sends the requests in as few sends as possible and returns one outcome for each, in order. Throws SystemError. */
  transact(messages: readonly Message[]): Outcome[] {
    return batches(messages).flatMap(batch => {
      const { first, length } = this.#write(batch)
      this.#sent(Number(cSend()(this.fd, this.#out.pointer, length, 0)))
      return this.#collect(first, batch.length)
    })
  }

  /** The same with the send on a thread of the pool; the socket is the caller's alone until the promise settles. */
  async transactOnThread(messages: readonly Message[]): Promise<Outcome[]> {
    const outcomes: Outcome[] = []
    for (const batch of batches(messages)) {
      const { first, length } = this.#write(batch)
      await this.#sendOnThread(length)
      outcomes.push(...this.#collect(first, batch.length))
    }
    return outcomes
  }

  /** Everything a dump request lists, begun again while the kernel says it is inconsistent. Throws NetlinkError. */
  dump(message: Message, attempt: string): Received[] {
    for (let tries = 0; tries < DUMP_ATTEMPTS; tries++) {
      const { first, length } = this.#write([{ ...message, flags: message.flags | NLM_F.DUMP }])
      this.#sent(Number(cSend()(this.fd, this.#out.pointer, length, 0)))
      const found = collectDump(() => this.receiveOrOverrun(), first, attempt)
      if (found) return found
    }
    throw new NetlinkError(attempt, errnoValue('EAGAIN'), `the list changed during each of ${DUMP_ATTEMPTS} dumps`)
  }

  /**
   * The same datagram by datagram, with a turn of the event loop after each: for lists that may be long, and whose rows
   * stand by themselves. The socket is the caller's alone until the last one was read, or for good when it stops before.
   */
  async *dumpInTurns(message: Message, attempt: string): AsyncGenerator<readonly Received[]> {
    const { first, length } = this.#write([{ ...message, flags: message.flags | NLM_F.DUMP }])
    this.#sent(Number(cSend()(this.fd, this.#out.pointer, length, 0)))
    for (let end: Ack | undefined; end === undefined; ) {
      const messages = this.receive()?.filter(m => m.sequence === first)
      if (messages === undefined) throw new NetlinkError(attempt, errnoValue('ENODATA'), 'the list has no end')
      end = messages.map(readAck).find(ack => ack !== undefined)
      if (end !== undefined && end.errno !== 0) throw new NetlinkError(attempt, end.errno, end.kernelText)
      yield messages.filter(m => readAck(m) === undefined && m.type !== NLMSG.NOOP)
      await setImmediate()
    }
  }

  /** Joins multicast groups; the socket then receives their events. Throws SystemError. */
  join(groups: readonly number[]): void {
    // Without a port of its own the socket would miss events: port 0 is taken for the originator (do_one_broadcast).
    const address = new Uint8Array(12)
    address[0] = AF.NETLINK
    if (cBind()(this.fd, address, 12) < 0) throw systemError('bind netlink socket', lastErrno())
    for (const group of groups) {
      if (cSetOption()(this.fd, SOL_NETLINK, OPTION.ADD_MEMBERSHIP, [group], 4) < 0) {
        throw systemError(`join netlink group ${group}`, lastErrno())
      }
    }
  }

  /** The next datagram's messages; undefined when the queue is empty. Throws SystemError, ENOBUFS when some were lost. */
  receive(): Received[] | undefined {
    const length = Number(cReceive()(this.fd, this.#in.pointer, RECEIVE_BYTES, MSG_DONTWAIT | MSG_TRUNC))
    if (length >= 0 && length <= RECEIVE_BYTES) return [...readMessages(this.#in.bytes.subarray(0, length))]
    const errno = length < 0 ? lastErrno() : errnoValue('EMSGSIZE')
    if (errno === errnoValue('EAGAIN')) return undefined
    throw systemError('receive from netlink', errno)
  }

  /** The same where losing messages is an answer. */
  receiveOrOverrun(): Received[] | 'overrun' | undefined {
    try {
      return this.receive()
    } catch (error) {
      if (error instanceof SystemError && error.code === 'ENOBUFS') return 'overrun'
      throw error
    }
  }

  [Symbol.dispose](): void {
    if (this.#closed) return
    this.#closed = true
    closeSync(this.#fd)
    this.#out[Symbol.dispose]()
    this.#in[Symbol.dispose]()
  }

  /** First of all: the buffers have been given back, and the descriptor's number may be another object's by now. */
  #checkOpen(): void {
    if (this.#closed) throw systemError('use netlink socket', errnoValue('EBADF'), 'the socket was closed')
  }

  #write(batch: readonly Message[]): { first: number; length: number } {
    this.#checkOpen()
    const first = (this.#sequence + 1) >>> 0
    let length = 0
    for (const { type, flags, body } of batch) {
      this.#sequence = (this.#sequence + 1) >>> 0
      length = writeMessage({ type, flags: flags | NLM_F.ACK, body }, this.#sequence, this.#out.bytes, length)
    }
    return { first, length }
  }

  #sent(result: number): void {
    if (result < 0) throw systemError('send to netlink', lastErrno())
  }

  #sendOnThread(length: number): Promise<void> {
    return new Promise((resolve, reject) => {
      cSend().async(this.fd, this.#out.pointer, length, 0, (error: Error | null, result: unknown) => {
        if (error) return reject(error)
        // errno is that of the thread's call only within this callback.
        if (Number(result) < 0) return reject(systemError('send to netlink', lastErrno()))
        resolve()
      })
    })
  }

  /** Outcomes of `count` requests from sequence number `first`; answers to anything else are dropped. */
  #collect(first: number, count: number): Outcome[] {
    const acks: (Ack | undefined)[] = Array.from({ length: count })
    const answers: Received[][] = Array.from({ length: count }, () => [])
    for (let left = count; left > 0; ) {
      const messages = this.receive()
      if (!messages) throw systemError('receive from netlink', errnoValue('ENODATA'), `${left} answers are missing`)
      for (const message of messages) {
        const i = (message.sequence - first) >>> 0
        if (i >= count || acks[i]) continue
        const ack = readAck(message)
        acks[i] = ack
        if (ack) left--
        else answers[i]?.push(message)
      }
    }
    return acks.map((ack, i) => ({
      errno: ack?.errno ?? 0,
      kernelText: ack?.kernelText ?? '',
      answers: answers[i] ?? [],
    }))
  }
}

function openSocket(protocol: number): number {
  const fd: number = cSocket()(AF.NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)
  if (fd < 0) throw systemError(`open netlink socket of protocol ${protocol}`, lastErrno())
  return fd
}

function batches(messages: readonly Message[]): Message[][] {
  const all: Message[][] = []
  let bytes = 0
  for (const message of messages) {
    const last = all.at(-1)
    const size = messageBytes(message)
    if (last && last.length < BATCH_MESSAGES && bytes + size <= SEND_BYTES) {
      last.push(message)
      bytes += size
    } else {
      all.push([message])
      bytes = size
    }
  }
  return all
}
