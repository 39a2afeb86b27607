/** Forms of names, paths and addresses. All work on short texts: MuJS finds a string's n-th character by counting. */

/** Container ids and network names: CNI specification, sections 1 and 2. */
export function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 255 && /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(value)
}

/** Without control characters, and within PATH_MAX. */
export function isAbsolutePath(value: unknown): value is string {
  if (typeof value !== 'string' || value.length > 4095 || value.charAt(0) !== '/') return false
  return !hasControlCharacter(value)
}

export function hasControlCharacter(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return /[\u0000-\u001f\u007f]/.test(text)
}

/** Family of an address in text form (RFC 4291 section 2.2 for IPv6), 0 when it is none. */
export function familyOf(address: string): 0 | 4 | 6 {
  if (address.length > 45) return 0
  if (isIpv4(address)) return 4
  return isIpv6(address) ? 6 : 0
}

/** The address of `ADDRESS` or `ADDRESS/LENGTH`; undefined when it is neither. */
export function addressOf(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  const [address, length, ...more] = value.split('/')
  const family = familyOf(address ?? '')
  if (family === 0 || more.length > 0) return undefined
  if (length === undefined) return address
  return /^\d{1,3}$/.test(length) && Number(length) <= (family === 4 ? 32 : 128) ? address : undefined
}

/** A unicast MAC in lower case with colons; undefined when it is none (IEEE 802: bit 0 of the first byte is group). */
export function macOf(value: unknown): string | undefined {
  if (typeof value !== 'string' || !/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(value)) return undefined
  const mac = value.toLowerCase()
  return mac === '00:00:00:00:00:00' || parseInt(mac.substring(0, 2), 16) % 2 === 1 ? undefined : mac
}

function isIpv4(text: string): boolean {
  const parts = text.split('.')
  for (const part of parts) if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return false
  return parts.length === 4
}

function isIpv6(text: string): boolean {
  const halves = text.split('::')
  let groups = 0
  for (let i = 0; i < halves.length; i++) {
    const count = countGroups(halves[i] ?? '', i === halves.length - 1)
    if (count < 0) return false
    groups += count
  }
  return halves.length === 1 ? groups === 8 : halves.length === 2 && groups <= 7
}

/** Groups of 16 bits in one half of an IPv6 address, -1 when one is malformed; only the very last may be an IPv4. */
function countGroups(half: string, last: boolean): number {
  if (half === '') return 0
  const groups = half.split(':')
  const tail = last && isIpv4(groups[groups.length - 1] ?? '') ? 1 : 0
  for (let i = 0; i < groups.length - tail; i++) if (!/^[0-9a-fA-F]{1,4}$/.test(groups[i] ?? '')) return -1
  return groups.length + tail
}
