import { isPodDevice } from './pod-device.ts'

/** Tells the daemon's own devices from everybody else's by name: pods' host sides, and `cw-` for all others. */
export function isOwnDevice(name: string): boolean {
  return isPodDevice(name) || name.startsWith('cw-')
}
