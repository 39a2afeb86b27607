/**
 * IP addresses and prefixes: text, numbers and the 16-byte form of the eBPF maps. Pure functions; the accepted text is
 * what `inet_pton(3)` accepts and the printed one what `inet_ntop(3)` prints, so that addresses compare as strings once
 * they are canonical.
 */
import { joined } from './joined.ts'
import type { Address, Family, Prefix } from './kernel.ts'

/** Text that is no address or no prefix; `text` is what was given. */
export class InvalidAddress extends Error {
  override readonly name = 'InvalidAddress'
  readonly code = 'INVALID_ADDRESS'
  readonly text: string
  constructor(text: string, problem: string) {
    super(`'${text}' ${problem}`)
    this.text = text
  }
}

/** An address as a number of 32 or 128 bits. */
export interface IpAddress {
  readonly family: Family
  readonly value: bigint
}
/** An address with a prefix length; `value` keeps the host bits as they were given. */
export interface IpPrefix extends IpAddress {
  readonly length: number
}

/** Bits of an address of a family. */
export function widthOf(family: Family): 32 | 128 {
  return family === 4 ? 32 : 128
}

/** 4 for text with a dot and no colon, else 6; throws InvalidAddress when it is no address of that family. */
export function familyOf(address: Address): Family {
  return bytesOf(address).length === 4 ? 4 : 6
}

/** Reads an address; throws InvalidAddress. `::ffff:1.2.3.4` is an IPv6 address here. */
export function parseAddress(text: string): IpAddress {
  const bytes = bytesOf(text)
  return { family: bytes.length === 4 ? 4 : 6, value: toBigint(bytes) }
}

/** Prints an address as `inet_ntop(3)` does: lower case, longest run of zero words as `::` (RFC 5952). */
export function formatAddress(address: IpAddress): Address {
  return textOf(fromBigint(address.value, widthOf(address.family) / 8))
}

/** The one text of an address, for use as a key; throws InvalidAddress. */
export function canonicalAddress(text: string): Address {
  const bytes = bytesOf(text)
  // There is one way to write an IPv4 address, and a text that is there already needs no memory.
  return bytes.length === 4 ? text : textOf(bytes)
}

/** The same for a text that may be something else, which is undefined. */
export function addressIn(text: string): Address | undefined {
  const bytes = tryBytes(text)
  return bytes && textOf(bytes)
}

/** Reads `address/length` and keeps host bits; throws InvalidAddress, also for a missing length. */
export function parsePrefix(text: string): IpPrefix {
  const slash = text.indexOf('/')
  if (slash < 0) throw new InvalidAddress(text, 'is no prefix: /length is missing')
  const bytes = tryBytes(text.slice(0, slash))
  if (!bytes) throw new InvalidAddress(text, 'is no prefix: the part before / is no IPv4 or IPv6 address')
  const digits = text.slice(slash + 1)
  const length = Number(digits)
  const width = bytes.length * 8
  if (!/^(0|[1-9]\d{0,2})$/.test(digits) || length > width)
    throw new InvalidAddress(text, `is no prefix: the length must be 0 to ${width}`)
  return { family: bytes.length === 4 ? 4 : 6, value: toBigint(bytes), length }
}

/** Prints a prefix with its host bits. */
export function formatPrefix(prefix: IpPrefix): Prefix {
  return joined(formatAddress(prefix), '/', prefix.length)
}

/** The prefix with its host bits cleared. */
export function networkOf(prefix: IpPrefix): IpPrefix {
  const host = BigInt(widthOf(prefix.family) - prefix.length)
  return { family: prefix.family, value: (prefix.value >> host) << host, length: prefix.length }
}

/** How many addresses a prefix has. */
export function sizeOf(prefix: IpPrefix): bigint {
  return 1n << BigInt(widthOf(prefix.family) - prefix.length)
}

/** The one text of a prefix with host bits cleared, for use as a key; throws InvalidAddress. */
export function canonicalPrefix(text: string): Prefix {
  return formatPrefix(networkOf(parsePrefix(text)))
}

/** Whether `outer` covers an address or the whole of another prefix; never across families. */
export function covers(outer: IpPrefix, inner: IpAddress | IpPrefix): boolean {
  if (outer.family !== inner.family || ('length' in inner && inner.length < outer.length)) return false
  const host = BigInt(widthOf(outer.family) - outer.length)
  return inner.value >> host === outer.value >> host
}

/** `covers` on text, inner an address or a prefix: `prefixContains('10.0.0.0/8', '10.1.0.0/16')`; throws InvalidAddress. */
export function prefixContains(outer: Prefix, inner: Address): boolean {
  return covers(parsePrefix(outer), inner.includes('/') ? parsePrefix(inner) : parseAddress(inner))
}

/** Family of what is known to be an address, or a prefix, such as that of a table's row; nothing is checked. */
export function familyIn(text: Address): Family {
  return text.includes(':') ? 6 : 4
}

/** The prefix of an address alone: `/32` or `/128`; nothing is checked. */
export function hostPrefix(address: Address): Prefix {
  return joined(address, '/', widthOf(familyIn(address)))
}

/** The 16 bytes of the eBPF maps, IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2); a fresh array each time. */
export function toMapped16(address: Address): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(16)
  if (!parse4(address, out, 12)) return mapped(bytesOf(address))
  out[10] = out[11] = 0xff
  return out
}

