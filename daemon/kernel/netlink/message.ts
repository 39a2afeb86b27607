/**
 * Netlink messages as bytes: a writer for bodies and attributes, a reader for both (netlink(7), rtnetlink(7)). The
 * protocol is in host order, which is little-endian on every machine this project runs on; what the kernel wants in
 * network order has its own method.
 */
import { NLA_F, NLM_F } from './constants.ts'

/** A request without its sequence number and port, which belong to the socket that sends it. */
export interface Message {
  readonly type: number
  /** NLM_F flags beyond REQUEST and ACK. */
  readonly flags: number
  /** Family header and attributes, padded to 4 bytes. */
  readonly body: Uint8Array
}

/** A message from the kernel; `body` is a copy. */
export interface Received {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  readonly body: Uint8Array
}

/** Bytes of a message header. */
export const HEADER_BYTES = 16

const text = new TextEncoder()

/** Builds a body front to back. Every method returns the writer. */
export class BodyWriter {
  #bytes = new Uint8Array(256)
  #view = new DataView(this.#bytes.buffer)
  #length = 0

  u8(value: number): this {
    this.#bytes[this.#reserve(1)] = value
    return this
  }
  u16(value: number): this {
    const at = this.#reserve(2)
    this.#view.setUint16(at, value, true)
    return this
  }
  u32(value: number): this {
    const at = this.#reserve(4)
    this.#view.setUint32(at, value, true)
    return this
  }
  raw(bytes: Uint8Array): this {
    const at = this.#reserve(bytes.length)
    this.#bytes.set(bytes, at)
    return this
  }

  attribute(type: number, value: Uint8Array): this {
    return this.#attribute(type, () => this.raw(value))
  }
  attributeU8(type: number, value: number): this {
    return this.#attribute(type, () => this.u8(value))
  }
  attributeU16(type: number, value: number): this {
    return this.#attribute(type, () => this.u16(value))
  }
  attributeU32(type: number, value: number): this {
    return this.#attribute(type, () => this.u32(value))
  }
  /** 16 bits in network order. */
  attributeBe16(type: number, value: number): this {
    return this.#attribute(type, () => this.u8(value >> 8).u8(value & 0xff))
  }
  /** A string with the zero byte that ends it. */
  attributeText(type: number, value: string): this {
    return this.#attribute(type, () => this.raw(text.encode(value)).u8(0))
  }
  /** An attribute that holds what `fill` writes. */
  nest(type: number, fill: (writer: this) => void): this {
    return this.#attribute(type | NLA_F.NESTED, () => fill(this))
  }

  /** The body so far, padded; a view that the next write may replace. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  #attribute(type: number, fill: () => void): this {
    const start = this.#length
    this.u16(0).u16(type)
    fill()
    this.#view.setUint16(start, this.#length - start, true)
    this.#reserve(-this.#length & 3)
    return this
  }

  #reserve(count: number): number {
    const at = this.#length
    this.#length += count
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#length)
      larger.set(this.#bytes)
      this.#bytes = larger
      this.#view = new DataView(larger.buffer)
    }
    return at
  }
}

/** Writes header and body at `offset` of `into` and returns the offset after it. Throws RangeError when it does not fit. */
export function writeMessage(message: Message, sequence: number, into: Uint8Array, offset: number): number {
  const view = new DataView(into.buffer, into.byteOffset + offset)
  view.setUint32(0, HEADER_BYTES + message.body.length, true)
  view.setUint16(4, message.type, true)
  view.setUint16(6, message.flags | NLM_F.REQUEST, true)
  view.setUint32(8, sequence, true)
  view.setUint32(12, 0, true)
  into.set(message.body, offset + HEADER_BYTES)
  return offset + messageBytes(message)
}

/** Bytes a message takes in a send, padding included. */
export function messageBytes(message: Message): number {
  return HEADER_BYTES + ((message.body.length + 3) & ~3)
}

/** The messages of one datagram. A message cut short ends the list. */
export function* readMessages(datagram: Uint8Array): Generator<Received, void, undefined> {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.length)
  for (let at = 0; at + HEADER_BYTES <= datagram.length; ) {
    const length = view.getUint32(at, true)
    if (length < HEADER_BYTES || at + length > datagram.length) return
    yield {
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      body: datagram.slice(at + HEADER_BYTES, at + length),
    }
    at += (length + 3) & ~3
  }
}

/**
 * Attributes by type. Those nobody asks for stay readable by their number, so that a newer kernel's are not lost; of a
 * type that occurs twice the last wins, as in the kernel, and `all` has every one.
 */
export class Attributes {
  readonly all: readonly { readonly type: number; readonly value: Uint8Array }[]
  readonly #byType: ReadonlyMap<number, Uint8Array>

  constructor(bytes: Uint8Array) {
    this.all = readAttributes(bytes)
    this.#byType = new Map(this.all.map(a => [a.type, a.value]))
  }
  bytes(type: number): Uint8Array | undefined {
    return this.#byType.get(type)
  }
  u8(type: number): number | undefined {
    return this.#byType.get(type)?.[0]
  }
  u16(type: number): number | undefined {
    return this.#view(type, 2)?.getUint16(0, true)
  }
  u32(type: number): number | undefined {
    return this.#view(type, 4)?.getUint32(0, true)
  }
  /** A string up to its zero byte. */
  text(type: number): string | undefined {
    const value = this.#byType.get(type)
    return value && zeroTerminated(value)
  }
  /** The attributes inside an attribute; none when it is absent. */
  nested(type: number): Attributes {
    return new Attributes(this.#byType.get(type) ?? new Uint8Array())
  }

  #view(type: number, length: number): DataView | undefined {
    const value = this.#byType.get(type)
    return value && value.length >= length ? new DataView(value.buffer, value.byteOffset, value.length) : undefined
  }
}

function readAttributes(bytes: Uint8Array): { type: number; value: Uint8Array }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const found: { type: number; value: Uint8Array }[] = []
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = view.getUint16(at, true)
    if (length < 4 || at + length > bytes.length) break
    found.push({ type: view.getUint16(at + 2, true) & NLA_F.TYPE_MASK, value: bytes.subarray(at + 4, at + length) })
    at += (length + 3) & ~3
  }
  return found
}

function zeroTerminated(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end))
}
