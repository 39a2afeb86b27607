/** Tells pods' host sides from other devices by name: `cw` and 12 hex digits of the attachment key's SHA-256. */
export function isPodDevice(name: string): boolean {
  return /^cw[0-9a-f]{12}$/.test(name)
}