/** A prefix in the form of the eBPF maps: 16 bytes with host bits cleared, and a length of 0–128 over them. */
export function toMappedPrefix(prefix: Prefix): { readonly bytes: Uint8Array<ArrayBuffer>; readonly length: number } {
  const { family, value, length } = networkOf(parsePrefix(prefix))
  return family === 4
    ? { bytes: mapped(fromBigint(value, 4)), length: length + 96 }
    : { bytes: fromBigint(value, 16), length }
}

/** The prefix of 16 mapped bytes and a length over them, as `toMappedPrefix` gives them. */
export function fromMappedPrefix(bytes: Uint8Array, length: number): Prefix {
  const address = fromMapped16(bytes)
  return `${address}/${familyOf(address) === 4 ? length - 96 : length}`
}

/** The address in 16 bytes of an eBPF map, mapped ones as IPv4; throws RangeError on another size. */
export function fromMapped16(bytes: Uint8Array): Address {
  if (bytes.length !== 16) throw new RangeError(`an address of the maps has 16 bytes, not ${bytes.length}`)
  return isMapped(bytes) ? textOf(bytes.subarray(12)) : textOf(bytes)
}

/** Whether an address of 16 bytes is a mapped one of IPv4. */
export function isMapped(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false
  return bytes[10] === 0xff && bytes[11] === 0xff
}

function mapped(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (bytes.length === 16) return bytes
  const out = new Uint8Array(16)
  out[10] = out[11] = 0xff
  out.set(bytes, 12)
  return out
}

function toBigint(bytes: Uint8Array): bigint {
  let value = 0n
  for (const byte of bytes) value = (value << 8n) | BigInt(byte)
  return value
}

function fromBigint(value: bigint, size: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(size)
  for (let i = size - 1, rest = value; i >= 0; i--, rest >>= 8n) out[i] = Number(rest & 0xffn)
  return out
}

/** The 4 or 16 bytes of an address in network order; throws InvalidAddress. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const bytes = tryBytes(text)
  if (!bytes) throw new InvalidAddress(text, 'is no IPv4 or IPv6 address')
  return bytes
}

function tryBytes(text: string): Uint8Array<ArrayBuffer> | undefined {
  const size = text.includes(':') ? 16 : 4
  const out = new Uint8Array(size)
  return (size === 4 ? parse4(text, out, 0) : parse6(text, out)) ? out : undefined
}

/** Four decimal bytes without leading zeros, which some programs read as octal. */
function parse4(text: string, out: Uint8Array, at: number): boolean {
  let [part, digits, value] = [0, 0, 0]
  // By characters: ten thousand services have a hundred thousand addresses.
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : DOT
    if (code === DOT) {
      if (digits === 0 || part > 3) return false
      out[at + part++] = value
      digits = value = 0
    } else {
      if (code < DIGIT_0 || code > DIGIT_9 || (digits > 0 && value === 0)) return false
      value = value * 10 + code - DIGIT_0
      if (value > 255) return false
      digits++
    }
  }
  return part === 4
}
const DOT = 46
const DIGIT_0 = 48
const DIGIT_9 = 57

/** RFC 4291 section 2.2: eight words, one `::` for at least one zero word, the last 32 bits possibly as IPv4. */
function parse6(text: string, out: Uint8Array): boolean {
  const halves = text.split('::')
  if (halves.length > 2) return false
  const head = words(halves[0] ?? '', halves.length === 1)
  const tail = halves.length === 2 ? words(halves[1] ?? '', true) : []
  if (!head || !tail) return false
  const given = head.length + tail.length
  if (halves.length === 2 ? given > 14 : given !== 16) return false
  out.set(head)
  out.set(tail, 16 - tail.length)
  return true
}

/** The bytes of words between colons; `last` allows IPv4 at the end. */
function words(text: string, last: boolean): number[] | undefined {
  if (text === '') return []
  const parts = text.split(':')
  const bytes: number[] = []
  for (const [i, part] of parts.entries()) {
    if (last && i === parts.length - 1 && part.includes('.')) {
      const tail = new Uint8Array(4)
      if (!parse4(part, tail, 0)) return undefined
      bytes.push(...tail)
    } else {
      if (!/^[\da-f]{1,4}$/i.test(part)) return undefined
      const word = Number.parseInt(part, 16)
      bytes.push(word >> 8, word & 0xff)
    }
  }
  return bytes
}

/** The text of 4 or 16 bytes in network order. */
export function textOf(bytes: Uint8Array): Address {
  if (bytes.length === 4) return joined(bytes[0] ?? 0, '.', bytes[1] ?? 0, '.', bytes[2] ?? 0, '.', bytes[3] ?? 0)
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16)
  const all = Array.from({ length: 8 }, (_, i) => view.getUint16(i * 2))
  const { start, length } = longestZeros(all)
  // inet_ntop prints the last 32 bits as IPv4 in ::a.b.c.d and ::ffff:a.b.c.d.
  const withIpv4 = start === 0 && (length === 6 || (length === 5 && all[5] === 0xffff))
  const texts = all.slice(0, withIpv4 ? 6 : 8).map(word => word.toString(16))
  if (withIpv4) texts.push(bytes.subarray(12).join('.'))
  if (length < 2) return texts.join(':')
  return `${texts.slice(0, start).join(':')}::${texts.slice(start + length).join(':')}`
}

/** The first of the longest runs of zero words. */
function longestZeros(all: readonly number[]): { start: number; length: number } {
  let best = { start: -1, length: 0 }
  for (let start = 0; start < all.length; start++) {
    let length = 0
    while (all[start + length] === 0) length++
    if (length > best.length) best = { start, length }
  }
  return best
}
