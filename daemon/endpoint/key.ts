/**
 * The identity of a pod's interface and what is derived from it: the attachment key, the host side's device name, the
 * two MACs. All are pure functions of the key, so that a daemon that lost its memory finds what belongs to it.
 */
import { createHash } from 'node:crypto'

export interface AttachmentId {
  readonly network: string
  readonly containerId: string
  readonly ifName: string
}

/** `network/containerID/ifname`; none of the parts holds a slash (the edge checks that). */
export function attachmentKey(id: AttachmentId): string {
  return `${id.network}/${id.containerId}/${id.ifName}`
}

/** Longest key: it is kept in the device's alias (IFALIASZ 256 with its final zero, linux/if.h). */
export const MAX_KEY_BYTES = 255

/** Name of the host side: `cw` and 12 hex digits of the key's SHA-256; 14 of the 15 characters a name may have. */
export function deviceName(key: string): string {
  return `cw${digest(key).toString('hex', 0, 6)}`
}

/** MAC of the pod's own interface. */
export function podMac(key: string): string {
  return macFrom(digest(key).subarray(8, 14))
}

/** MAC of the host side. */
export function hostMac(key: string): string {
  return macFrom(digest(key).subarray(16, 22))
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

/** Unicast and locally administered (IEEE 802, the two low bits of the first byte are 0 and 1). */
function macFrom(bytes: Uint8Array): string {
  const [first = 0, ...rest] = bytes
  return [(first & 0xfc) | 0x02, ...rest].map(b => b.toString(16).padStart(2, '0')).join(':')
}
